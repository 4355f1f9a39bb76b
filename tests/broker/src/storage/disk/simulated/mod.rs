//! A disk in memory that loses power, fills up and fails as real ones do.
//!
//! What was written is durable after a sync of the file, and a name after a sync of its directory. Until then a crash
//! may keep any of it, sector by sector, in no order: see [`content`]. Directories are durable at once.

mod content;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{Disk, DiskFile};
use content::{Content, Edit};

/// A machine's disk. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct SimulatedDisk {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    machine: Mutex<Machine>,
    changed: Condvar,
}

#[derive(Default)]
struct Machine {
    content: Content,
    directories: BTreeSet<PathBuf>,
    capacity: Option<u64>,
    /// The process that used this disk is gone: all it does fails.
    off: bool,
    /// How many syncs go well until one fails, and whether all after it do.
    failing: Option<(u64, Failing)>,
    syncs_wait: bool,
    counts: Counts,
}

#[derive(Clone, Copy)]
enum Failing {
    One,
    All,
}

/// What was asked of a disk, until the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Calls that write into files, cut or lengthen them, failed ones included.
    pub(crate) writes: u64,
    /// Syncs of files that were called.
    pub(crate) syncs_begun: u64,
    /// Syncs of files that went well.
    pub(crate) syncs: u64,
}

impl SimulatedDisk {
    /// What the machine holds after it lost power: what was synced, and of the rest what chance decides by the seed.
    /// Everything that used this disk fails from then on.
    pub(crate) fn crash(&self, seed: u64) -> Self {
        let after = self.kill();
        after.shared.machine.lock().content.lose(&mut fastrand::Rng::with_seed(seed));
        after
    }

    /// What the machine holds after the process was killed: every write, the unsynced ones not yet durable.
    /// Everything that used this disk fails from then on.
    pub(crate) fn kill(&self) -> Self {
        let mut machine = self.shared.machine.lock();
        machine.off = true;
        self.shared.changed.notify_all();
        let after = Machine {
            content: machine.content.clone(),
            directories: machine.directories.clone(),
            capacity: machine.capacity,
            ..Machine::default()
        };
        Self { shared: Arc::new(Shared { machine: Mutex::new(after), changed: Condvar::new() }) }
    }

    /// How many bytes all files may have together. A write beyond fails, after a part of it was written.
    pub(crate) fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.machine.lock().capacity = bytes;
    }

    /// Whether syncs, of files and of directories, fail from now on.
    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.shared.machine.lock().failing = fail.then_some((0, Failing::All));
    }

    /// Lets the sync fail that is the `nth` from now on, counted from 1.
    pub(crate) fn fail_sync(&self, nth: u64) {
        self.shared.machine.lock().failing = Some((nth.saturating_sub(1), Failing::One));
    }

    /// Whether syncs of files wait, from now on, until they are let go on.
    pub(crate) fn hold_syncs(&self, hold: bool) {
        self.shared.machine.lock().syncs_wait = hold;
        self.shared.changed.notify_all();
    }

    /// What was asked of the disk so far.
    pub(crate) fn counts(&self) -> Counts {
        self.shared.machine.lock().counts
    }

    /// Blocks until the counts are as wanted.
    pub(crate) fn wait_until(&self, wanted: impl Fn(&Counts) -> bool) {
        let mut machine = self.shared.machine.lock();
        self.shared.changed.wait_while(&mut machine, |machine| !wanted(&machine.counts));
    }

    /// The bytes of a file.
    ///
    /// # Panics
    /// If there is no such file; so do the other operations on a file's bytes.
    pub(crate) fn read(&self, path: &Path) -> Vec<u8> {
        let machine = self.shared.machine.lock();
        machine.content.bytes(machine.content.find(path).unwrap()).to_vec()
    }

    /// Gives a file these bytes, durably; makes it where it is missing.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) {
        let content = &mut self.shared.machine.lock().content;
        let file = content.create(path);
        for edit in [Edit::Length(0), Edit::Bytes { at: 0, bytes: bytes.into() }] {
            content.edit(file, edit);
        }
        content.sync(file);
        content.sync_names(path.parent().unwrap());
    }

    /// Cuts a file to this length, durably.
    pub(crate) fn cut(&self, path: &Path, length: u64) {
        let content = &mut self.shared.machine.lock().content;
        let file = content.find(path).unwrap();
        content.edit(file, Edit::Length(length));
        content.sync(file);
    }

    /// Turns one bit of a file, counted from its byte's lowest, as a medium that rots does.
    pub(crate) fn flip_bit(&self, path: &Path, byte: u64, bit: u8) {
        let mut bytes = self.read(path);
        bytes[usize::try_from(byte).unwrap()] ^= 1 << bit;
        self.replace(path, &bytes);
    }

    fn machine(&self) -> io::Result<MutexGuard<'_, Machine>> {
        let machine = self.shared.machine.lock();
        machine.running()?;
        Ok(machine)
    }

    fn file(&self, file: usize) -> Arc<dyn DiskFile> {
        Arc::new(SimulatedFile { disk: self.clone(), file })
    }
}

impl Machine {
    fn running(&self) -> io::Result<()> {
        match self.off {
            true => Err(io::Error::other("the process that opened this is gone")),
            false => Ok(()),
        }
    }

    /// Carries an edit out as far as there is room for it.
    fn edit(&mut self, file: usize, edit: Edit) -> io::Result<()> {
        self.counts.writes += 1;
        let length = self.content.bytes(file).len() as u64;
        let others = self.content.size() - length;
        let limit = self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(others).max(length));
        if edit.end() <= limit {
            self.content.edit(file, edit);
            return Ok(());
        }
        if let Edit::Bytes { at, bytes } = edit
            && at < limit
        {
            let room = usize::try_from(limit - at).unwrap();
            self.content.edit(file, Edit::Bytes { at, bytes: bytes[..room].into() });
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    /// Whether chance, as it was set, lets a sync go well.
    fn sync(&mut self) -> io::Result<()> {
        match &mut self.failing {
            None => return Ok(()),
            Some((0, Failing::All)) => {}
            Some((0, Failing::One)) => self.failing = None,
            Some((left, _)) => {
                *left -= 1;
                return Ok(());
            }
        }
        Err(io::Error::other("the disk failed to sync"))
    }
}

impl Disk for SimulatedDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.machine()?.directories.extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let machine = self.machine()?;
        machine.directories.get(path).ok_or(io::ErrorKind::NotFound)?;
        let entries = machine.content.names().chain(machine.directories.iter());
        let inside = entries.filter(|entry| entry.parent() == Some(path)).filter_map(|entry| entry.file_name());
        let mut names: Vec<_> = inside.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut machine = self.machine()?;
        let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        machine.directories.get(directory).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(machine.content.create(path)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.machine()?.content.find(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(self.machine()?.content.rename(from, Some(to)).ok_or(io::ErrorKind::NotFound)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Ok(self.machine()?.content.rename(path, None).ok_or(io::ErrorKind::NotFound)?)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.machine()?;
        machine.sync()?;
        machine.content.sync_names(path);
        Ok(())
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
}

impl DiskFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.machine()?.content.bytes(self.file).len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let machine = self.disk.machine()?;
        let start = usize::try_from(at).map_err(io::Error::other)?;
        let bytes = machine.content.bytes(self.file).get(start..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let written = self.disk.machine()?.edit(self.file, Edit::Bytes { at, bytes: bytes.into() });
        self.disk.shared.changed.notify_all();
        written
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let written = self.disk.machine()?.edit(self.file, Edit::Length(length));
        self.disk.shared.changed.notify_all();
        written
    }

    fn sync(&self) -> io::Result<()> {
        let shared = &self.disk.shared;
        let mut machine = self.disk.machine()?;
        machine.counts.syncs_begun += 1;
        shared.changed.notify_all();
        shared.changed.wait_while(&mut machine, |machine| machine.syncs_wait && !machine.off);
        machine.running()?;
        machine.sync()?;
        machine.content.sync(self.file);
        machine.counts.syncs += 1;
        shared.changed.notify_all();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
