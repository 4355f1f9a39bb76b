//! The thread that writes the log: in groups, so that one sync serves all who appended while the last one ran.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::batch::Batch;
use super::queue::{Queue, Work};
use super::{Fsync, file};
use crate::storage::Mark;
use crate::storage::disk::{Disk, DiskFile, is_no_room};

/// Writes what is appended into the log's files.
pub(super) struct Writer {
    pub(super) queue: Arc<Queue>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) fsync: Fsync,
    /// The first marks of the files that there are.
    pub(super) files: Arc<Mutex<BTreeSet<Mark>>>,
    /// The file that is written; `None` until the first one is begun.
    pub(super) file: Option<Open>,
    /// The last entry that was written, and the last one that is durable.
    pub(super) written: Mark,
    pub(super) synced: Mark,
    /// When what was written is to be made durable.
    pub(super) sync_due: Option<Instant>,
}

/// The file that is written.
pub(super) struct Open {
    pub(super) file: Arc<dyn DiskFile>,
    /// Where the next entry begins. There may be parts of one behind, which a full disk let be written.
    pub(super) at: u64,
}

/// Why the thread does not go on.
enum Failure {
    /// This may pass.
    NoRoom(Arc<str>),
    Stop(Arc<str>),
}

impl Failure {
    fn of(what: &str, error: &io::Error) -> Self {
        let reason = format!("{what}: {error}").into();
        match is_no_room(error) {
            true => Self::NoRoom(reason),
            false => Self::Stop(reason),
        }
    }
}

impl Writer {
    /// Runs until the log is closed, or until something fails that does not pass.
    pub(super) fn run(mut self) {
        /// Whatever the thread ends by, nobody waits for it in vain.
        struct End(Arc<Queue>);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.stop(&"the log is closed".into());
            }
        }
        let end = End(Arc::clone(&self.queue));
        match self.serve() {
            Ok(()) => {}
            Err(Failure::NoRoom(reason)) => {
                tracing::warn!(%reason, "closed without room for what was not acknowledged")
            }
            Err(Failure::Stop(reason)) => {
                tracing::error!(%reason, dir = %self.dir.display(), "storage stops writing");
                end.0.stop(&reason);
            }
        }
    }

    fn serve(&mut self) -> Result<(), Failure> {
        let (mut batch, mut answered) = (Batch::default(), Vec::new());
        loop {
            match self.queue.next_work(&mut batch, self.sync_due) {
                Work::Write => {
                    self.commit(&mut batch)?;
                    self.queue.reach(self.written, self.synced, &mut answered);
                    batch.clear();
                }
                Work::Sync => {
                    self.sync()?;
                    self.queue.reach(self.written, self.synced, &mut answered);
                }
                Work::End => return self.sync(),
            }
        }
    }

    /// Writes a batch and makes it as durable as it is to be; for as long as the disk is full, tries again.
    fn commit(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let last = batch.seal(self.synced);
        let mut done = 0;
        loop {
            match self.write(batch, &mut done, last) {
                Err(Failure::NoRoom(reason)) if self.queue.wait_for_room(&reason) => {}
                outcome => return outcome,
            }
        }
    }

    /// Writes what is not `done` of a batch whose last entry is `last`.
    fn write(&mut self, batch: &mut Batch, done: &mut usize, last: Mark) -> Result<(), Failure> {
        loop {
            let cut = batch.cuts.front().copied();
            let part = batch.bytes.get(*done..cut.map_or(batch.bytes.len(), |cut| cut.at)).unwrap_or_default();
            if !part.is_empty() {
                self.write_part(part)?;
                *done += part.len();
                self.written = cut.map_or(last, |cut| Mark(cut.first.0 - 1));
            }
            let Some(cut) = cut else { break };
            self.begin_file(cut.first)?;
            batch.cuts.pop_front();
        }
        match self.fsync {
            Fsync::Always => self.sync(),
            _ if self.queue.sync_asked() => self.sync(),
            Fsync::Interval(length) => {
                let due = || Instant::now() + Duration::from_millis(length.0);
                self.sync_due = (self.written > self.synced).then(|| self.sync_due.unwrap_or_else(due));
                Ok(())
            }
            Fsync::Never => Ok(()),
        }
    }

    fn write_part(&mut self, part: &[u8]) -> Result<(), Failure> {
        let Some(open) = &mut self.file else { return Err(Failure::Stop("no file of the log was begun".into())) };
        if let Err(error) = open.file.write_all_at(part, open.at) {
            let failure = Failure::of("write", &error);
            if matches!(failure, Failure::NoRoom(_)) {
                // If it cannot be cut either, what is there is written over once there is room.
                let _ = open.file.set_len(open.at);
            }
            return Err(failure);
        }
        open.at += part.len() as u64;
        Ok(())
    }

    /// Begins the file whose first entry will be `first`. What is in the one before is durable first, and the new
    /// name and header are before anything follows: only the last file can be torn.
    fn begin_file(&mut self, first: Mark) -> Result<(), Failure> {
        self.sync()?;
        let begin = || {
            let file = self.disk.create(&self.dir.join(file::name(first)))?;
            // An attempt that failed may have left something.
            file.set_len(0)?;
            file.write_all_at(&file::header(first), 0)?;
            Ok(file)
        };
        let file = begin().map_err(|error| Failure::of("begin a file", &error))?;
        let durable = file.sync().and_then(|()| self.disk.sync_dir(&self.dir));
        durable.map_err(|error| Failure::Stop(format!("sync a new file: {error}").into()))?;
        self.file = Some(Open { file, at: file::HEADER_BYTES as u64 });
        self.files.lock().insert(first);
        Ok(())
    }

    /// Makes durable what was written. After an error it is not known what is: nothing may be written any more.
    fn sync(&mut self) -> Result<(), Failure> {
        if self.written > self.synced
            && let Some(open) = &self.file
        {
            open.file.sync().map_err(|error| Failure::Stop(format!("sync: {error}").into()))?;
            (self.synced, self.sync_due) = (self.written, None);
        }
        Ok(())
    }
}
