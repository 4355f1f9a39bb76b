//! Removing what is old.

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);
const ALL: Offset = Offset(u64::MAX);

fn by_bytes(bytes: u64) -> Options {
    Options { retention_bytes: Some(bytes), ..SMALL }
}

#[test]
fn without_a_bound_nothing_is_removed() {
    let log = open(&SimulatedDisk::default(), None, SMALL);
    write_blocks(&log, 10);
    assert_eq!(log.retain(ALL, NOW).unwrap(), 0);
    assert_whole(&log, 0..10);
}

#[test]
fn the_oldest_segments_go_until_the_rest_is_within_the_bound() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, by_bytes(2_500));
    write_blocks(&log, 10);
    assert_eq!(log.retain(ALL, NOW).unwrap(), 3);
    assert_whole(&log, 3..10);
    assert_eq!(log.retain(ALL, NOW).unwrap(), 0);
    assert!(!files(&disk).iter().any(|name| name.starts_with("00000000000000000000")));
}

#[test]
fn what_is_not_settled_stays_and_so_does_the_open_segment() {
    let log = open(&SimulatedDisk::default(), None, by_bytes(0));
    write_blocks(&log, 10);
    assert_eq!(log.retain(Offset(5), NOW).unwrap(), 3);
    assert_whole(&log, 3..10);
    assert_eq!(log.retain(Offset(6), NOW).unwrap(), 3);
    assert_eq!(log.retain(ALL, NOW).unwrap(), 3);
    assert_whole(&log, 9..10);
    assert_eq!(log.retain(ALL, NOW).unwrap(), 0);
}

#[test]
fn messages_go_once_the_newest_of_their_segment_is_too_old() {
    // Each was appended at the time of its offset.
    let options = Options { retention_age: Some(Millis(100)), ..SMALL };
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, options);
    write_blocks(&log, 10);
    assert_eq!(log.retain(ALL, Timestamp(102)).unwrap(), 0);
    assert_eq!(log.retain(ALL, Timestamp(103)).unwrap(), 3);
    let checkpointed = log.checkpoint().unwrap();
    // The age is known again after a start, with an index and without one.
    let disk = disk.kill();
    disk.remove(&index(6)).unwrap();
    let log = open(&disk, Some(&checkpointed), options);
    assert_eq!(log.retain(ALL, Timestamp(105)).unwrap(), 0);
    assert_eq!(log.retain(ALL, Timestamp(109)).unwrap(), 6);
    assert_whole(&log, 9..10);
}

#[test]
fn what_was_removed_may_come_back_after_a_crash_and_is_removed_again() {
    for seed in 0..50 {
        let disk = SimulatedDisk::default();
        let log = open(&disk, None, by_bytes(0));
        write_blocks(&log, 10);
        let before = log.checkpoint().unwrap();
        // The sync of the directory fails after the second removal.
        disk.fail_sync(2);
        log.retain(ALL, NOW).unwrap_err();
        assert_eq!(log.start(), Offset(9));
        let log = open(&disk.crash(seed), Some(&before), by_bytes(0));
        assert!([3, 6].contains(&log.start().0), "{}", log.start().0);
        assert_whole(&log, log.start().0..10);
    }
    // With a checkpoint that knows of the removal, what came back goes.
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, by_bytes(0));
    write_blocks(&log, 10);
    let (first, second) = (disk.read(&segment(0)), disk.read(&segment(3)));
    log.retain(Offset(6), NOW).unwrap();
    let after = log.checkpoint().unwrap();
    let disk = disk.kill();
    disk.replace(&segment(0), &first);
    disk.replace(&segment(3), &second);
    let log = open(&disk, Some(&after), by_bytes(0));
    assert_whole(&log, 6..10);
    assert_eq!(files(&disk)[0], "00000000000000000006.index");
}

#[test]
fn an_older_checkpoint_opens_what_retention_has_left() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, by_bytes(0));
    let empty = log.checkpoint().unwrap();
    write_blocks(&log, 5);
    let older = log.checkpoint().unwrap();
    write_blocks(&log, 5);
    let newer = log.checkpoint().unwrap();
    log.retain(Offset(3), NOW).unwrap();
    let disk = disk.kill();
    assert_whole(&open(&disk, Some(&newer), by_bytes(0)), 3..10);
    assert_whole(&open(&disk, Some(&older), by_bytes(0)), 3..5);
    assert_whole(&open(&disk, Some(&empty), by_bytes(0)), 0..0);
}

#[test]
fn an_older_checkpoint_whose_last_segment_is_removed_opens_empty_at_its_end() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, by_bytes(0));
    write_blocks(&log, 5);
    let older = log.checkpoint().unwrap();
    write_blocks(&log, 5);
    log.checkpoint().unwrap();
    log.retain(ALL, NOW).unwrap();
    let mut disk = disk.kill();
    // However often: what a start does leaves the next one as much to go by.
    for seed in 0..20 {
        assert_whole(&open(&disk, Some(&older), by_bytes(0)), 5..5);
        disk = disk.crash(seed);
    }
    let log = open(&disk, Some(&older), by_bytes(0));
    write_blocks(&log, 5);
    assert_whole(&log, 5..10);
}

#[test]
fn a_crash_while_the_checkpointed_segment_is_removed_leaves_it_or_what_follows_it() {
    for seed in 0..50 {
        for failing in 1..=2 {
            let disk = SimulatedDisk::default();
            let log = open(&disk, None, by_bytes(0));
            write_blocks(&log, 2);
            let checkpointed = log.checkpoint().unwrap();
            // The next segment is begun, and nothing has made its name durable.
            write_blocks(&log, 2);
            disk.fail_sync(failing);
            log.retain(ALL, NOW).unwrap_err();
            let log = open(&disk.crash(seed), Some(&checkpointed), by_bytes(0));
            assert!([0, 2].contains(&log.start().0), "{}", log.start().0);
            assert_whole(&log, log.start().0..2);
        }
    }
}
