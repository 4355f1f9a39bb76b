//! Readers, appenders and the one who keeps the disk, at the same time.

use std::thread;

use super::*;

#[test]
fn nobody_waits_for_the_disk_while_it_syncs() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    write_blocks(&log, 2);
    append(&log, Codec::None, &[300]);
    disk.hold_syncs(true);
    let begun = disk.counts().syncs_begun;
    thread::scope(|scope| {
        let checkpoint = scope.spawn(|| log.checkpoint().unwrap());
        disk.wait_until(|counts| counts.syncs_begun > begun);
        assert_whole(&log, 0..3);
        append(&log, Codec::None, &[300]);
        assert_whole(&log, 0..4);
        assert!(log.tail_bytes() > 0);
        disk.hold_syncs(false);
        assert_eq!(checkpoint.join().unwrap().end, Offset(3));
    });
}

#[test]
fn every_message_is_there_at_every_moment() {
    const MESSAGES: u64 = 3_000;
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, Options { segment_bytes: 2_000, retention_bytes: Some(8_000), retention_age: None });
    thread::scope(|scope| {
        scope.spawn(|| {
            while log.end().0 < MESSAGES {
                append(&log, Codec::Snappy, &[10, 20, 30]);
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut rng = fastrand::Rng::with_seed(1);
                let mut next = 0;
                while next < MESSAGES {
                    let (start, end) = (log.start().0, log.end().0);
                    next = next.max(start);
                    for offset in [next, rng.u64(start..=end), end].into_iter().filter(|&offset| offset < end) {
                        match log.read(Offset(offset)) {
                            Ok(message) => assert_eq!(message.message_id, id_of(offset)),
                            Err(error) => assert!(offset < log.start().0, "{error}"),
                        }
                    }
                    next += u64::from(next < end);
                }
            });
        }
        scope.spawn(|| {
            let mut done = false;
            while !done {
                done = log.end().0 >= MESSAGES;
                log.flush().unwrap();
                log.retain(Offset(log.end().0 / 2), Timestamp(0)).unwrap();
            }
        });
    });
    let checkpointed = log.checkpoint().unwrap();
    let start = log.start().0;
    assert!(start > 0);
    assert_whole(&open(&disk.kill(), Some(&checkpointed), SMALL), start..MESSAGES);
}
