//! The disk is full, or fails.

use super::*;

#[tokio::test]
async fn a_full_disk_refuses_for_a_while_and_loses_nothing() {
    // Wherever the room ends: before the entry, in its header, in its payload.
    for room in [0, 7, 20] {
        let disk = SimulatedDisk::default();
        let wal = log_of(&disk, &["first"]).await;
        let length = disk.read(&file_of(1)).len();
        disk.set_capacity(Some(length as u64 + room));
        let second = append(&wal, "second");
        assert!(matches!(reached(&wal, second).await, Err(StorageError::NoRoom { .. })));
        assert!(matches!(wal.admit(), Err(StorageError::NoRoom { .. })));
        assert!(matches!(wal.sync().await, Err(StorageError::NoRoom { .. })));
        // What happens by itself is kept until there is room.
        let third = append(&wal, "third");
        assert!(matches!(reached(&wal, third).await, Err(StorageError::NoRoom { .. })));
        let syncs = disk.counts().syncs;
        disk.set_capacity(None);
        disk.wait_until(|counts| counts.syncs > syncs);
        while wal.admit().is_err() {
            std::thread::yield_now();
        }
        reached(&wal, third).await.unwrap();
        write(&wal, "fourth").await;
        let (_, entries) = open(&disk.crash(room), Fsync::Always);
        assert_eq!(entries, replayed(&["first", "second", "third", "fourth"]));
    }
}

#[tokio::test]
async fn a_full_disk_leaves_no_part_of_an_entry_behind() {
    let disk = SimulatedDisk::default();
    let wal = log_of(&disk, &["first"]).await;
    let whole = disk.read(&file_of(1));
    disk.set_capacity(Some(whole.len() as u64 + 7));
    let second = append(&wal, "second");
    assert!(matches!(reached(&wal, second).await, Err(StorageError::NoRoom { .. })));
    wal.close();
    assert_eq!(disk.read(&file_of(1)), whole);
    assert!(matches!(reached(&wal, second).await, Err(StorageError::Stopped { .. })));
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_for_good() {
    let disk = SimulatedDisk::default();
    let wal = log_of(&disk, &["first"]).await;
    disk.fail_sync(1);
    let second = append(&wal, "second");
    let Err(StorageError::Stopped { reason }) = reached(&wal, second).await else { panic!("the sync failed") };
    assert!(reason.contains("the disk failed to sync"), "{reason}");
    // Syncs go well again, which says nothing of what was written before.
    let writes = disk.counts().writes;
    for refused in [wal.append(&[b"third"]).map(|_| ()), wal.admit(), wal.sync().await, reached(&wal, second).await] {
        let Err(StorageError::Stopped { reason: again }) = refused else { panic!("{refused:?}") };
        assert_eq!(again, reason);
    }
    wal.close();
    assert_eq!(disk.counts().writes, writes);
}

#[tokio::test]
async fn a_new_file_that_cannot_be_made_durable_stops_the_log() {
    // The sync of the new file, and that of the directory.
    for nth in 1..=2 {
        let disk = SimulatedDisk::default();
        let wal = log_of(&disk, &["first"]).await;
        disk.fail_sync(nth);
        wal.rotate();
        // The file may have been begun, and the log stopped, before this is appended.
        let outcome = match wal.append(&[b"second"]) {
            Ok(second) => reached(&wal, second).await,
            Err(error) => Err(error),
        };
        assert!(matches!(outcome, Err(StorageError::Stopped { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn whoever_finds_the_disk_unreliable_stops_the_log() {
    let disk = SimulatedDisk::default();
    let wal = log_of(&disk, &["first"]).await;
    wal.stop("the segments cannot be synced");
    let Err(StorageError::Stopped { reason }) = wal.admit() else { panic!("it was stopped") };
    assert_eq!(&*reason, "the segments cannot be synced");
}
