//! A record, the unit of every log: a header of 16 bytes and a payload.
//!
//! ```text
//!  0       4       8     9     10     12      16
//!  ┌───────┬───────┬─────┬─────┬──────┬───────┬─────────┐
//!  │length │CRC-32C│codec│kind │count │ place │ payload │   little endian
//!  └───────┴───────┴─────┴─────┴──────┴───────┴─────────┘
//! ```
//!
//! `length` is that of the payload. The checksum covers the header's other bytes, the length among them, and the
//! payload. `place` is the low half of the record's offset or mark: bytes that were left over from elsewhere are not
//! taken for a record of this place.

use super::codec::Codec;

/// The bytes of a header.
pub(crate) const HEADER_BYTES: usize = 16;

/// The largest payload. A length beyond it is damage, and is found before anything is allocated for it.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Messages of one partition, in a segment.
    Messages,
    /// An entry of the write-ahead log.
    Journal,
    /// A part of a snapshot.
    Snapshot,
}

/// What a header says beside the length and the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) codec: Codec,
    pub(crate) kind: Kind,
    /// How many messages the payload has. In an entry of the write-ahead log, what its docs say.
    pub(crate) count: u16,
    pub(crate) place: u32,
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRecord {
    /// They end before the record does: it was being written.
    #[error("the record is cut short")]
    Short,
    #[error("the record's length of {0} bytes is more than {MAX_PAYLOAD_BYTES}")]
    Length(u32),
    #[error("the record's checksum is {stated:08x}, that of its bytes {found:08x}")]
    Checksum { stated: u32, found: u32 },
    #[error("the record's kind is {0}, which there is not")]
    Kind(u8),
    #[error("the record's codec is {0}, which there is not")]
    Codec(u8),
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Messages => 1,
            Self::Journal => 2,
            Self::Snapshot => 3,
        }
    }
}

/// Writes the record's header into the first [`HEADER_BYTES`] of `record`, whose rest is the payload.
///
/// # Panics
/// If `record` is shorter than a header or longer than a record may be.
pub(crate) fn seal(record: &mut [u8], header: Header) {
    let (head, payload) = record.split_at_mut(HEADER_BYTES);
    assert!(payload.len() <= MAX_PAYLOAD_BYTES, "the payload is {} bytes", payload.len());
    head[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[8] = header.codec.flag();
    head[9] = header.kind.number();
    head[10..12].copy_from_slice(&header.count.to_le_bytes());
    head[12..].copy_from_slice(&header.place.to_le_bytes());
    let checksum = checksum(head, payload);
    head[4..8].copy_from_slice(&checksum.to_le_bytes());
}

/// How long the whole record is whose header these bytes begin with, as the header says; not yet checked.
pub(crate) fn stated_len(bytes: &[u8]) -> Result<usize, NoRecord> {
    let length = word(bytes.get(..4).ok_or(NoRecord::Short)?);
    if length as usize > MAX_PAYLOAD_BYTES {
        return Err(NoRecord::Length(length));
    }
    Ok(HEADER_BYTES + length as usize)
}

/// Reads the record that these bytes begin with: its header and its payload.
pub(crate) fn open(bytes: &[u8]) -> Result<(Header, &[u8]), NoRecord> {
    let record = bytes.get(..stated_len(bytes)?).ok_or(NoRecord::Short)?;
    let (head, payload) = record.split_at(HEADER_BYTES);
    let (stated, found) = (word(&head[4..8]), checksum(head, payload));
    if stated != found {
        return Err(NoRecord::Checksum { stated, found });
    }
    Ok((header(head)?, payload))
}

/// The header that these bytes begin with; not yet checked.
pub(crate) fn header(bytes: &[u8]) -> Result<Header, NoRecord> {
    let head = bytes.get(..HEADER_BYTES).ok_or(NoRecord::Short)?;
    let kind = [Kind::Messages, Kind::Journal, Kind::Snapshot].into_iter().find(|kind| kind.number() == head[9]);
    Ok(Header {
        codec: Codec::of_flag(head[8]).ok_or(NoRecord::Codec(head[8]))?,
        kind: kind.ok_or(NoRecord::Kind(head[9]))?,
        count: u16::from_le_bytes([head[10], head[11]]),
        place: word(&head[12..]),
    })
}

fn checksum(head: &[u8], payload: &[u8]) -> u32 {
    let sum = crc32c::crc32c_append(crc32c::crc32c(&head[..4]), &head[8..]);
    crc32c::crc32c_append(sum, payload)
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealed(payload: &[u8], header: Header) -> Vec<u8> {
        let mut record = vec![0; HEADER_BYTES];
        record.extend_from_slice(payload);
        seal(&mut record, header);
        record
    }

    const HEADER: Header = Header { codec: Codec::Zstd, kind: Kind::Journal, count: 3, place: 0xfedc_ba98 };

    #[test]
    fn a_zeroed_file_is_no_record() {
        assert_eq!(open(&[0; 64]).unwrap_err(), NoRecord::Checksum { stated: 0, found: checksum(&[0; 16], &[]) });
    }

    #[test]
    fn a_great_length_is_found_before_it_is_believed() {
        let mut record = sealed(b"x", HEADER);
        record[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(open(&record).unwrap_err(), NoRecord::Length(u32::MAX));
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_read(payload in prop::collection::vec(any::<u8>(), 0..200), tail in any::<[u8; 7]>()) {
            let mut bytes = sealed(&payload, HEADER);
            bytes.extend_from_slice(&tail);
            prop_assert_eq!(open(&bytes).unwrap(), (HEADER, &payload[..]));
        }

        #[test]
        fn no_flipped_bit_and_no_cut_goes_unseen(
            payload in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let record = sealed(&payload, HEADER);
            let cut = at.index(record.len());
            prop_assert_eq!(open(&record[..cut]).unwrap_err(), NoRecord::Short);
            let mut flipped = record;
            flipped[cut] ^= 1 << bit;
            prop_assert!(open(&flipped).is_err());
        }
    }
}
