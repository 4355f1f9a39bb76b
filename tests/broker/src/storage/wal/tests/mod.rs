//! The log on a simulated disk.

mod commit;
mod failures;
mod history;
mod recovery;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::storage::disk::SimulatedDisk;

const DIR: &str = "/data/journal";

/// A minute is longer than any test takes.
const MINUTE: Fsync = Fsync::Interval(Millis(60_000));

/// The entries that were replayed.
type Replayed = Vec<(Mark, Vec<u8>)>;

fn try_open(disk: &SimulatedDisk, after: u64, fsync: Fsync) -> Result<(Wal, Replayed), WalError> {
    let mut replayed = Vec::new();
    let wal = Wal::open(Arc::new(disk.clone()), Path::new(DIR), Mark(after), fsync, &mut |mark, payload| {
        replayed.push((mark, payload.to_vec()));
        Ok(())
    })?;
    Ok((wal, replayed))
}

fn open(disk: &SimulatedDisk, fsync: Fsync) -> (Wal, Replayed) {
    try_open(disk, 0, fsync).unwrap()
}

/// A new log with these entries, all of them durable one after the other.
async fn log_of(disk: &SimulatedDisk, entries: &[&str]) -> Wal {
    let (wal, _) = open(disk, Fsync::Always);
    for entry in entries {
        write(&wal, entry).await;
    }
    wal
}

fn append(wal: &Wal, entry: &str) -> Mark {
    wal.append(&[entry.as_bytes()]).unwrap()
}

/// Appends an entry and waits until it is durable.
async fn write(wal: &Wal, entry: &str) {
    reached(wal, append(wal, entry)).await.unwrap();
}

async fn reached(wal: &Wal, mark: Mark) -> Result<(), StorageError> {
    match wal.durable(mark) {
        Some(reached) => reached.await,
        None => Ok(()),
    }
}

fn replayed(entries: &[&str]) -> Replayed {
    (1..).map(Mark).zip(entries.iter().map(|entry| entry.as_bytes().to_vec())).collect()
}

fn file_of(first: u64) -> PathBuf {
    Path::new(DIR).join(file::name(Mark(first)))
}

fn files(disk: &SimulatedDisk) -> Vec<String> {
    disk.list(Path::new(DIR)).unwrap()
}
