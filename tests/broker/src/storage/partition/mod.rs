//! One partition's messages: a row of segments on the disk, and a tail in memory.
//!
//! ```text
//!  {first offset}.segment   blocks of messages, one after the other
//!  {first offset}.index     where they are; made again from the segment where it is not whole
//! ```
//!
//! The journal has every message first, so appending a block does no I/O: it goes to the tail, where readers see it at
//! once. [`PartitionLog::flush`] writes the tail into the last segment, and begins a new one when that is long enough;
//! a segment is synced before the next is begun. [`PartitionLog::checkpoint`] makes everything durable and says how far
//! that is, for a snapshot to keep; from there on the journal fills the log again.
//!
//! # What a crash leaves
//! Up to the checkpoint that the log is opened from, everything is there: what is not is damage, and an error. Whatever
//! is beyond is cut off, whole or torn, since the journal has it. Retention removes the oldest segment first and makes
//! sure that it is gone before it removes the next, so a segment may be missing only if all before it are.
//!
//! # Memory
//! Messages that are on the disk take 12 bytes for each block, however large the block: see [`index`]. A publish is a
//! block in each partition that it has messages for, so that a backlog of a million messages which were published 16
//! at a time takes 750 kB. What has been read is kept in a [`BlockCache`] that all partitions share, and that is
//! bounded, as are the files that are open to be read.
//!
//! # Threads
//! Readers and appenders hold the lock of the state only while they look into memory or change it. Whoever writes to
//! the disk holds another one, and takes that of the state only to put down what has been done.

mod block;
mod cache;
mod index;
mod open;
mod segment;
#[cfg(test)]
mod tests;
mod write;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

pub(crate) use block::{Block, Messages, split};
pub(crate) use cache::BlockCache;

use super::StorageError;
use super::disk::{Disk, DiskFile};
use super::record::{HEADER_BYTES, MAX_PAYLOAD_BYTES};
use crate::clock::Millis;
use crate::message::Message;
use crate::names::{Offset, PartitionId};
use cache::LogId;
use index::{Index, Place};
use segment::Part;
use write::Writer;

/// How a partition is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// A segment is closed once it is this long.
    pub(crate) segment_bytes: u64,
    /// Old segments are removed while the closed ones are larger together; `None` for no bound.
    pub(crate) retention_bytes: Option<u64>,
    /// Segments whose newest message is older are removed; `None` for no bound.
    pub(crate) retention_age: Option<Millis>,
}

/// How far a partition was durable at a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpointed {
    /// The first offset that the log still held.
    start: Offset,
    /// The offset that follows the last durable message.
    end: Offset,
    /// The last segment; `None` if no message was ever written.
    segment: Option<SegmentEnd>,
}

/// How far a segment was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SegmentEnd {
    /// The offset that the segment begins with.
    first: Offset,
    /// Its length.
    bytes: u64,
}

/// Why a partition cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: it is gone, and was durable", path.display())]
    Missing { path: PathBuf },
    #[error(transparent)]
    Damaged(#[from] Damage),
    #[error("{}: it is of version {found}, which this broker does not know", path.display())]
    Version { path: PathBuf, found: u32 },
}

/// What a file holds is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is damaged at byte {at}: {reason}", file.display())]
pub(crate) struct Damage {
    file: PathBuf,
    at: u64,
    reason: String,
}

impl Damage {
    fn new(file: &Path, at: u64, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), at, reason: reason.into() }
    }
}

/// A block that has been read to see whether it is whole.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The offset of its first message.
    pub(crate) first: Offset,
    /// How many messages it has, or should have.
    pub(crate) count: u64,
    pub(crate) messages: Result<Messages, Damage>,
}

/// The messages of one partition.
pub(crate) struct PartitionLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    partition: PartitionId,
    options: Options,
    cache: Arc<BlockCache>,
    id: LogId,
    state: RwLock<State>,
    /// Held while the files are changed.
    writer: Mutex<Writer>,
}

/// What is known of the messages without the disk.
struct State {
    start: Offset,
    /// In the order of their offsets, each beginning where the one before ends. The last one is written.
    segments: VecDeque<Index>,
    /// What follows the segments, in order.
    tail: VecDeque<Arc<Block>>,
    tail_bytes: usize,
    end: Offset,
}

/// Where a message is.
enum Found {
    Tail(Arc<Block>),
    Segment(Stored),
}

/// A block on the disk.
#[derive(Clone, Copy)]
struct Stored {
    /// The first offset of its segment.
    segment: Offset,
    place: Place,
}

impl State {
    /// Where the message of this offset is; `None` if the log does not hold it.
    fn find(&self, offset: Offset) -> Option<Found> {
        if offset < self.start || offset >= self.end {
            return None;
        }
        if self.tail.front().is_some_and(|block| block.head().first <= offset) {
            let after = self.tail.partition_point(|block| block.head().first <= offset);
            return self.tail.get(after.checked_sub(1)?).cloned().map(Found::Tail);
        }
        let index = self.segment(offset)?;
        Some(Found::Segment(Stored { segment: index.first(), place: index.find(offset)? }))
    }

    /// The segment that has the message of this offset.
    fn segment(&self, offset: Offset) -> Option<&Index> {
        let after = self.segments.partition_point(|index| index.first() <= offset);
        self.segments.get(after.checked_sub(1)?).filter(|index| offset < index.end())
    }
}

/// Why a block cannot be read.
enum ReadError {
    Io(io::Error),
    Damaged(Damage),
}

impl PartitionLog {
    /// The first offset that the log holds.
    pub(crate) fn start(&self) -> Offset {
        self.state.read().start
    }

    /// The offset of the next message.
    pub(crate) fn end(&self) -> Offset {
        self.state.read().end
    }

    /// Appends a block. It is in memory alone until [`Self::flush`].
    ///
    /// # Panics
    /// If the block does not begin with the offset of the next message.
    pub(crate) fn append(&self, block: Block) {
        let mut state = self.state.write();
        let head = block.head();
        assert!(head.first == state.end, "a block from {} on at {}", head.first.0, state.end.0);
        state.end = head.end();
        state.tail_bytes += block.footprint();
        state.tail.push_back(Arc::new(block));
    }

    /// Reads one message. The whole block that it is in is read, and kept for those who read on.
    pub(crate) fn read(&self, offset: Offset) -> Result<Arc<Message>, StorageError> {
        let missing = || StorageError::Missing { partition: self.partition, offset };
        let damaged = |damage: &Damage| StorageError::Damaged {
            partition: self.partition,
            offset,
            reason: damage.to_string().into(),
        };
        let found = self.state.read().find(offset).ok_or_else(missing)?;
        let (first, messages) = match found {
            Found::Tail(block) => {
                let messages = block.messages().map_err(|error| damaged(&self.tail_damage(error)))?;
                (block.head().first, messages)
            }
            Found::Segment(stored) => {
                let read = || self.read_block(&*self.file(stored.segment).map_err(ReadError::Io)?, stored);
                let messages = self.cache.block(self.id, stored.place.first, read).map_err(|error| match error {
                    // Retention has removed it meanwhile.
                    _ if offset < self.start() => missing(),
                    ReadError::Damaged(damage) => damaged(&damage),
                    ReadError::Io(error) => {
                        let path = Part::Blocks.path(&self.dir, stored.segment);
                        StorageError::Refused { reason: format!("{}: {error}", path.display()).into() }
                    }
                })?;
                (stored.place.first, messages)
            }
        };
        let index = usize::try_from(offset.0 - first.0).ok();
        index.and_then(|index| messages.get(index)).cloned().ok_or_else(missing)
    }

    /// A bound on the size of one message in bytes, 0 where there is none: for a message on the disk, the size of the
    /// largest in its block.
    pub(crate) fn size(&self, offset: Offset) -> usize {
        match self.state.read().find(offset) {
            None => 0,
            Some(Found::Segment(stored)) => stored.place.largest as usize,
            Some(Found::Tail(block)) => {
                let index = usize::try_from(offset.0 - block.head().first.0).ok();
                let message = block.decoded().and_then(|messages| messages.get(index?));
                message.map_or(block.head().largest as usize, |message| message.size())
            }
        }
    }

    /// About the memory of the messages that are not in the segments yet, in bytes.
    pub(crate) fn tail_bytes(&self) -> usize {
        self.state.read().tail_bytes
    }

    /// Reads all blocks from the disk, and those of the tail, and tells of each in order. An error if a segment cannot
    /// be opened: the rest is not told of then.
    pub(crate) fn verify(&self, mut found: impl FnMut(Verified)) -> Result<(), Damage> {
        let mut next = self.start();
        loop {
            let (segment, tail) = {
                let state = self.state.read();
                match state.segment(next) {
                    Some(index) => (Some(index.clone()), VecDeque::new()),
                    None => (None, state.tail.clone()),
                }
            };
            let Some(index) = segment else {
                for block in tail {
                    let messages = block.messages().map_err(|error| self.tail_damage(error));
                    found(Verified { first: block.head().first, count: u64::from(block.head().count), messages });
                }
                return Ok(());
            };
            self.verify_segment(&index, &mut found)?;
            next = index.end();
        }
    }

    fn verify_segment(&self, index: &Index, found: &mut impl FnMut(Verified)) -> Result<(), Damage> {
        let segment = index.first();
        let path = Part::Blocks.path(&self.dir, segment);
        let file = self.disk.open(&path).map_err(|error| Damage::new(&path, 0, error.to_string()))?;
        segment::check_header(&*file, &path, segment).map_err(|error| match error {
            OpenError::Damaged(damage) => damage,
            error => Damage::new(&path, 0, error.to_string()),
        })?;
        for place in index.places() {
            let messages = self.read_block(&*file, Stored { segment, place }).map_err(|error| match error {
                ReadError::Io(error) => Damage::new(&path, place.at, error.to_string()),
                ReadError::Damaged(damage) => damage,
            });
            found(Verified { first: place.first, count: place.count, messages });
        }
        Ok(())
    }

    /// Reads a block of the segment that is in this file.
    fn read_block(&self, file: &dyn DiskFile, stored: Stored) -> Result<Messages, ReadError> {
        let Stored { segment, place } = stored;
        let damaged =
            |reason: String| ReadError::Damaged(Damage::new(&Part::Blocks.path(&self.dir, segment), place.at, reason));
        let length = usize::try_from(place.bytes).unwrap_or(usize::MAX);
        if length > HEADER_BYTES + MAX_PAYLOAD_BYTES {
            return Err(damaged(format!("the block is said to be {length} bytes")));
        }
        let mut record = vec![0; length];
        file.read_exact_at(&mut record, place.at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("the segment ends before the block does".to_owned()),
            _ => ReadError::Io(error),
        })?;
        let block = Block::open(&Bytes::from(record), place.first);
        let messages = block.and_then(|block| block.messages()).map_err(|error| damaged(error.to_string()))?;
        match messages.len() as u64 == place.count {
            true => Ok(messages),
            false => {
                Err(damaged(format!("the block has {} messages, and should have {}", messages.len(), place.count)))
            }
        }
    }

    /// The file of a segment.
    fn file(&self, segment: Offset) -> io::Result<Arc<dyn DiskFile>> {
        self.cache.file(self.id, segment, || self.disk.open(&Part::Blocks.path(&self.dir, segment)))
    }

    /// A block that came from the journal and is in no segment yet.
    fn tail_damage(&self, error: block::NoBlock) -> Damage {
        Damage::new(&self.dir, 0, format!("{error}, in a block from the journal"))
    }
}
