//! When an entry is durable, and what that costs.

use super::*;

#[tokio::test]
async fn all_that_gathers_during_a_sync_is_served_by_the_next_one() {
    let disk = SimulatedDisk::default();
    let wal = log_of(&disk, &["first"]).await;
    let before = disk.counts();
    disk.hold_syncs(true);
    let second = wal.durable(append(&wal, "second")).unwrap();
    disk.wait_until(|counts| counts.syncs_begun > before.syncs_begun);
    let waiting: Vec<Reached> = (0..100).filter_map(|_| wal.durable(append(&wal, "more"))).collect();
    assert_eq!(waiting.len(), 100);
    disk.hold_syncs(false);
    second.await.unwrap();
    for reached in waiting {
        reached.await.unwrap();
    }
    assert_eq!(disk.counts().syncs - before.syncs, 2);
    assert_eq!(disk.counts().writes - before.writes, 2);
    assert!(wal.durable(wal.end()).is_none());
}

#[tokio::test]
async fn nobody_is_told_before_the_sync_has_ended() {
    let disk = SimulatedDisk::default();
    let wal = log_of(&disk, &["first"]).await;
    let before = disk.counts();
    disk.hold_syncs(true);
    let mut second = wal.durable(append(&wal, "second")).unwrap();
    disk.wait_until(|counts| counts.syncs_begun > before.syncs_begun);
    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(second.as_mut().poll(context))).await;
    assert!(polled.is_pending());
    disk.hold_syncs(false);
    second.await.unwrap();
}

#[tokio::test]
async fn with_an_interval_or_never_a_mark_is_reached_by_the_write_and_a_sync_can_be_asked_for() {
    for fsync in [MINUTE, Fsync::Never] {
        let disk = SimulatedDisk::default();
        let (wal, _) = open(&disk, fsync);
        write(&wal, "first").await;
        let before = disk.counts();
        write(&wal, "second").await;
        assert_eq!(disk.counts().syncs_begun, before.syncs_begun, "{fsync:?}");
        wal.sync().await.unwrap();
        assert_eq!(disk.counts().syncs, before.syncs + 1, "{fsync:?}");
        let (_, entries) = open(&disk.crash(0), fsync);
        assert_eq!(entries, replayed(&["first", "second"]));
    }
}

#[tokio::test]
async fn a_sync_waits_for_what_is_appended_and_not_yet_written() {
    let disk = SimulatedDisk::default();
    let (wal, _) = open(&disk, Fsync::Never);
    append(&wal, "first");
    wal.sync().await.unwrap();
    let (_, entries) = open(&disk.crash(7), Fsync::Never);
    assert_eq!(entries, replayed(&["first"]));
}

#[tokio::test]
async fn with_an_interval_the_sync_comes_by_itself() {
    let disk = SimulatedDisk::default();
    let (wal, _) = open(&disk, Fsync::Interval(Millis(1)));
    write(&wal, "first").await;
    let before = disk.counts().syncs;
    append(&wal, "second");
    disk.wait_until(|counts| counts.syncs > before);
}

#[tokio::test]
async fn closing_writes_and_syncs_what_is_pending() {
    for seed in 0..20 {
        let disk = SimulatedDisk::default();
        let (wal, _) = open(&disk, Fsync::Never);
        let entries = ["a", "b", "c"];
        for entry in entries {
            append(&wal, entry);
        }
        wal.close();
        assert!(matches!(wal.append(&[b"d"]), Err(StorageError::Stopped { .. })));
        assert_eq!(open(&disk.crash(seed), Fsync::Never).1, replayed(&entries));
    }
}

#[tokio::test]
async fn an_entry_over_the_size_of_a_record_is_refused_alone() {
    use crate::storage::record::MAX_PAYLOAD_BYTES;
    let disk = SimulatedDisk::default();
    let wal = log_of(&disk, &[]).await;
    let large = vec![0; MAX_PAYLOAD_BYTES];
    let limit = MAX_PAYLOAD_BYTES;
    let refused = wal.append(&[&large, b"x"]).unwrap_err();
    assert!(matches!(refused, StorageError::EntryTooLarge { bytes, limit: of } if (bytes, of) == (limit + 1, limit)));
    write(&wal, "small").await;
    drop(wal);
    assert_eq!(open(&disk, Fsync::Always).1, replayed(&["small"]));
}
