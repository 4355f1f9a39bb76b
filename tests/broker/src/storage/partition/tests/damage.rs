//! What the disk gives back is not what was written.

use super::*;

/// A disk with three closed segments of three blocks each and a block in a fourth, and the checkpoint of it.
fn stand() -> (SimulatedDisk, Checkpointed) {
    let disk = SimulatedDisk::default();
    let log = open(&disk, None, SMALL);
    write_blocks(&log, 10);
    let checkpointed = log.checkpoint().unwrap();
    (disk.kill(), checkpointed)
}

/// Where the second block of the second segment begins.
fn place_of_4(disk: &SimulatedDisk, from: &Checkpointed) -> Place {
    let log = open(disk, Some(from), SMALL);
    let Some(Found::Segment(stored)) = log.state.read().find(Offset(4)) else { panic!("it is on the disk") };
    assert_eq!(stored.segment, Offset(3));
    stored.place
}

#[test]
fn a_flipped_bit_is_damage_that_names_the_file_and_the_byte() {
    let (disk, checkpointed) = stand();
    let place = place_of_4(&disk, &checkpointed);
    for byte in [0, 4, 8, 12, 16, 40, place.bytes - 1] {
        disk.flip_bit(&segment(3), place.at + byte, 3);
        let log = open(&disk, Some(&checkpointed), SMALL);
        for _ in 0..2 {
            let Err(StorageError::Damaged { partition, offset, reason }) = log.read(Offset(4)) else {
                panic!("{byte}")
            };
            assert_eq!((partition, offset), (PARTITION, Offset(4)));
            let named = format!("{} is damaged at byte {}: ", segment(3).display(), place.at);
            assert!(reason.starts_with(&named), "{reason}");
        }
        for whole in [3, 5] {
            assert_eq!(log.read(Offset(whole)).unwrap().message_id, id_of(whole));
        }
        disk.flip_bit(&segment(3), place.at + byte, 3);
    }
    assert_whole(&open(&disk, Some(&checkpointed), SMALL), 0..10);
}

#[test]
fn verifying_tells_of_a_damaged_block_and_goes_on_behind_it() {
    let (disk, checkpointed) = stand();
    let place = place_of_4(&disk, &checkpointed);
    // Its length is damaged; the index knows where the next one begins.
    disk.flip_bit(&segment(3), place.at + 1, 0);
    let log = open(&disk, Some(&checkpointed), SMALL);
    append(&log, Codec::None, &[1, 1]);
    let (found, outcome) = verified(&log);
    assert_eq!(outcome, Ok(()));
    let told: Vec<_> = found.iter().map(|found| (found.first.0, found.count, found.messages.is_ok())).collect();
    let mut expected: Vec<_> = (0..10).map(|first| (first, 1, first != 4)).collect();
    expected.push((10, 2, true));
    assert_eq!(told, expected);
    let damage = found[4].messages.as_ref().unwrap_err().to_string();
    assert!(damage.contains(&segment(3).display().to_string()), "{damage}");
}

#[test]
fn a_segment_that_goes_away_is_told_of() {
    let (disk, checkpointed) = stand();
    let log = open(&disk, Some(&checkpointed), SMALL);
    disk.remove(&segment(6)).unwrap();
    let (found, outcome) = verified(&log);
    assert_eq!(found.len(), 6);
    assert!(outcome.unwrap_err().to_string().contains(&segment(6).display().to_string()));
    let Err(StorageError::Refused { reason }) = log.read(Offset(6)) else { panic!("the file is gone") };
    assert!(reason.contains(&segment(6).display().to_string()), "{reason}");
}

#[test]
fn a_damaged_segment_without_an_index_is_not_opened() {
    let (disk, checkpointed) = stand();
    let place = place_of_4(&disk, &checkpointed);
    for byte in 0..place.bytes {
        disk.flip_bit(&segment(3), place.at + byte, 5);
        disk.remove(&index(3)).unwrap();
        let Err(OpenError::Damaged(damage)) = try_open(&disk, Some(&checkpointed), SMALL) else { panic!("{byte}") };
        assert_eq!((damage.file, damage.at), (segment(3), place.at), "{byte}");
        disk.flip_bit(&segment(3), place.at + byte, 5);
        assert_whole(&open(&disk, Some(&checkpointed), SMALL), 0..10);
    }
}

#[test]
fn a_damaged_header_is_not_opened() {
    let (disk, checkpointed) = stand();
    for byte in 0..segment::HEADER_BYTES as u64 {
        disk.flip_bit(&segment(3), byte, 1);
        let Err(OpenError::Damaged(damage)) = try_open(&disk, Some(&checkpointed), SMALL) else { panic!("{byte}") };
        assert_eq!((damage.file, damage.at), (segment(3), 0));
        disk.flip_bit(&segment(3), byte, 1);
    }
    let mut other = disk.read(&segment(3));
    other[..segment::HEADER_BYTES].copy_from_slice(&segment::header(Offset(0)));
    disk.replace(&segment(3), &other);
    assert!(matches!(try_open(&disk, Some(&checkpointed), SMALL), Err(OpenError::Damaged(_))));
}

#[test]
fn a_segment_of_another_version_is_refused_as_such() {
    let (disk, checkpointed) = stand();
    let mut other = disk.read(&segment(3));
    other[8] = 2;
    let checksum = crc32c::crc32c(&other[..20]);
    other[20..24].copy_from_slice(&checksum.to_le_bytes());
    disk.replace(&segment(3), &other);
    let Err(OpenError::Version { path, found: 2 }) = try_open(&disk, Some(&checkpointed), SMALL) else { panic!() };
    assert_eq!(path, segment(3));
}

#[test]
fn a_checkpointed_segment_that_is_short_or_missing_is_not_opened() {
    let (disk, checkpointed) = stand();
    for first in [3, 6, 9] {
        let whole = disk.read(&segment(first));
        for cut in [0, 10, 24, 50, whole.len() as u64 - 1] {
            disk.cut(&segment(first), cut);
            let Err(OpenError::Damaged(damage)) = try_open(&disk, Some(&checkpointed), SMALL) else {
                panic!("segment {first} cut at {cut}")
            };
            assert_eq!(damage.file, segment(first));
        }
        disk.remove(&segment(first)).unwrap();
        let error = try_open(&disk, Some(&checkpointed), SMALL).err().unwrap().to_string();
        // Of a segment in the middle, the one before it does not lead to what follows.
        let named = if first == 9 { first } else { first - 3 };
        assert!(error.contains(&segment(named).display().to_string()), "{error}");
        disk.replace(&segment(first), &whole);
        assert_whole(&open(&disk, Some(&checkpointed), SMALL), 0..10);
    }
}

#[test]
fn a_block_of_the_journal_that_cannot_be_decoded_is_told_of() {
    let log = open(&SimulatedDisk::default(), None, SMALL);
    let block = Block::encode(Offset(0), &[message(0, 9)], Codec::None, Timestamp(0));
    let mut record = block.record().to_vec();
    let (mut header, _) = crate::storage::record::open(&record).unwrap();
    header.codec = Codec::Snappy;
    crate::storage::record::seal(&mut record, header);
    log.append(Block::open(&record.into(), Offset(0)).unwrap());
    assert!(matches!(log.read(Offset(0)), Err(StorageError::Damaged { .. })));
    let (found, outcome) = verified(&log);
    assert!(found[0].messages.is_err());
    assert_eq!(outcome, Ok(()));
}
