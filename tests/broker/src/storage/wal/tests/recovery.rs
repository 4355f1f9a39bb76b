//! What a start makes of what it finds.

use super::*;
use crate::storage::record::HEADER_BYTES as RECORD_HEADER_BYTES;

/// The bytes of an entry with such a payload.
fn entry_bytes(payload: &str) -> u64 {
    (RECORD_HEADER_BYTES + payload.len()) as u64
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_and_the_log_goes_on_there() {
    let disk = SimulatedDisk::default();
    log_of(&disk, &["first", "second"]).await;
    let whole = disk.read(&file_of(1));
    for torn in 1..=entry_bytes("second") {
        let disk = disk.kill();
        disk.cut(&file_of(1), whole.len() as u64 - torn);
        let (wal, entries) = open(&disk, Fsync::Always);
        assert_eq!(entries, replayed(&["first"]));
        assert_eq!(disk.read(&file_of(1)).len() as u64, whole.len() as u64 - entry_bytes("second"));
        write(&wal, "other").await;
        drop(wal);
        assert_eq!(open(&disk, Fsync::Always).1, replayed(&["first", "other"]));
    }
}

#[tokio::test]
async fn a_file_whose_header_was_not_written_whole_is_begun_again() {
    let disk = SimulatedDisk::default();
    let wal = log_of(&disk, &["first"]).await;
    wal.rotate();
    write(&wal, "second").await;
    drop(wal);
    for length in 0..file::HEADER_BYTES as u64 {
        let disk = disk.kill();
        disk.cut(&file_of(2), length);
        let (wal, entries) = open(&disk, Fsync::Always);
        assert_eq!(entries, replayed(&["first"]));
        write(&wal, "other").await;
        drop(wal);
        assert_eq!(open(&disk, Fsync::Always).1, replayed(&["first", "other"]));
    }
}

#[tokio::test]
async fn a_flipped_bit_before_an_entry_that_vouches_for_it_is_damage() {
    let disk = SimulatedDisk::default();
    log_of(&disk, &["first", "second", "third"]).await;
    let second = file::HEADER_BYTES as u64 + entry_bytes("first");
    for byte in 0..entry_bytes("second") {
        let disk = disk.kill();
        disk.flip_bit(&file_of(1), second + byte, 4);
        let error = try_open(&disk, 0, Fsync::Always).err().unwrap();
        let named = format!("{} is damaged at byte {second}: ", file_of(1).display());
        assert!(error.to_string().starts_with(&named), "{error}");
        assert!(matches!(error, WalError::Damaged { .. }));
    }
}

#[tokio::test]
async fn a_flipped_bit_of_the_last_entry_cannot_be_told_from_a_torn_one() {
    let disk = SimulatedDisk::default();
    log_of(&disk, &["first", "second"]).await;
    let last = file::HEADER_BYTES as u64 + entry_bytes("first");
    for byte in 0..entry_bytes("second") {
        let disk = disk.kill();
        disk.flip_bit(&file_of(1), last + byte, 4);
        assert_eq!(open(&disk, Fsync::Always).1, replayed(&["first"]));
    }
}

#[tokio::test]
async fn any_break_in_an_earlier_file_is_damage() {
    let disk = SimulatedDisk::default();
    let wal = log_of(&disk, &["first"]).await;
    wal.rotate();
    write(&wal, "second").await;
    drop(wal);
    let length = disk.read(&file_of(1)).len() as u64;
    for cut in [0, 10, 24, length - 1] {
        let disk = disk.kill();
        disk.cut(&file_of(1), cut);
        let Err(WalError::Damaged { file, .. }) = try_open(&disk, 0, Fsync::Always) else {
            // The file ends with an entry, and the next begins too late for it.
            assert_eq!(cut, 24);
            assert!(matches!(
                try_open(&disk, 0, Fsync::Always),
                Err(WalError::Missing { from: Mark(1), to: Mark(1), .. })
            ));
            continue;
        };
        assert_eq!(file, file_of(1));
    }
}

#[tokio::test]
async fn a_missing_file_is_missed_unless_it_is_not_needed() {
    let disk = SimulatedDisk::default();
    let wal = log_of(&disk, &["first"]).await;
    for entry in ["second", "third"] {
        wal.rotate();
        write(&wal, entry).await;
    }
    drop(wal);
    disk.remove(&file_of(2)).unwrap();
    let missing = try_open(&disk, 0, Fsync::Always).err().unwrap();
    assert!(matches!(missing, WalError::Missing { from: Mark(2), to: Mark(2), .. }), "{missing}");
    let missing = try_open(&disk, 1, Fsync::Always).err().unwrap();
    assert!(matches!(missing, WalError::Missing { from: Mark(2), to: Mark(2), .. }), "{missing}");
    let (_, entries) = try_open(&disk, 2, Fsync::Always).unwrap();
    assert_eq!(entries, [(Mark(3), b"third".to_vec())]);
}

#[tokio::test]
async fn old_files_are_removed_and_the_rest_is_read_from_there() {
    let disk = SimulatedDisk::default();
    let wal = log_of(&disk, &["a", "b", "c"]).await;
    assert_eq!(wal.rotate(), Mark(3));
    assert_eq!(wal.rotate(), Mark(3));
    assert_eq!(wal.bytes_since_rotation(), 0);
    for entry in ["d", "e"] {
        write(&wal, entry).await;
    }
    assert_eq!(wal.bytes_since_rotation(), 2 * entry_bytes("d"));
    wal.remove_through(Mark(2)).unwrap();
    assert_eq!(files(&disk).len(), 2);
    wal.remove_through(Mark(3)).unwrap();
    assert_eq!(files(&disk), [file::name(Mark(4))]);
    // The file that is written stays, whatever is asked.
    wal.remove_through(Mark(5)).unwrap();
    assert_eq!(files(&disk), [file::name(Mark(4))]);
    drop(wal);
    let (wal, entries) = try_open(&disk, 3, Fsync::Always).unwrap();
    assert_eq!(entries, [(Mark(4), b"d".to_vec()), (Mark(5), b"e".to_vec())]);
    assert_eq!(wal.end(), Mark(5));
    drop(wal);
    let missing = try_open(&disk, 0, Fsync::Always).err().unwrap();
    assert!(matches!(missing, WalError::Missing { from: Mark(1), to: Mark(3), .. }), "{missing}");
}

#[tokio::test]
async fn an_entry_that_nobody_understands_ends_the_start() {
    let disk = SimulatedDisk::default();
    log_of(&disk, &["first", "second"]).await;
    let mut refuse = |mark: Mark, _: &[u8]| if mark == Mark(2) { Err("what is this".to_owned()) } else { Ok(()) };
    let opened = Wal::open(Arc::new(disk), Path::new(DIR), Mark(0), Fsync::Always, &mut refuse);
    assert!(matches!(opened.err().unwrap(), WalError::Replay { mark: Mark(2), reason } if reason == "what is this"));
}
