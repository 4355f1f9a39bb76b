//! What all partitions keep of the disk together, bounded: decoded blocks, and open files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::block::{BLOCK_BYTES, Messages};
use crate::names::Offset;
use crate::storage::disk::DiskFile;

/// How many files of segments are kept open to be read.
const OPEN_FILES: usize = 256;

/// The part of the cache that has a lock of its own, in bytes: room for several of the largest blocks.
const SHARD_BYTES: usize = 8 * BLOCK_BYTES;

/// About the memory of one cached block, in bytes; a guess for the cache's own tables.
const TYPICAL_BLOCK_BYTES: usize = 16 << 10;

/// A log among those that share a cache; another one each time that a log is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LogId(u64);

/// Names a segment or a block by its first offset.
type Key = (LogId, Offset);

/// Messages that were read from the disk, and the files that they were read from.
pub(crate) struct BlockCache {
    blocks: Cache<Key, Cached, ByBytes>,
    files: Cache<Key, Arc<dyn DiskFile>>,
    logs: AtomicU64,
}

#[derive(Clone)]
struct Cached {
    messages: Messages,
    bytes: u64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Cached> for ByBytes {
    fn weight(&self, _key: &Key, block: &Cached) -> u64 {
        block.bytes
    }
}

impl Cached {
    fn new(messages: Messages) -> Self {
        let bytes = messages.iter().map(|message| message.footprint() as u64).sum();
        Self { messages, bytes }
    }
}

impl BlockCache {
    /// A cache of at most this many bytes of messages. A block that is larger than the part of it that has a lock of
    /// its own is not kept.
    pub(crate) fn new(bytes: usize) -> Self {
        let items = (bytes / TYPICAL_BLOCK_BYTES).max(1);
        let options = quick_cache::OptionsBuilder::new()
            .shards((bytes / SHARD_BYTES).clamp(1, 64))
            .estimated_items_capacity(items)
            .weight_capacity(bytes as u64)
            .build()
            .expect("both capacities are set");
        let (hasher, lifecycle) = Default::default();
        Self {
            blocks: Cache::with_options(options, ByBytes, hasher, lifecycle),
            files: Cache::new(OPEN_FILES),
            logs: AtomicU64::new(0),
        }
    }

    /// A log that has nothing here.
    pub(super) fn new_log(&self) -> LogId {
        LogId(self.logs.fetch_add(1, Ordering::Relaxed))
    }

    /// The messages of a block, read if they are not here; by one thread, for which others wait.
    pub(super) fn block<E>(
        &self,
        log: LogId,
        first: Offset,
        read: impl FnOnce() -> Result<Messages, E>,
    ) -> Result<Messages, E> {
        let cached = self.blocks.get_or_insert_with(&(log, first), || read().map(Cached::new))?;
        Ok(cached.messages)
    }

    /// Keeps the messages of a block.
    pub(super) fn keep_block(&self, log: LogId, first: Offset, messages: Messages) {
        self.blocks.insert((log, first), Cached::new(messages));
    }

    /// The file of a segment, opened if it is not here.
    pub(super) fn file<E>(
        &self,
        log: LogId,
        segment: Offset,
        open: impl FnOnce() -> Result<Arc<dyn DiskFile>, E>,
    ) -> Result<Arc<dyn DiskFile>, E> {
        self.files.get_or_insert_with(&(log, segment), open)
    }

    /// Closes the file of a segment, once nobody reads it any more.
    pub(super) fn forget_file(&self, log: LogId, segment: Offset) {
        self.files.remove(&(log, segment));
    }
}
