//! An entry of the log: a record whose place is the low half of its mark.
//!
//! The record's `count` says how many entries, up to this one and with it, were not known to be durable when it was
//! written. So a whole entry vouches for those before them: they were on the disk.

use crate::storage::Mark;
use crate::storage::codec::Codec;
use crate::storage::record::{self, HEADER_BYTES, Header, Kind, NoRecord};

/// Why bytes are not the entry that should be there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoEntry {
    #[error(transparent)]
    Record(#[from] NoRecord),
    #[error("the record is one of another log: {0:?}")]
    Kind(Kind),
    #[error("the record's place is {found}, that of the entry is {expected}")]
    Place { expected: u32, found: u32 },
}

/// Appends an unsealed entry: a header that says its length alone, and the payload.
///
/// # Panics
/// If the payload is 4 GiB or longer.
pub(super) fn push(buffer: &mut Vec<u8>, parts: &[&[u8]], length: usize) {
    let length = u32::try_from(length).unwrap_or_else(|_| panic!("the payload is {length} bytes"));
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&[0; HEADER_BYTES - 4]);
    for part in parts {
        buffer.extend_from_slice(part);
    }
}

/// Seals the entries in `buffer`, which were pushed one after the other; the first has the mark `first`, and
/// everything up to `synced` is durable. Returns the mark of the last one, the one before `first` if there is none.
pub(super) fn seal_all(buffer: &mut [u8], first: Mark, synced: Mark) -> Mark {
    let (mut rest, mut mark) = (buffer, first);
    while let Ok(length) = record::stated_len(rest) {
        let (entry, further) = rest.split_at_mut(length);
        let unsynced = u16::try_from(mark.0 - synced.0).unwrap_or(u16::MAX);
        record::seal(entry, Header { codec: Codec::None, kind: Kind::Journal, count: unsynced, place: place(mark) });
        (rest, mark) = (further, Mark(mark.0 + 1));
    }
    Mark(mark.0 - 1)
}

/// The payload of the entry of this mark, which is all of these bytes.
pub(super) fn open(bytes: &[u8], mark: Mark) -> Result<&[u8], NoEntry> {
    let (header, payload) = record::open(bytes)?;
    if header.kind != Kind::Journal {
        return Err(NoEntry::Kind(header.kind));
    }
    match header.place == place(mark) {
        true => Ok(payload),
        false => Err(NoEntry::Place { expected: place(mark), found: header.place }),
    }
}

/// Whether a record with such a header would be an entry after `mark` that proves the one of `mark` to have been
/// durable; `within` is how many entries there may be from `mark` on.
pub(super) fn vouches_for(bytes: &[u8], mark: Mark, within: u64) -> bool {
    let Ok(header) = record::header(bytes) else { return false };
    let after = u64::from(header.place.wrapping_sub(place(mark)));
    // The largest count stands for every larger one.
    let unsynced = if header.count == u16::MAX { u64::MAX } else { u64::from(header.count) };
    header.kind == Kind::Journal && header.codec == Codec::None && after <= within && unsynced <= after
}

fn place(mark: Mark) -> u32 {
    mark.0 as u32
}
