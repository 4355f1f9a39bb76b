//! The disk is full, or fails.

use super::*;
use crate::storage::disk::is_no_room;

#[test]
fn a_full_disk_loses_nothing_and_is_written_to_once_there_is_room() {
    // Wherever the room ends: in a header, in a block, in an index.
    for capacity in (0..3_000).step_by(37) {
        let disk = SimulatedDisk::default();
        let log = open(&disk, None, SMALL);
        for _ in 0..7 {
            append(&log, Codec::None, &[300]);
        }
        disk.set_capacity(Some(capacity));
        for _ in 0..2 {
            match log.checkpoint() {
                Err(error) => assert!(is_no_room(&error), "{error}"),
                Ok(_) => assert!(capacity > 2_500),
            }
            assert_whole(&log, 0..7);
        }
        append(&log, Codec::None, &[300]);
        disk.set_capacity(None);
        let checkpointed = log.checkpoint().unwrap();
        assert_eq!(log.tail_bytes(), 0);
        assert_whole(&log, 0..8);
        for seed in 0..3 {
            assert_whole(&open(&disk.crash(seed), Some(&checkpointed), SMALL), 0..8);
        }
    }
}

#[test]
fn a_failed_sync_is_never_taken_back() {
    // The syncs are those of a closed segment, of the last one, and of the directory.
    for nth in 1..=3 {
        let disk = SimulatedDisk::default();
        let log = open(&disk, None, SMALL);
        for _ in 0..4 {
            append(&log, Codec::None, &[300]);
        }
        disk.fail_sync(nth);
        let first = log.checkpoint().unwrap_err();
        assert!(!is_no_room(&first));
        assert!(first.to_string().contains(DIR), "{first}");
        // Syncs go well again, which says nothing of what was written before.
        let errors =
            [log.checkpoint().unwrap_err(), log.flush().unwrap_err(), log.retain(Offset(0), Timestamp(0)).unwrap_err()];
        assert!(errors.iter().all(|error| error.to_string() == first.to_string()));
        // What is there is still read, and what comes is still taken.
        append(&log, Codec::None, &[1]);
        assert_whole(&log, 0..5);
    }
}

#[test]
fn nothing_to_do_asks_nothing_of_the_disk() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    write_blocks(&log, 4);
    log.checkpoint().unwrap();
    let counts = disk.counts();
    log.flush().unwrap();
    log.checkpoint().unwrap();
    log.retain(Offset(u64::MAX), Timestamp(u64::MAX)).unwrap();
    assert_eq!(disk.counts(), counts);
}
