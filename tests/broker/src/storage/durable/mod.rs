//! Storage on a disk: what was told done is there after a crash.
//!
//! ```text
//!  DIR/LOCK                       one broker at a time
//!  DIR/journal/{mark}.wal         everything that happened since the last snapshot but one
//!  DIR/snapshots/{mark}.snapshot  the newest two: groups, tokens, transactions, and how far the segments are whole
//!  DIR/topics/{name}/{partition}/ segments of messages, and their indexes
//! ```
//!
//! The journal is the truth. Segments and snapshots are written behind it, so that the journal can be cut and a start
//! takes a bounded time: it reads the newest whole snapshot, cuts the segments to what the snapshot says of them, and
//! applies the entries of the journal after it.

mod checkpoint;
pub(crate) mod journal;
mod log;
mod open;
pub(crate) mod snapshot;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::{fs, io};

use parking_lot::{Mutex, RwLock};

pub(crate) use checkpoint::{Checkpoint, CheckpointError};
use journal::Entry;
pub(crate) use log::DurableLog;
use log::Journal;
pub(crate) use open::{OpenError, Recover, open};

use super::disk::Disk;
use super::partition::{BlockCache, Options as PartitionOptions, PartitionLog};
use super::wal::Fsync;
use super::{Mark, Reached, Storage, StorageError, TopicLog, TransactionStep};
use crate::config::DiskConfig;
use crate::group::change::Story;
use crate::names::{PartitionId, TopicName};

/// How many changes of a group one entry of the journal tells of; a change is some tens of bytes, an entry at most 64 MiB.
const CHANGES_PER_ENTRY: usize = 100_000;

/// How a disk is used.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) fsync: Fsync,
    pub(crate) partition: PartitionOptions,
    /// A snapshot is taken once the journal has grown by this many bytes since the last.
    pub(crate) checkpoint_bytes: u64,
    /// Memory for messages that were read from the disk, in bytes.
    pub(crate) cache_bytes: usize,
}

impl From<&DiskConfig> for Options {
    fn from(config: &DiskConfig) -> Self {
        Self {
            fsync: config.fsync,
            partition: PartitionOptions {
                segment_bytes: config.segment_bytes,
                retention_bytes: config.retention_bytes,
                retention_age: config.retention_age,
            },
            checkpoint_bytes: config.checkpoint_bytes,
            cache_bytes: config.cache_bytes,
        }
    }
}

/// Storage on a disk.
pub(crate) struct DurableStorage {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: Options,
    journal: Journal,
    cache: Arc<BlockCache>,
    topics: RwLock<HashMap<TopicName, Arc<DurableLog>>>,
    /// Held by who fills segments, takes a snapshot or removes what is old: the last of a broker that ends may meet one
    /// that is still under way.
    keeping: Mutex<()>,
    /// A snapshot was begun and not finished: the journal waits to be cut.
    owed: AtomicBool,
    /// Where the journal is to be read from for each snapshot that is kept, the newest last.
    snapshots: Mutex<Vec<Mark>>,
}

/// A directory that this process alone uses, until it is dropped.
#[derive(Debug)]
pub(crate) struct DirectoryLock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] fs::File);

impl DirectoryLock {
    /// Makes the directory where it is missing, and locks it.
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(dir.join("LOCK"));
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse { path: dir.to_owned() }),
            Err(fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

impl DurableStorage {
    /// The log of a topic.
    pub(crate) fn log(&self, topic: &TopicName) -> Option<Arc<DurableLog>> {
        self.topics.read().get(topic).cloned()
    }

    fn topic_dir(&self, topic: &TopicName) -> PathBuf {
        self.dir.join("topics").join(topic.as_str())
    }

    /// Opens a topic's partitions; `open` is asked for each.
    fn partitions(
        &self,
        topic: &TopicName,
        count: u32,
        open: impl Fn(PartitionId, PathBuf) -> Result<PartitionLog, OpenError>,
    ) -> Result<Arc<DurableLog>, OpenError> {
        let dir = self.topic_dir(topic);
        let failed = |path: &Path, source| OpenError::Io { path: path.to_owned(), source };
        let mut partitions = Vec::new();
        for partition in 0..count {
            let path = dir.join(partition.to_string());
            self.disk.create_dir(&path).map_err(|source| failed(&path, source))?;
            partitions.push(open(PartitionId(partition), path)?);
        }
        for parent in [&dir, &self.dir.join("topics")] {
            self.disk.sync_dir(parent).map_err(|source| failed(parent, source))?;
        }
        Ok(Arc::new(DurableLog::new(topic.clone(), partitions, Arc::clone(&self.journal))))
    }

    /// A topic without messages.
    fn new_log(&self, topic: &TopicName, partitions: u32) -> Result<Arc<DurableLog>, OpenError> {
        self.partitions(topic, partitions, |partition, path| {
            let (disk, cache) = (Arc::clone(&self.disk), Arc::clone(&self.cache));
            Ok(PartitionLog::open(disk, path, partition, None, self.options.partition, cache)?)
        })
    }

    /// Ends the journal: what is pending is written.
    pub(crate) fn close(&self) {
        if let Some(journal) = self.journal.get() {
            journal.close();
        }
    }

    fn append(&self, entry: &Entry) -> Result<Mark, StorageError> {
        log::journal(&self.journal)?.append(&[&entry.to_bytes()])
    }
}

impl Storage for DurableStorage {
    fn admit(&self) -> Result<(), StorageError> {
        log::journal(&self.journal)?.admit()
    }

    fn create_topic(&self, topic: &TopicName, partitions: u32) -> Result<(Arc<dyn TopicLog>, Mark), StorageError> {
        self.admit()?;
        let log = self.new_log(topic, partitions).map_err(|error| match error {
            OpenError::Io { source, .. } if super::disk::is_no_room(&source) => {
                StorageError::NoRoom { reason: source.to_string().into() }
            }
            error => StorageError::Refused { reason: error.to_string().into() },
        })?;
        let mark = self.append(&Entry::TopicCreated { topic: topic.clone(), partitions })?;
        self.topics.write().insert(topic.clone(), Arc::clone(&log));
        Ok((log, mark))
    }

    fn record(&self, story: Story) -> Result<Mark, StorageError> {
        let Story { group, tag, now, next_lease, mut changes } = story;
        // So many leases may end at one moment that what happened does not fit one entry. Nobody has been answered, so a
        // part of it may be all that is left.
        while changes.len() > CHANGES_PER_ENTRY {
            let rest = changes.split_off(CHANGES_PER_ENTRY);
            self.append(&Entry::Group(Story { group: group.clone(), tag, now, next_lease: None, changes }))?;
            changes = rest;
        }
        self.append(&Entry::Group(Story { group, tag, now, next_lease, changes }))
    }

    fn record_transaction(&self, step: &TransactionStep) -> Result<Mark, StorageError> {
        self.append(&Entry::Transaction(step.clone()))
    }

    fn end(&self) -> Mark {
        log::end_of(&self.journal)
    }

    fn durable(&self, mark: Mark) -> Option<Reached> {
        match log::journal(&self.journal) {
            Ok(journal) => journal.durable(mark),
            Err(error) => Some(Box::pin(std::future::ready(Err(error)))),
        }
    }
}

/// An error of the disk, with what it happened to.
fn at(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io { path: path.to_owned(), source }
}
