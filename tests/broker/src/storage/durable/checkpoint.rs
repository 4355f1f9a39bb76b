//! Taking a snapshot, so that the journal can be cut.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;

use super::snapshot::{Part, SnapshotWriter};
use super::{DurableStorage, log};
use crate::clock::Timestamp;
use crate::names::TopicName;
use crate::storage::wal::Wal;
use crate::storage::{Mark, StorageError, TokenResult};

/// How many idempotency tokens one part of a snapshot has.
const TOKENS_PER_PART: usize = 4_096;

/// How many snapshots are kept: the newest, and the one before for the day on which the newest is damaged.
const KEPT: usize = 2;

/// A snapshot that is being taken.
pub(crate) struct Checkpoint {
    storage: Arc<DurableStorage>,
    writer: SnapshotWriter,
    journal: Mark,
}

/// Why a snapshot was not taken. The one before stays in force, and the journal is not cut.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl DurableStorage {
    /// The turn to fill segments, take a snapshot and remove what is old.
    pub(crate) fn keeping(&self) -> MutexGuard<'_, ()> {
        self.keeping.lock()
    }

    /// Whether the journal has grown enough for a snapshot.
    pub(crate) fn checkpoint_due(&self) -> bool {
        let grown = |journal: &Wal| journal.bytes_since_rotation() >= self.options.checkpoint_bytes;
        self.owed.load(Ordering::Relaxed) || self.journal.get().is_some_and(grown)
    }

    /// Whether [`flush`](Self::flush) or a snapshot would have something to do.
    pub(crate) fn has_work(&self, least: usize) -> bool {
        self.checkpoint_due() || self.topics.read().values().map(|topic| topic.tail_bytes()).sum::<usize>() >= least
    }

    /// Writes nothing more: what the disk holds is not known.
    pub(crate) fn stop(&self, reason: &str) {
        if let Some(journal) = self.journal.get() {
            journal.stop(reason);
        }
    }

    /// Writes messages that are in memory and in the journal alone into the segments, once they are `least` bytes.
    pub(crate) fn flush(&self, least: usize) -> io::Result<()> {
        let topics: Vec<_> = self.topics.read().values().cloned().collect();
        if topics.iter().map(|topic| topic.tail_bytes()).sum::<usize>() < least {
            return Ok(());
        }
        topics.iter().try_for_each(|topic| topic.flush())
    }

    /// Waits until everything that has been journalled is synced. To be called where a thread may wait.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        let synced = log::journal(&self.journal)?.sync();
        tokio::runtime::Handle::current().block_on(synced)
    }

    /// Begins a snapshot: what happens from here on is not in it for certain, and stays in the journal.
    pub(crate) fn begin_checkpoint(self: &Arc<Self>, now: Timestamp) -> Result<Checkpoint, CheckpointError> {
        let journal = log::journal(&self.journal)?.rotate();
        self.owed.store(true, Ordering::Relaxed);
        let writer = SnapshotWriter::begin(&self.disk, &self.dir.join("snapshots"), journal, now)?;
        Ok(Checkpoint { storage: Arc::clone(self), writer, journal })
    }
}

impl Checkpoint {
    /// Writes a topic, after its segments are durable.
    pub(crate) fn topic(
        &mut self,
        topic: &TopicName,
        turn: u32,
        tokens: Vec<TokenResult>,
        as_of: Mark,
    ) -> Result<(), CheckpointError> {
        let Some(log) = self.storage.log(topic) else { return Ok(()) };
        let partitions = log.checkpoint()?;
        self.write(&Part::Topic { topic: topic.clone(), partitions, turn, as_of })?;
        for tokens in tokens.chunks(TOKENS_PER_PART) {
            self.write(&Part::Tokens { topic: topic.clone(), tokens: tokens.to_vec() })?;
        }
        Ok(())
    }

    /// Writes another part.
    pub(crate) fn write(&mut self, part: &Part) -> Result<(), CheckpointError> {
        Ok(self.writer.write(part)?)
    }

    /// Ends the snapshot and cuts the journal. Waits until the journal is durable as far as the snapshot knows of it:
    /// a snapshot must not tell of what a crash could take back.
    pub(crate) fn finish(self) -> Result<(), CheckpointError> {
        self.storage.sync()?;
        let bytes = self.writer.finish()?;
        self.storage.owed.store(false, Ordering::Relaxed);
        tracing::debug!(journal = self.journal.0, bytes, "a snapshot is taken");
        let mut kept = self.storage.snapshots.lock();
        // One that was begun and finished without a write between them replaces the one before.
        kept.retain(|mark| *mark != self.journal);
        kept.push(self.journal);
        let dir = self.storage.dir.join("snapshots");
        while kept.len() > KEPT {
            let oldest = kept.remove(0);
            self.storage.disk.remove(&super::snapshot::path(&dir, oldest))?;
        }
        // With one snapshot alone the journal is kept from its beginning, so that it can do without the snapshot.
        if kept.len() == KEPT {
            log::journal(&self.storage.journal)?.remove_through(kept[0])?;
        }
        Ok(())
    }
}
