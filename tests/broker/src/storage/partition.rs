//! One partition's messages: a row of segments, and a tail in memory.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::StorageError;
use super::codec::Codec;
use super::disk::Disk;
use crate::clock::{Millis, Timestamp};
use crate::message::Message;
use crate::names::{Offset, PartitionId};

/// How a partition is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// A segment is closed once it is this long.
    pub(crate) segment_bytes: u64,
    /// Old segments are removed while the partition is larger; `None` for no bound.
    pub(crate) retention_bytes: Option<u64>,
    /// Segments whose newest message is older are removed; `None` for no bound.
    pub(crate) retention_age: Option<Millis>,
}

pub(crate) struct BlockCache;

impl BlockCache {
    pub(crate) fn new(_bytes: usize) -> Self {
        Self
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpointed {
    pub(crate) start: Offset,
    pub(crate) end: Offset,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) first: Offset,
}

pub(crate) struct Block;
#[derive(Debug, thiserror::Error)]
#[error("no block")]
pub(crate) struct NoBlock;
#[derive(Debug, thiserror::Error)]
#[error("damage")]
pub(crate) struct Damage;

pub(crate) struct Verified {
    pub(crate) first: Offset,
    pub(crate) count: u64,
    pub(crate) messages: Result<Arc<[Arc<Message>]>, Damage>,
}

impl Block {
    pub(crate) fn encode(_first: Offset, _messages: &[Arc<Message>], _codec: Codec, _now: Timestamp) -> Self {
        unimplemented!()
    }
    pub(crate) fn open(_record: &Bytes, _first: Offset) -> Result<Self, NoBlock> {
        unimplemented!()
    }
    pub(crate) fn head(&self) -> Head {
        unimplemented!()
    }
    pub(crate) fn record(&self) -> &Bytes {
        unimplemented!()
    }
}

pub(crate) fn split(_messages: &[Arc<Message>]) -> impl Iterator<Item = &[Arc<Message>]> {
    std::iter::empty()
}

pub(crate) struct PartitionLog;

impl PartitionLog {
    pub(crate) fn open(
        _disk: Arc<dyn Disk>,
        _dir: PathBuf,
        _partition: PartitionId,
        _from: Option<&Checkpointed>,
        _options: Options,
        _cache: Arc<BlockCache>,
    ) -> Result<Self, OpenError> {
        unimplemented!()
    }
    pub(crate) fn start(&self) -> Offset {
        unimplemented!()
    }
    pub(crate) fn end(&self) -> Offset {
        unimplemented!()
    }
    pub(crate) fn append(&self, _block: Block) {
        unimplemented!()
    }
    pub(crate) fn read(&self, _offset: Offset) -> Result<Arc<Message>, StorageError> {
        unimplemented!()
    }
    pub(crate) fn size(&self, _offset: Offset) -> usize {
        unimplemented!()
    }
    pub(crate) fn tail_bytes(&self) -> usize {
        unimplemented!()
    }
    pub(crate) fn flush(&self) -> io::Result<()> {
        unimplemented!()
    }
    pub(crate) fn checkpoint(&self) -> io::Result<Checkpointed> {
        unimplemented!()
    }
    pub(crate) fn retain(&self, _settled: Offset, _now: Timestamp) -> io::Result<u64> {
        unimplemented!()
    }
    pub(crate) fn disk_bytes(&self) -> u64 {
        unimplemented!()
    }
    pub(crate) fn verify(&self, _found: impl FnMut(Verified)) -> Result<(), Damage> {
        unimplemented!()
    }
}
