//! Snapshots: the broker's whole state but for the messages, so that a start reads the journal from there on only.
//!
//! A snapshot is a file of records. It is written under another name, synced and then renamed, so a half-written one
//! is never taken for a snapshot. The parts are taken one after the other while the broker works: each has the mark
//! up to which it is true, and entries of the journal up to there are not applied to it again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::broker::Resolution;
use crate::clock::Timestamp;
use crate::group::GroupSnapshot;
use crate::names::{TopicName, TransactionId};
use crate::storage::codec::Codec;
use crate::storage::disk::{Disk, DiskFile};
use crate::storage::numbered;
use crate::storage::partition::Checkpointed;
use crate::storage::record::{self, HEADER_BYTES, Header, Kind};
use crate::storage::{Mark, TokenResult, TransactionStep};

/// The form of what is written here; a snapshot of another one is refused.
const VERSION: u32 = 1;

/// A part is cut into records of at most this many bytes, each compressed by itself.
const CHUNK_BYTES: usize = 1 << 20;

/// The end of a snapshot's name, and of one that is being written.
const SUFFIX: &str = ".snapshot";
const UNFINISHED: &str = ".unfinished";

/// One part of a snapshot.
#[derive(Serialize, Deserialize)]
pub(crate) enum Part {
    /// The first: entries of the journal after `journal` are to be read; `time` is the broker's clock.
    Head {
        version: u32,
        journal: Mark,
        time: Timestamp,
    },
    Topic {
        topic: TopicName,
        partitions: Vec<Checkpointed>,
        turn: u32,
        as_of: Mark,
    },
    /// Some of a topic's idempotency tokens, the oldest first. They follow the topic.
    Tokens {
        topic: TopicName,
        tokens: Vec<TokenResult>,
    },
    Group {
        state: GroupSnapshot,
        as_of: Mark,
    },
    /// The transactions that are resolved, the oldest first.
    Resolved {
        transactions: Vec<(TransactionId, Resolution)>,
        as_of: Mark,
    },
    /// A transaction that is pending, as it began. The resolved ones come before.
    Pending(TransactionStep),
    /// The last.
    End,
}

/// Why there is no state to start from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: damaged at byte {at}: {reason}", path.display())]
    Damaged { path: PathBuf, at: u64, reason: String },
    #[error("{}: it is of version {found}; this broker reads version {VERSION}", path.display())]
    Version { path: PathBuf, found: u32 },
}

/// A snapshot that is being written.
pub(crate) struct SnapshotWriter {
    disk: Arc<dyn Disk>,
    unfinished: PathBuf,
    finished: PathBuf,
    file: Arc<dyn DiskFile>,
    length: u64,
    records: u32,
    renamed: bool,
}

/// What was not finished gives its room back: the journal may need it.
impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.renamed
            && let Err(error) = self.disk.remove(&self.unfinished)
        {
            tracing::warn!(%error, file = %self.unfinished.display(), "an unfinished snapshot could not be removed");
        }
    }
}

impl SnapshotWriter {
    /// Begins a snapshot from which the journal is to be read after `journal`.
    pub(crate) fn begin(disk: &Arc<dyn Disk>, dir: &Path, journal: Mark, time: Timestamp) -> io::Result<Self> {
        let finished = path(dir, journal);
        let unfinished = dir.join(numbered::name(journal.0, UNFINISHED));
        let file = disk.create(&unfinished)?;
        file.set_len(0)?;
        let mut writer =
            Self { disk: Arc::clone(disk), unfinished, finished, file, length: 0, records: 0, renamed: false };
        writer.write(&Part::Head { version: VERSION, journal, time })?;
        Ok(writer)
    }

    /// Writes one part.
    pub(crate) fn write(&mut self, part: &Part) -> io::Result<()> {
        let bytes = postcard::to_stdvec(part).map_err(io::Error::other)?;
        let mut chunks = bytes.chunks(CHUNK_BYTES).peekable();
        while let Some(chunk) = chunks.next() {
            let mut record = vec![0; HEADER_BYTES];
            record.extend_from_slice(&Codec::Zstd.compress(chunk));
            let more = u16::from(chunks.peek().is_some());
            let header = Header { codec: Codec::Zstd, kind: Kind::Snapshot, count: more, place: self.records };
            record::seal(&mut record, header);
            self.file.write_all_at(&record, self.length)?;
            self.length += record.len() as u64;
            self.records = self.records.wrapping_add(1);
        }
        Ok(())
    }

    /// Ends the snapshot, and makes it the one to start from; returns its length in bytes.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.write(&Part::End)?;
        self.file.sync()?;
        self.disk.rename(&self.unfinished, &self.finished)?;
        self.renamed = true;
        self.disk.sync_dir(self.finished.parent().unwrap_or(Path::new(".")))?;
        Ok(self.length)
    }
}

/// Where the snapshot is that the journal is to be read after `journal` for.
pub(crate) fn path(dir: &Path, journal: Mark) -> PathBuf {
    dir.join(numbered::name(journal.0, SUFFIX))
}

/// The snapshots of a directory, by the mark that the journal is to be read after, the newest first. Unfinished ones
/// are removed.
pub(crate) fn list(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Vec<(Mark, PathBuf)>, SnapshotError> {
    let failed = |source| SnapshotError::Io { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for name in disk.list(dir).map_err(failed)? {
        if name.ends_with(UNFINISHED) {
            tracing::info!(file = name, "a snapshot was not finished; the one before it is used");
            disk.remove(&dir.join(name)).map_err(failed)?;
        } else if let Some(mark) = numbered::parse(&name, SUFFIX) {
            found.push((Mark(mark), dir.join(name)));
        }
    }
    found.sort_unstable_by_key(|(mark, _)| std::cmp::Reverse(*mark));
    Ok(found)
}

/// Reads a snapshot part by part. Nothing of it is to be used if this fails.
pub(crate) fn read(
    disk: &Arc<dyn Disk>,
    path: &Path,
    mut use_part: impl FnMut(Part) -> Result<(), String>,
) -> Result<(), SnapshotError> {
    let failed = |source| SnapshotError::Io { path: path.to_owned(), source };
    let file = disk.open(path).map_err(failed)?;
    let length = file.len().map_err(failed)?;
    let (mut at, mut records) = (0, 0_u32);
    let mut bytes = Vec::new();
    loop {
        let damaged = |reason: String| SnapshotError::Damaged { path: path.to_owned(), at, reason };
        let mut head = [0; HEADER_BYTES];
        if length - at < HEADER_BYTES as u64 {
            return Err(damaged("it ends before its end".to_owned()));
        }
        file.read_exact_at(&mut head, at).map_err(failed)?;
        let size = record::stated_len(&head).map_err(|error| damaged(error.to_string()))?;
        if length - at < size as u64 {
            return Err(damaged("it ends before its end".to_owned()));
        }
        let mut whole = vec![0; size];
        file.read_exact_at(&mut whole, at).map_err(failed)?;
        let (header, payload) = record::open(&whole).map_err(|error| damaged(error.to_string()))?;
        if header.kind != Kind::Snapshot || header.place != records {
            return Err(damaged("it is a record of another place".to_owned()));
        }
        let chunk = header.codec.decompress(payload, CHUNK_BYTES).map_err(|error| damaged(error.to_string()))?;
        bytes.extend_from_slice(&chunk);
        if header.count == 0 {
            let part = postcard::from_bytes(&bytes).map_err(|error| damaged(error.to_string()))?;
            bytes.clear();
            match part {
                Part::End => return Ok(()),
                Part::Head { version, .. } if version != VERSION => {
                    return Err(SnapshotError::Version { path: path.to_owned(), found: version });
                }
                part => use_part(part).map_err(damaged)?,
            }
        }
        at += size as u64;
        records = records.wrapping_add(1);
    }
}
