//! Starting from what a disk holds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use super::journal::{AppendCause, Entry};
use super::snapshot::{self, Part, SnapshotError};
use super::{DurableStorage, Options, at};
use crate::clock::Timestamp;
use crate::group::change::Story;
use crate::names::{PartitionId, TopicName};
use crate::storage::disk::Disk;
use crate::storage::partition::{self, BlockCache, PartitionLog};
use crate::storage::wal::{self, Wal};
use crate::storage::{Mark, TopicLog, TransactionStep};

/// Why a broker cannot start from a directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: another process uses it", path.display())]
    InUse { path: PathBuf },
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Partition(#[from] partition::OpenError),
    #[error(transparent)]
    Journal(#[from] wal::WalError),
    #[error("the journal ends at entry {journal}, and a snapshot tells of entry {snapshot}")]
    JournalShort { journal: u64, snapshot: u64 },
}

/// The broker's state, as it is built up again. Each call but the first may say why what it got does not fit.
pub(crate) trait Recover {
    /// A topic that exists, with the messages that are known of so far.
    fn topic(&mut self, topic: &TopicName, log: Arc<dyn TopicLog>);

    /// A part of the snapshot.
    fn part(&mut self, part: Part) -> Result<(), String>;

    /// What happened in a group.
    fn story(&mut self, mark: Mark, story: Story) -> Result<(), String>;

    /// What was published; the messages are in the topic's log.
    fn published(&mut self, mark: Mark, topic: &TopicName, cause: AppendCause) -> Result<(), String>;

    /// What happened to a transaction.
    fn transaction(&mut self, mark: Mark, step: TransactionStep) -> Result<(), String>;
}

/// Opens a directory, made where it is missing, and builds the broker's state up again in what `fresh` returns.
pub(crate) fn open<R: Recover>(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: Options,
    fresh: impl Fn() -> R,
) -> Result<(Arc<DurableStorage>, R), OpenError> {
    for path in [dir.join("journal"), dir.join("snapshots"), dir.join("topics")] {
        disk.create_dir(&path).map_err(at(&path))?;
    }
    disk.sync_dir(dir).map_err(at(dir))?;
    let (parts, snapshots) = newest_whole(&disk, dir)?;
    let storage = DurableStorage {
        cache: Arc::new(BlockCache::new(options.cache_bytes)),
        disk: Arc::clone(&disk),
        dir: dir.to_owned(),
        options,
        journal: Arc::new(OnceLock::new()),
        topics: RwLock::default(),
        keeping: Mutex::default(),
        owed: AtomicBool::new(false),
        snapshots: Mutex::new(snapshots),
    };
    let mut state = fresh();
    let (mut after, mut newest, mut time) = (Mark::default(), Mark::default(), Timestamp::default());
    for part in parts {
        match &part {
            Part::Head { journal, time: at, .. } => (after, time) = (*journal, *at),
            Part::Topic { topic, partitions, as_of, .. } => {
                newest = newest.max(*as_of);
                let open = |partition: PartitionId, path| {
                    let position = Some(&partitions[partition.index()]);
                    let (disk, cache) = (Arc::clone(&storage.disk), Arc::clone(&storage.cache));
                    Ok(PartitionLog::open(disk, path, partition, position, storage.options.partition, cache)?)
                };
                let count = u32::try_from(partitions.len()).unwrap_or(u32::MAX);
                let log = storage.partitions(topic, count, open)?;
                state.topic(topic, Arc::clone(&log) as Arc<dyn TopicLog>);
                storage.topics.write().insert(topic.clone(), log);
            }
            Part::Group { as_of, .. } | Part::Resolved { as_of, .. } => newest = newest.max(*as_of),
            Part::Tokens { .. } | Part::Pending(_) | Part::End => {}
        }
        state.part(part).map_err(|reason| damaged(dir, reason))?;
    }
    let mut replay = |mark, payload: &[u8]| apply(&storage, &mut state, mark, payload);
    let fsync = storage.options.fsync;
    let wal = Wal::open(disk, &dir.join("journal"), after, fsync, &mut replay)?;
    if wal.end() < newest {
        return Err(OpenError::JournalShort { journal: wal.end().0, snapshot: newest.0 });
    }
    tracing::debug!(entries = wal.end().0 - after.0, snapshot = after.0, time = time.0, "the journal is read");
    // It is empty: this is the one place that sets it.
    let _ = storage.journal.set(wal);
    Ok((Arc::new(storage), state))
}

/// The parts of the newest snapshot that is whole; none for a directory without snapshots. It is read to its end
/// before any of it is used. The one before serves where the newest is damaged: the journal is kept for both, and from
/// its beginning while there is one alone.
fn newest_whole(disk: &Arc<dyn Disk>, dir: &Path) -> Result<(Vec<Part>, Vec<Mark>), OpenError> {
    let mut found = snapshot::list(disk, &dir.join("snapshots"))?;
    let mut first_error = None;
    while !found.is_empty() {
        let (_, path) = &found[0];
        let mut parts = Vec::new();
        let read = snapshot::read(disk, path, |part| {
            parts.push(part);
            Ok(())
        });
        match read {
            Ok(()) => {
                let marks = found.iter().rev().map(|(mark, _)| *mark).collect();
                return Ok((parts, marks));
            }
            Err(error) => {
                tracing::error!(%error, "a snapshot cannot be used; trying the one before");
                first_error.get_or_insert(error);
                found.remove(0);
            }
        }
    }
    let journal = dir.join("journal");
    match first_error {
        Some(error) if !wal::is_complete(&**disk, &journal).map_err(at(&journal))? => Err(error.into()),
        // A journal that was never cut does without a snapshot.
        _ => Ok((Vec::new(), Vec::new())),
    }
}

fn damaged(dir: &Path, reason: String) -> OpenError {
    OpenError::Snapshot(SnapshotError::Damaged { path: dir.join("snapshots"), at: 0, reason })
}

fn apply(storage: &DurableStorage, state: &mut impl Recover, mark: Mark, payload: &[u8]) -> Result<(), String> {
    let (entry, records) = Entry::read(payload).map_err(|error| error.to_string())?;
    match entry {
        Entry::TopicCreated { topic, partitions } => {
            if storage.log(&topic).is_none() {
                let log = storage.new_log(&topic, partitions).map_err(|error| error.to_string())?;
                state.topic(&topic, Arc::clone(&log) as Arc<dyn TopicLog>);
                storage.topics.write().insert(topic, log);
            }
            Ok(())
        }
        Entry::Appended { topic, blocks, cause } => {
            let log = storage.log(&topic).ok_or_else(|| format!("there is no topic {topic}"))?;
            for (place, record) in blocks.into_iter().zip(records) {
                log.restore(place, record)?;
            }
            match cause {
                AppendCause::DeadLetter(story) => state.story(mark, story),
                cause @ AppendCause::Publish { .. } => state.published(mark, &topic, cause),
            }
        }
        Entry::Group(story) => state.story(mark, story),
        Entry::Transaction(step) => state.transaction(mark, step),
    }
}
