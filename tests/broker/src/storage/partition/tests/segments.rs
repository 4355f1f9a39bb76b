//! Writing, rolling, reading and opening, while nothing goes wrong.

use super::*;

#[test]
fn what_is_appended_is_read_before_it_is_written() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    append(&log, Codec::Zstd, &[10, 20, 30]);
    append(&log, Codec::None, &[40]);
    assert_whole(&log, 0..4);
    assert!(log.tail_bytes() > 100);
    assert_eq!(disk.counts().writes, 0);
    // The size of what is in memory is exact.
    assert!(
        [0, 1, 2, 3].into_iter().all(|offset| log.size(Offset(offset)) == log.read(Offset(offset)).unwrap().size())
    );
}

#[test]
fn the_tail_goes_to_segments_that_are_closed_once_they_are_long_enough() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    write_blocks(&log, 7);
    assert_eq!(log.tail_bytes(), 0);
    assert_whole(&log, 0..7);
    assert_eq!(
        files(&disk),
        [
            "00000000000000000000.index",
            "00000000000000000000.segment",
            "00000000000000000003.index",
            "00000000000000000003.segment",
            "00000000000000000006.segment",
        ]
    );
}

#[test]
fn a_block_over_the_size_of_a_segment_has_one_of_its_own() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    for _ in 0..3 {
        append(&log, Codec::None, &[3_000_000]);
    }
    log.flush().unwrap();
    assert_whole(&log, 0..3);
    let segments = [segment(0), segment(1), segment(2)];
    assert!(segments.iter().all(|path| length(&disk, path) > 3_000_000));
}

#[test]
fn a_log_is_opened_as_it_was_at_the_checkpoint() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    assert_eq!(log.checkpoint().unwrap(), Checkpointed { start: Offset(0), end: Offset(0), segment: None });
    write_blocks(&log, 4);
    append(&log, Codec::Snappy, &[1, 2, 3]);
    let checkpointed = log.checkpoint().unwrap();
    assert_eq!(log.tail_bytes(), 0);
    assert_eq!(log.checkpoint().unwrap(), checkpointed);
    for seed in 0..20 {
        let log = open(&disk.crash(seed), Some(&checkpointed), SMALL);
        assert_whole(&log, 0..7);
        append(&log, Codec::None, &[5]);
        assert_whole(&log, 0..8);
    }
}

#[test]
fn what_is_beyond_the_checkpoint_is_cut_off() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    write_blocks(&log, 4);
    let checkpointed = log.checkpoint().unwrap();
    let length_then = length(&disk, &segment(3));
    write_blocks(&log, 6);
    let disk = disk.kill();
    let log = open(&disk, Some(&checkpointed), SMALL);
    assert_eq!(length(&disk, &segment(3)), length_then);
    assert_eq!(files(&disk).len(), 4, "{:?}", files(&disk));
    assert_whole(&log, 0..4);
    write_blocks(&log, 6);
    assert_whole(&log, 0..10);
}

#[test]
fn a_torn_segment_beyond_the_checkpoint_is_cut() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    write_blocks(&log, 4);
    let checkpointed = log.checkpoint().unwrap();
    write_blocks(&log, 1);
    let disk = disk.kill();
    disk.cut(&segment(3), length(&disk, &segment(3)) - 10);
    let log = open(&disk, Some(&checkpointed), SMALL);
    assert_whole(&log, 0..4);
}

#[test]
fn without_a_checkpoint_everything_is_left_over() {
    let disk = SimulatedDisk::default();
    write_blocks(&open(&disk, None, SMALL), 4);
    let disk = disk.kill();
    let log = open(&disk, None, SMALL);
    assert_eq!(files(&disk), Vec::<String>::new());
    assert_whole(&log, 0..0);
}

#[test]
fn a_start_reads_indexes_and_not_the_segments() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    write_blocks(&log, 7);
    let checkpointed = log.checkpoint().unwrap();
    let disk = disk.kill();
    // A message that has turned since is not noticed by a start: it was not read.
    for first in [0, 3, 6] {
        disk.flip_bit(&segment(first), 200, 0);
    }
    let log = open(&disk, Some(&checkpointed), SMALL);
    assert_eq!((log.start(), log.end()), (Offset(0), Offset(7)));
    assert!(matches!(log.read(Offset(0)), Err(StorageError::Damaged { .. })));
}

#[test]
fn a_missing_or_damaged_index_is_made_again() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    write_blocks(&log, 8);
    let checkpointed = log.checkpoint().unwrap();
    let disk = disk.kill();
    let whole: Vec<Vec<u8>> = [0, 3, 6].map(|first| disk.read(&index(first))).into();
    type Harm = fn(&SimulatedDisk, &Path);
    let harms: [Harm; 5] = [
        |disk, path| disk.remove(path).unwrap(),
        |disk, path| disk.cut(path, 0),
        |disk, path| disk.cut(path, 50),
        |disk, path| disk.flip_bit(path, 45, 2),
        |disk, path| disk.replace(path, &[0; 10_000]),
    ];
    for harm in harms {
        [0, 3, 6].into_iter().for_each(|first| harm(&disk, &index(first)));
        assert_whole(&open(&disk, Some(&checkpointed), SMALL), 0..8);
        for (first, whole) in [0, 3, 6].into_iter().zip(&whole) {
            assert_eq!(&disk.read(&index(first)), whole);
        }
    }
}

#[test]
fn an_index_of_an_earlier_checkpoint_is_completed() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    write_blocks(&log, 1);
    log.checkpoint().unwrap();
    let earlier = disk.read(&index(0));
    write_blocks(&log, 4);
    let checkpointed = log.checkpoint().unwrap();
    let whole = disk.read(&index(0));
    let disk = disk.kill();
    disk.replace(&index(0), &earlier);
    assert_whole(&open(&disk, Some(&checkpointed), SMALL), 0..5);
    assert_eq!(disk.read(&index(0)), whole);
}

#[test]
fn an_index_is_cut_with_its_segment() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    append(&log, Codec::None, &[10, 20]);
    append(&log, Codec::None, &[30]);
    let checkpointed = log.checkpoint().unwrap();
    let index_then = disk.read(&index(0));
    append(&log, Codec::None, &[10]);
    append(&log, Codec::None, &[10]);
    log.checkpoint().unwrap();
    // The later checkpoint came to nothing, and other messages take the place.
    let disk = disk.kill();
    let log = open(&disk, Some(&checkpointed), SMALL);
    assert_eq!(disk.read(&index(0)), index_then);
    append(&log, Codec::None, &[200, 200]);
    assert_whole(&log, 0..5);
    let later = log.checkpoint().unwrap();
    for seed in 0..20 {
        assert_whole(&open(&disk.crash(seed), Some(&later), SMALL), 0..5);
    }
}

#[test]
fn messages_of_one_block_are_decoded_once() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    append(&log, Codec::Zstd, &[10, 20, 30]);
    let checkpointed = log.checkpoint().unwrap();
    let disk = disk.kill();
    let log = open(&disk, Some(&checkpointed), SMALL);
    let first = log.read(Offset(0)).unwrap();
    // The block is not looked at again.
    disk.flip_bit(&segment(0), 60, 0);
    assert_eq!(log.read(Offset(2)).unwrap().message_id, id_of(2));
    assert!(Arc::ptr_eq(&first, &log.read(Offset(0)).unwrap()));
}

#[test]
fn logs_that_share_a_cache_keep_apart() {
    let disk = SimulatedDisk::default();
    let cache = Arc::new(BlockCache::new(1 << 20));
    let logs: Vec<PartitionLog> = (0..2)
        .map(|partition| {
            let dir = PathBuf::from(format!("/topics/orders/{partition}"));
            disk.create_dir(&dir).unwrap();
            let disk = Arc::new(disk.clone());
            PartitionLog::open(disk, dir, PartitionId(partition), None, SMALL, Arc::clone(&cache)).unwrap()
        })
        .collect();
    for (log, bytes) in logs.iter().zip([5, 6]) {
        append(log, Codec::None, &[bytes]);
        log.flush().unwrap();
    }
    let lengths: Vec<usize> = logs.iter().map(|log| log.read(Offset(0)).unwrap().body.len()).collect();
    assert_eq!(lengths, [5, 6]);
}
