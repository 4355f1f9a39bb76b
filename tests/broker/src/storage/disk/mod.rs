//! The disk as storage sees it: few operations, so that a simulated one can stand in for it and fail as disks do.

mod real;
#[cfg(test)]
mod simulated;

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

pub(crate) use real::RealDisk;
#[cfg(test)]
pub(crate) use simulated::SimulatedDisk;

/// Files in directories. What is written is durable after [`DiskFile::sync`]; that a file exists, is gone or has
/// another name is durable after [`Disk::sync_dir`] of its directory.
pub(crate) trait Disk: Send + Sync + 'static {
    /// Makes a directory and those above it, where they are missing.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Opens a file to read and write it; makes it where it is missing.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that is there.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name; one that has the name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// An open file.
pub(crate) trait DiskFile: Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Fills the buffer from the bytes at `at`; an error of the kind `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;

    /// Writes all bytes at `at`. After an error any part of them may have been written.
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Cuts the file, or fills it up with zeros.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Waits until what was written, and the length, are durable.
    fn sync(&self) -> io::Result<()>;
}

/// Whether an error means that the disk is full, which may pass, or a limit reached: the quota, the size of a file, the
/// number of open files.
pub(crate) fn is_no_room(error: &io::Error) -> bool {
    let open_files = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| open_files.contains(&code))
        || matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
}
