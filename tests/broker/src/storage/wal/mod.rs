//! The write-ahead log: entries in one order, numbered by their marks, durable before anybody is told so.
//!
//! Who appends does no I/O and waits for nothing. One thread takes all that has been appended, writes it at once and
//! syncs it once; meanwhile the next group gathers. The log is a row of files, each named after the mark of its first
//! entry. [`Wal::rotate`] begins a new one and [`Wal::remove_through`] removes old ones, so the log stays short.
//!
//! # When the disk fails
//! - It has no room: nothing that was appended is lost. The file is cut back to its last whole entry, those who wait
//!   are told [`StorageError::NoRoom`], [`Wal::admit`] refuses, and the thread tries again until there is room.
//!   Entries may still be appended, for what happens by itself in the broker; that is bounded by what was admitted.
//! - Any other write fails, or any sync does: [`StorageError::Stopped`], for good. What the disk holds is then not
//!   known, and a second sync that goes well would prove nothing.
//!
//! # Recovery
//! A file is synced before the next one is begun, and each entry says up to where the log was synced when it was
//! written (see [`entry`]). So it can be told what a crash may leave from what it cannot:
//! - **A torn tail** is bytes at the end of the last file that are no whole entry, and after which no whole entry
//!   says that they were durable. Nobody was told that they are (with [`Fsync::Always`]). It is cut off, and logged.
//!   Whole entries may be in it: a disk keeps the sectors of an unsynced write in any order. So may be an entry whose
//!   bits turned after all was synced, if nothing was written later.
//! - **Damage** is anything else that is not the entry that should be there: in an earlier file, or before an entry
//!   that vouches for it. What is lost was durable, so the log is not opened: [`WalError::Damaged`].
//! - **A gap** between files is [`WalError::Missing`].
//!
//! Entries up to the mark that the caller has from elsewhere are skipped, and files with no others are not read.

mod batch;
mod entry;
mod file;
mod queue;
mod recovery;
mod scan;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use super::disk::Disk;
use super::{Mark, Reached, StorageError};
use crate::clock::Millis;
use queue::Queue;
use writer::Writer;

/// How many bytes may wait to be written before new work is refused.
const MAX_WAITING_BYTES: usize = 256 << 20;

/// When what was written is made durable. Whatever it is, a file is before the next one is begun, and the log is when
/// it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before a mark is reached.
    Always,
    /// At most this long after it was written; a mark is reached by the write.
    Interval(Millis),
    /// When the operating system does it; a mark is reached by the write.
    Never,
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    /// Entries that were durable cannot be read.
    #[error("{} is damaged at byte {at}: {reason}", .file.display())]
    Damaged { file: PathBuf, at: u64, reason: String },
    /// The entries from one mark to another are in no file.
    #[error("the entries {} to {} of the log in {} are missing", .from.0, .to.0, .dir.display())]
    Missing { dir: PathBuf, from: Mark, to: Mark },
    #[error("{} has the form of version {found}, of which this program knows {} only", .file.display(), file::VERSION)]
    Version { file: PathBuf, found: u32 },
    /// The one who was given the entries could make nothing of one.
    #[error("entry {} of the log cannot be replayed: {reason}", .mark.0)]
    Replay { mark: Mark, reason: String },
}

/// Whether the log in `dir` has its first entry still, so that it tells everything.
pub(crate) fn is_complete(disk: &dyn Disk, dir: &Path) -> io::Result<bool> {
    Ok(disk.list(dir)?.iter().filter_map(|name| file::first_mark(name)).min() == Some(Mark(1)))
}

/// Takes the mark and the payload of an entry, or says why it can make nothing of it.
pub(crate) type Replay<'a> = &'a mut dyn FnMut(Mark, &[u8]) -> Result<(), String>;

/// An open log. It is closed when it is dropped.
pub(crate) struct Wal {
    queue: Arc<Queue>,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The first marks of the files that there are.
    files: Arc<Mutex<BTreeSet<Mark>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Wal {
    /// Opens the log in `dir`, which is made if it is missing. Calls `replay` with the mark and the payload of every
    /// entry whose mark is greater than `after`, in order. All of them are durable once this returns. If there are
    /// none, the next entry's mark is the one after `after`.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        after: Mark,
        fsync: Fsync,
        replay: Replay<'_>,
    ) -> Result<Self, WalError> {
        let recovered = recovery::recover(disk.as_ref(), dir, after, replay)?;
        let files = Arc::new(Mutex::new(recovered.files));
        let (end, last) = (recovered.end, recovered.last);
        let file = last.as_ref().map(|last| (last.first, last.open.at - file::HEADER_BYTES as u64));
        let queue = Arc::new(Queue::new(end, file));
        let writer = Writer {
            queue: Arc::clone(&queue),
            disk: Arc::clone(&disk),
            dir: dir.into(),
            fsync,
            files: Arc::clone(&files),
            file: last.map(|last| last.open),
            written: end,
            synced: end,
            sync_due: None,
        };
        let thread = thread::Builder::new().name("wal".into()).spawn(move || writer.run());
        let thread = thread.map_err(|source| WalError::Io { path: dir.into(), source })?;
        Ok(Self { queue, disk, dir: dir.into(), files, thread: Mutex::new(Some(thread)) })
    }

    /// Appends one entry, whose payload is the parts one after the other, and returns its mark. Does not wait and
    /// does no I/O. Refused only if the log is stopped or closed, or the entry is larger than a record may be.
    pub(crate) fn append(&self, parts: &[&[u8]]) -> Result<Mark, StorageError> {
        self.queue.append(parts)
    }

    /// Whether new work is taken: neither is the disk full, nor does more wait to be written than may.
    pub(crate) fn admit(&self) -> Result<(), StorageError> {
        self.queue.admit()
    }

    /// The mark of the last appended entry.
    pub(crate) fn end(&self) -> Mark {
        self.queue.end()
    }

    /// What to wait for until `mark`, which was appended, is reached; `None` if it is.
    pub(crate) fn durable(&self, mark: Mark) -> Option<Reached> {
        self.queue.durable(mark)
    }

    /// What to wait for until everything that has been appended is synced, however seldom the log is to be synced.
    pub(crate) fn sync(&self) -> Reached {
        self.queue.sync()
    }

    /// Writes nothing more, for this reason: what the disk holds is not known.
    pub(crate) fn stop(&self, reason: &str) {
        self.queue.stop(&reason.into());
    }

    /// Lets the entries that are appended from now on go to a new file, and returns the mark of the last one before.
    /// Nothing changes if the last file has no entry yet.
    pub(crate) fn rotate(&self) -> Mark {
        self.queue.rotate()
    }

    /// Removes the files all of whose entries have marks up to `through`, but for the one that is written: after
    /// [`Wal::rotate`] that is the old one until the thread has begun the new one. Removed files may be back after a
    /// crash, until the directory is synced; they do no harm.
    pub(crate) fn remove_through(&self, through: Mark) -> io::Result<()> {
        loop {
            let oldest = {
                let files = self.files.lock();
                let mut firsts = files.iter();
                match (firsts.next(), firsts.next()) {
                    (Some(&oldest), Some(&next)) if next.0 <= through.0.saturating_add(1) => oldest,
                    _ => return Ok(()),
                }
            };
            match self.disk.remove(&self.dir.join(file::name(oldest))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.files.lock().remove(&oldest),
            };
        }
    }

    /// How many bytes of entries the file has that the next entry goes to.
    pub(crate) fn bytes_since_rotation(&self) -> u64 {
        self.queue.bytes_since_rotation()
    }

    /// Writes and syncs what is pending and ends the thread; if the disk is full, what is pending is given up after
    /// one more attempt. Nothing can be appended afterwards.
    pub(crate) fn close(&self) {
        self.queue.close();
        if let Some(thread) = self.thread.lock().take() {
            // A panic of the thread has been reported, and has failed all who waited.
            let _ = thread.join();
        }
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.close();
    }
}
