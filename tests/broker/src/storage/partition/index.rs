//! Where the blocks of one segment are: 12 bytes for each, in memory and, behind a header, in a file.
//!
//! ```text
//!  0          8         12             20    28      36     44
//!  ┌──────────┬─────────┬──────────────┬─────┬───────┬──────┬─────────┬───────┐
//!  │"tmq-idx\0"│ version │ first offset │ end │ bytes │ time │ entries │CRC-32C│   little endian
//!  └──────────┴─────────┴──────────────┴─────┴───────┴──────┴─────────┴───────┘
//! ```
//!
//! `end` is the offset that follows the segment's messages, `bytes` the segment's length and `time` that of its newest
//! block. The checksum is that of everything before it. The file saves a start from reading the segment, and can be
//! made again from it: one that is missing, short or damaged does no harm.

use super::block::{Head, LEAST_BYTES};
use super::segment;
use crate::clock::Timestamp;
use crate::names::Offset;
use crate::storage::record::{HEADER_BYTES as RECORD_HEADER_BYTES, MAX_PAYLOAD_BYTES};

/// The form of the index that is written and read. There is no need to read an older one.
const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"tmq-idx\0";
const HEADER_BYTES: usize = 44;
const ENTRY_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;

/// The length from which a segment takes no further block, whatever it was configured to: an entry counts with 32
/// bits.
const MAX_SEGMENT_BYTES: u64 = 2 << 30;

/// The blocks of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    first: Offset,
    end: Offset,
    bytes: u64,
    newest: Timestamp,
    entries: Vec<Entry>,
}

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// How many messages of the segment are before it.
    before: u32,
    /// The byte of the segment that it begins with.
    at: u32,
    /// The size of its largest message, in bytes.
    largest: u32,
}

/// Where a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The offset of its first message.
    pub(super) first: Offset,
    /// How many messages it has.
    pub(super) count: u64,
    /// The byte of the segment that it begins with, and how many bytes it has.
    pub(super) at: u64,
    pub(super) bytes: u64,
    /// The size of its largest message, in bytes.
    pub(super) largest: u32,
}

impl Index {
    /// The index of a segment without blocks.
    pub(super) fn new(first: Offset) -> Self {
        let bytes = segment::HEADER_BYTES as u64;
        Self { first, end: first, bytes, newest: Timestamp::default(), entries: Vec::new() }
    }

    /// The offset that the segment begins with.
    pub(super) fn first(&self) -> Offset {
        self.first
    }

    /// The offset that follows the segment's messages.
    pub(super) fn end(&self) -> Offset {
        self.end
    }

    /// The length of the segment as far as the index knows it.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When the newest block was appended.
    pub(super) fn newest(&self) -> Timestamp {
        self.newest
    }

    /// Whether such a block may begin at the byte `at` of a segment that is closed at this length. The first one may.
    pub(super) fn takes(&self, head: &Head, at: u64, segment_bytes: u64) -> bool {
        let messages = head.end().0.saturating_sub(self.first.0);
        let room = at < segment_bytes.min(MAX_SEGMENT_BYTES) && messages <= u64::from(u32::MAX);
        at == segment::HEADER_BYTES as u64 || room
    }

    /// Adds the block that follows.
    pub(super) fn push(&mut self, head: &Head, bytes: usize) {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let (before, at) = (narrow(self.end.0 - self.first.0), narrow(self.bytes));
        self.entries.push(Entry { before, at, largest: head.largest });
        (self.end, self.newest) = (head.end(), self.newest.max(head.time));
        self.bytes += bytes as u64;
    }

    /// Gives back the memory that was reserved for blocks to come.
    pub(super) fn close(&mut self) {
        self.entries.shrink_to_fit();
    }

    /// The block that has the message of this offset.
    pub(super) fn find(&self, offset: Offset) -> Option<Place> {
        let before = offset.0.checked_sub(self.first.0).filter(|_| offset < self.end)?;
        let after = self.entries.partition_point(|entry| u64::from(entry.before) <= before);
        self.place(after.checked_sub(1)?)
    }

    /// Where all blocks are, in order.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        (0..self.entries.len()).filter_map(|index| self.place(index))
    }

    fn place(&self, index: usize) -> Option<Place> {
        let entry = self.entries.get(index)?;
        let next = self.entries.get(index + 1);
        let before_next = next.map_or(self.end.0 - self.first.0, |next| u64::from(next.before));
        let end = next.map_or(self.bytes, |next| u64::from(next.at));
        Some(Place {
            first: Offset(self.first.0 + u64::from(entry.before)),
            count: before_next - u64::from(entry.before),
            at: u64::from(entry.at),
            bytes: end - u64::from(entry.at),
            largest: entry.largest,
        })
    }

    /// The index of the blocks that begin below this byte but for the last of them, so that reading on from there
    /// shows whether a block ends at the byte. What is newest is known again only after that.
    pub(super) fn cut(mut self, bytes: u64) -> Self {
        let within = self.entries.partition_point(|entry| u64::from(entry.at) < bytes);
        let kept = within.saturating_sub(1);
        match self.entries.get(kept) {
            Some(first_out) => {
                self.end = Offset(self.first.0 + u64::from(first_out.before));
                self.bytes = u64::from(first_out.at);
                self.newest = Timestamp::default();
                self.entries.truncate(kept);
                self
            }
            None => Self::new(self.first),
        }
    }

    /// The length of the index's file.
    pub(super) fn file_bytes(&self) -> u64 {
        (HEADER_BYTES + self.entries.len() * ENTRY_BYTES + CHECKSUM_BYTES) as u64
    }

    /// The most that the index of a segment of this length can have.
    pub(super) fn most_file_bytes(segment_bytes: u64) -> u64 {
        let blocks = segment_bytes / LEAST_BYTES as u64 + 1;
        (HEADER_BYTES + CHECKSUM_BYTES) as u64 + blocks * ENTRY_BYTES as u64
    }

    /// The index as a file holds it.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.entries.len() * ENTRY_BYTES + CHECKSUM_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        for number in [self.first.0, self.end.0, self.bytes, self.newest.0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for entry in &self.entries {
            for number in [entry.before, entry.at, entry.largest] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The index of the segment that begins with this offset, as its file holds it; `None` if it is not whole.
    pub(super) fn of_bytes(bytes: &[u8], first: Offset) -> Option<Self> {
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (header, entries) = content.split_first_chunk::<HEADER_BYTES>()?;
        let (&version, numbers) = header.strip_prefix(&MAGIC)?.split_first_chunk::<4>()?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let &[stated, end, length, newest] = numbers else { return None };
        let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
        let entry = |[a, b, c, d, e, f, g, h, i, j, k, l]: &[u8; ENTRY_BYTES]| Entry {
            before: u32::from_le_bytes([*a, *b, *c, *d]),
            at: u32::from_le_bytes([*e, *f, *g, *h]),
            largest: u32::from_le_bytes([*i, *j, *k, *l]),
        };
        let index = Self {
            first: Offset(u64::from_le_bytes(stated)),
            end: Offset(u64::from_le_bytes(end)),
            bytes: u64::from_le_bytes(length),
            newest: Timestamp(u64::from_le_bytes(newest)),
            entries: entries.iter().map(entry).collect(),
        };
        let whole =
            u32::from_le_bytes(version) == VERSION && index.first == first && index.file_bytes() == bytes.len() as u64;
        (whole && index.is_consistent()).then_some(index)
    }

    /// Whether every block follows the one before it and can be one.
    fn is_consistent(&self) -> bool {
        let (mut before, mut at) = (0, segment::HEADER_BYTES as u64);
        let ends = self.entries.iter().skip(1).map(|next| (u64::from(next.before), u64::from(next.at)));
        let Some(messages) = self.end.0.checked_sub(self.first.0) else { return false };
        let last = (!self.entries.is_empty()).then_some((messages, self.bytes));
        for (entry, (before_next, end)) in self.entries.iter().zip(ends.chain(last)) {
            let least = LEAST_BYTES as u64;
            let most = (RECORD_HEADER_BYTES + MAX_PAYLOAD_BYTES) as u64;
            let follows = u64::from(entry.before) == before && u64::from(entry.at) == at;
            if !follows || before_next <= before || end < at + least || end > at + most {
                return false;
            }
            (before, at) = (before_next, end);
        }
        (before, at) == (messages, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn indexed(first: Offset, blocks: &[(u16, usize, u32)]) -> Index {
        let mut index = Index::new(first);
        for &(count, bytes, largest) in blocks {
            let head = Head { first: index.end(), count, time: Timestamp(u64::from(largest)), length: 0, largest };
            index.push(&head, bytes);
        }
        index
    }

    fn blocks() -> impl Strategy<Value = Vec<(u16, usize, u32)>> {
        prop::collection::vec((1..40_u16, LEAST_BYTES..500, any::<u32>()), 0..30)
    }

    proptest! {
        #[test]
        fn every_offset_is_found_in_its_block(first in 0..1_u64 << 40, blocks in blocks()) {
            let index = indexed(Offset(first), &blocks);
            let (mut offset, mut at) = (first, segment::HEADER_BYTES as u64);
            for (count, bytes, largest) in blocks {
                let count = u64::from(count);
                let place = Place { first: Offset(offset), count, at, bytes: bytes as u64, largest };
                for within in [offset, offset + count - 1] {
                    prop_assert_eq!(index.find(Offset(within)), Some(place));
                }
                (offset, at) = (offset + count, at + place.bytes);
            }
            prop_assert_eq!(index.find(Offset(offset)), None);
            prop_assert_eq!(first.checked_sub(1).and_then(|before| index.find(Offset(before))), None);
        }

        #[test]
        fn what_was_written_is_read_and_no_change_goes_unseen(
            first in 0..1_u64 << 40,
            blocks in blocks(),
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let index = indexed(Offset(first), &blocks);
            let mut bytes = index.to_bytes();
            prop_assert_eq!(bytes.len() as u64, index.file_bytes());
            prop_assert!(index.file_bytes() <= Index::most_file_bytes(index.bytes()));
            prop_assert_eq!(Index::of_bytes(&bytes, Offset(first)), Some(index.clone()));
            prop_assert_eq!(Index::of_bytes(&bytes, Offset(first + 1)), None);
            let at = at.index(bytes.len());
            prop_assert_eq!(Index::of_bytes(&bytes[..at], Offset(first)), None);
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(Index::of_bytes(&bytes, Offset(first)), None);
        }

        #[test]
        fn a_cut_leaves_out_all_from_the_last_block_before_it(
            blocks in blocks(),
            at in 0..20_000_u64,
        ) {
            let index = indexed(Offset(5), &blocks);
            let kept = index.places().filter(|place| place.at < at).count().saturating_sub(1);
            let cut = index.clone().cut(at);
            let places: Vec<Place> = index.places().take(kept).collect();
            prop_assert_eq!(cut.places().collect::<Vec<_>>(), places);
        }
    }

    #[test]
    fn a_block_that_goes_back_is_no_index_whatever_its_checksum_says() {
        let mut index = indexed(Offset(0), &[(1, 100, 1), (1, 100, 1)]);
        index.entries.swap(0, 1);
        assert_eq!(Index::of_bytes(&index.to_bytes(), Offset(0)), None);
    }
}
