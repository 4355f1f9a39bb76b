//! Opens the log's files: replays what they hold, cuts a torn tail off, and finds where to go on.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::scan::{Broken, Position, Scanned, scan};
use super::writer::Open;
use super::{Replay, WalError, file};
use crate::storage::Mark;
use crate::storage::disk::Disk;

/// What was found.
pub(super) struct Recovered {
    /// The first marks of all files.
    pub(super) files: BTreeSet<Mark>,
    /// The file to go on writing, where there is one that can be.
    pub(super) last: Option<Last>,
    /// The mark of the last entry.
    pub(super) end: Mark,
}

pub(super) struct Last {
    /// The mark of the file's first entry.
    pub(super) first: Mark,
    pub(super) open: Open,
}

/// Replays the entries after `after`, and leaves what was replayed durable and nothing else behind it.
pub(super) fn recover(disk: &dyn Disk, dir: &Path, after: Mark, replay: Replay<'_>) -> Result<Recovered, WalError> {
    let files = list(disk, dir).map_err(|source| WalError::Io { path: dir.into(), source })?;
    let next = Mark(after.0 + 1);
    let none = Recovered { files, last: None, end: after };
    // A file has nothing to say if the one after it begins in time.
    let begin = none.files.range(..=next).next_back().or(none.files.first());
    let Some(&begin) = begin else { return Ok(none) };
    if begin > next {
        return Err(WalError::Missing { dir: dir.into(), from: next, to: Mark(begin.0 - 1) });
    }
    let mut pass = |mark, payload: &[u8]| match mark > after {
        true => replay(mark, payload),
        false => Ok(()),
    };
    let mut row = none.files.range(begin..).peekable();
    let mut expected = begin;
    while let Some(&first) = row.next() {
        if first > expected {
            return Err(WalError::Missing { dir: dir.into(), from: expected, to: Mark(first.0 - 1) });
        }
        let path = dir.join(file::name(first));
        if first < expected {
            let reason = format!("entry {} is in the file before, too", first.0);
            return Err(WalError::Damaged { file: path, at: 0, reason });
        }
        let position = if row.peek().is_some() { Position::Earlier } else { Position::Last };
        let io = |source| WalError::Io { path: path.clone(), source };
        let opened = disk.open(&path).map_err(io)?;
        let scanned = scan(&opened, first, position, &mut pass).map_err(|broken| match broken {
            Broken::Damaged { at, reason } => WalError::Damaged { file: path.clone(), at, reason },
            Broken::Version(found) => WalError::Version { file: path.clone(), found },
            Broken::Io(source) => io(source),
            Broken::Refused { mark, reason } => WalError::Replay { mark, reason },
        })?;
        expected = scanned.next;
        if position == Position::Last {
            let Scanned { whole, length, .. } = scanned;
            if whole < length {
                tracing::warn!(file = %path.display(), at = whole, bytes = length - whole, "a torn tail is cut off");
                opened.set_len(whole).map_err(io)?;
            }
            // A process that was killed may have left all of this unsynced, and the file's name.
            opened.sync().and_then(|()| disk.sync_dir(dir)).map_err(io)?;
            let end = Mark(after.0.max(expected.0 - 1));
            // Without a header, or where what is known goes further, a new file is begun.
            let goes_on = whole > 0 && expected.0 > end.0;
            let last = goes_on.then_some(Last { first, open: Open { file: opened, at: whole } });
            return Ok(Recovered { last, end, ..none });
        }
    }
    Ok(none)
}

/// The first marks of the files in the log's directory, which is made if it is missing.
fn list(disk: &dyn Disk, dir: &Path) -> io::Result<BTreeSet<Mark>> {
    disk.create_dir(dir)?;
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        disk.sync_dir(parent)?;
    }
    Ok(disk.list(dir)?.iter().filter_map(|name| file::first_mark(name)).collect())
}
