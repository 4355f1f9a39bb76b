//! A block: messages of one partition that follow one another, as one record.
//!
//! The record's count is the number of messages, its place the low half of the first one's offset. Its payload is
//! a head, which is never compressed, and the messages in the form of postcard, compressed together.
//!
//! ```text
//!  0              8      16       20        24
//!  ┌──────────────┬──────┬────────┬─────────┬──────────┐
//!  │ first offset │ time │ length │ largest │ messages │   little endian
//!  └──────────────┴──────┴────────┴─────────┴──────────┘
//! ```
//!
//! `time` is when they were appended, in Unix milliseconds, `length` that of the messages before they were
//! compressed, and `largest` the size of the largest one: an index answers from it, without a message being read.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::message::Message;
use crate::names::Offset;
use crate::storage::codec::{Codec, DecompressError};
use crate::storage::record::{self, HEADER_BYTES, Header, Kind, MAX_PAYLOAD_BYTES, NoRecord};

/// The bytes of a block's head.
const HEAD_BYTES: usize = 24;

/// The least bytes of a block's record.
pub(super) const LEAST_BYTES: usize = HEADER_BYTES + HEAD_BYTES;

/// What the messages of one block take in memory at most, unless it has one alone. It bounds what is read and decoded
/// for the sake of a single message, and a block of 1 MiB is long enough for zstd to find all it can.
pub(super) const BLOCK_BYTES: usize = 1 << 20;

/// Messages as they are in memory.
pub(crate) type Messages = Arc<[Arc<Message>]>;

/// What is known of a block without its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The offset of its first message.
    pub(crate) first: Offset,
    /// How many messages it has; at least one.
    pub(super) count: u16,
    /// When it was appended.
    pub(super) time: Timestamp,
    /// The bytes of its messages before they were compressed.
    pub(super) length: u32,
    /// The [size](Message::size) of the largest message, in bytes.
    pub(super) largest: u32,
}

impl Head {
    /// The offset that follows its last message.
    pub(super) fn end(&self) -> Offset {
        Offset(self.first.0.saturating_add(u64::from(self.count)))
    }
}

/// Messages of one partition that follow one another, and their record.
pub(crate) struct Block {
    head: Head,
    codec: Codec,
    record: Bytes,
    /// Decoded when they are first asked for, where it was not they who made the block.
    messages: OnceLock<Messages>,
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("head", &self.head).field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// Why bytes are not the block that should be there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoBlock {
    #[error(transparent)]
    Record(#[from] NoRecord),
    #[error("the record is one of another log: {0:?}")]
    Kind(Kind),
    #[error("the record's place is {found}, that of the block is {expected}")]
    Place { expected: u32, found: u32 },
    #[error("the block's first offset is {}, and should be {}", .found.0, .expected.0)]
    First { expected: Offset, found: Offset },
    #[error("the block has no whole head")]
    Head,
    #[error("the block has no messages")]
    Empty,
    #[error("the block's messages are said to be {0} bytes, more than {MAX_PAYLOAD_BYTES}")]
    Length(u32),
    #[error("{0} bytes follow the block")]
    Excess(usize),
    #[error("the block cannot be decompressed: {0}")]
    Compression(#[from] DecompressError),
    #[error("the block's messages cannot be read: {0}")]
    Messages(#[from] postcard::Error),
    #[error("{0} bytes follow the block's messages")]
    MessagesExcess(usize),
}

impl Block {
    /// Encodes messages, of which the first will have this offset. The block keeps them, so that reading them costs
    /// nothing.
    ///
    /// # Panics
    /// If there are none, more than a record counts, or more bytes of them than a record takes; [`split`] makes sure.
    pub(crate) fn encode(first: Offset, messages: &[Arc<Message>], codec: Codec, now: Timestamp) -> Self {
        let count = u16::try_from(messages.len()).unwrap_or(0);
        assert!(count > 0, "a block of {} messages", messages.len());
        let largest = messages.iter().map(|message| message.size()).max().unwrap_or(0);
        let mut record = vec![0; LEAST_BYTES];
        let length = match codec {
            Codec::None => {
                record = serialized(messages, record);
                record.len() - LEAST_BYTES
            }
            codec => {
                let bytes = serialized(messages, Vec::new());
                record.extend_from_slice(&codec.compress(&bytes));
                bytes.len()
            }
        };
        let narrow = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let head = Head { first, count, time: now, length: narrow(length), largest: narrow(largest) };
        assert!(length <= MAX_PAYLOAD_BYTES, "the messages of a block are {length} bytes");
        record[HEADER_BYTES..][..8].copy_from_slice(&head.first.0.to_le_bytes());
        record[HEADER_BYTES..][8..16].copy_from_slice(&head.time.0.to_le_bytes());
        record[HEADER_BYTES..][16..20].copy_from_slice(&head.length.to_le_bytes());
        record[HEADER_BYTES..][20..24].copy_from_slice(&head.largest.to_le_bytes());
        record::seal(&mut record, Header { codec, kind: Kind::Messages, count, place: place(first) });
        Self { head, codec, record: record.into(), messages: OnceLock::from(Messages::from(messages)) }
    }

    /// Takes a record for a block, whose first message has this offset. The checksum is compared; the messages are
    /// not decoded yet.
    pub(crate) fn open(record: &Bytes, first: Offset) -> Result<Self, NoBlock> {
        let (head, codec) = check(record, first)?;
        Ok(Self { head, codec, record: record.clone(), messages: OnceLock::new() })
    }

    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// The record, header and all.
    pub(crate) fn record(&self) -> &Bytes {
        &self.record
    }

    /// The messages; decoded once.
    pub(crate) fn messages(&self) -> Result<Messages, NoBlock> {
        match self.messages.get() {
            Some(messages) => Ok(Arc::clone(messages)),
            None => {
                let messages = self.decode()?;
                Ok(Arc::clone(self.messages.get_or_init(|| messages)))
            }
        }
    }

    /// The messages, if that costs nothing.
    pub(super) fn decoded(&self) -> Option<&Messages> {
        self.messages.get()
    }

    /// About the memory that the block takes once its messages are decoded, in bytes.
    pub(super) fn footprint(&self) -> usize {
        self.record.len() + self.head.length as usize + usize::from(self.head.count) * size_of::<Message>()
    }

    fn decode(&self) -> Result<Messages, NoBlock> {
        let content = self.record.get(LEAST_BYTES..).unwrap_or_default();
        let bytes = self.codec.decompress(content, self.head.length as usize)?;
        let mut rest = &bytes[..];
        let messages = (0..self.head.count).map(|_| {
            let (message, after) = postcard::take_from_bytes(rest)?;
            rest = after;
            Ok(Arc::new(message))
        });
        let messages = messages.collect::<Result<Messages, postcard::Error>>()?;
        match rest.len() {
            0 => Ok(messages),
            excess => Err(NoBlock::MessagesExcess(excess)),
        }
    }
}

/// The head of the block that these bytes are, and how its messages are compressed. The checksum is compared.
pub(super) fn check(bytes: &[u8], first: Offset) -> Result<(Head, Codec), NoBlock> {
    let (header, payload) = record::open(bytes)?;
    let excess = bytes.len() - HEADER_BYTES - payload.len();
    if excess > 0 {
        return Err(NoBlock::Excess(excess));
    }
    if header.kind != Kind::Messages {
        return Err(NoBlock::Kind(header.kind));
    }
    if header.place != place(first) {
        return Err(NoBlock::Place { expected: place(first), found: header.place });
    }
    let head: &[u8; HEAD_BYTES] = payload.first_chunk().ok_or(NoBlock::Head)?;
    let long = |at: usize| head[at..at + 8].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    let short = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let found = Offset(long(0));
    let head = Head { first, count: header.count, time: Timestamp(long(8)), length: short(16), largest: short(20) };
    if found != first {
        return Err(NoBlock::First { expected: first, found });
    }
    if head.count == 0 {
        return Err(NoBlock::Empty);
    }
    if head.length as usize > MAX_PAYLOAD_BYTES {
        return Err(NoBlock::Length(head.length));
    }
    Ok((head, header.codec))
}

/// Cuts messages into slices for a block each: what the messages of one take in memory is bounded, unless it is one
/// message alone.
pub(crate) fn split(mut messages: &[Arc<Message>]) -> impl Iterator<Item = &[Arc<Message>]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let within = |message: &&Arc<Message>| {
            bytes += message.footprint();
            bytes <= BLOCK_BYTES
        };
        let count = messages.iter().take(usize::from(u16::MAX)).take_while(within).count().max(1);
        let (block, rest) = messages.split_at_checked(count)?;
        messages = rest;
        Some(block)
    })
}

fn serialized(messages: &[Arc<Message>], buffer: Vec<u8>) -> Vec<u8> {
    messages.iter().fold(buffer, |buffer, message| {
        postcard::to_extend(&**message, buffer).expect("a vector grows, and the maps of a message know their length")
    })
}

fn place(first: Offset) -> u32 {
    first.0 as u32
}
