//! Reads one file of the log, a chunk at a time, and tells a torn tail from damage.

use std::io;
use std::sync::Arc;

use super::Replay;
use super::entry::{self, NoEntry};
use super::file::{self, NoHeader};
use crate::storage::Mark;
use crate::storage::disk::DiskFile;
use crate::storage::record::{self, NoRecord};

/// How much is read at once; more where one record is longer.
const CHUNK_BYTES: usize = 1 << 20;

/// How many bytes a search for whole entries takes checksums of: seconds of work. Honest bytes never come near it.
const MAX_CHECKED_BYTES: u64 = 4 << 30;

/// Why a file cannot be read to its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// The bytes at `at` are not what was written.
    Damaged { at: u64, reason: String },
    /// The file is of a version that cannot be read.
    Version(u32),
    /// The disk failed.
    Io(io::Error),
    /// The one who was given the entries refused this one.
    Refused { mark: Mark, reason: String },
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    /// The mark that follows its last whole entry.
    pub(super) next: Mark,
    /// Where what is whole ends, in bytes; 0 if not even the header is whole.
    pub(super) whole: u64,
    /// The length of the file.
    pub(super) length: u64,
}

/// Whether entries may follow in a further file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    Last,
    Earlier,
}

/// Reads the file whose first entry has the mark `first`, and passes every entry on. Only the last file may have a
/// torn tail; [`Scanned::whole`] is where it begins.
pub(super) fn scan(
    file: &Arc<dyn DiskFile>,
    first: Mark,
    position: Position,
    pass: Replay<'_>,
) -> Result<Scanned, Broken> {
    let mut window = Window { length: file.len()?, file: Arc::clone(file), start: 0, bytes: Vec::new() };
    let (length, mut next, mut at) = (window.length, first, 0);
    // What has to be proved durable for the file to be damaged: of a broken header, all that is before the file, since
    // the header was durable before anything was written after it.
    let mut lost = Mark(first.0.saturating_sub(1));
    let broken = match file::check_header(window.from(0, file::HEADER_BYTES)?, first) {
        Err(NoHeader::Version(version)) => return Err(Broken::Version(version)),
        Err(broken) => broken.to_string(),
        Ok(()) => {
            at = file::HEADER_BYTES as u64;
            loop {
                if at == length {
                    return Ok(Scanned { next, whole: at, length });
                }
                match window.entry(at, next)? {
                    Ok((entry, payload)) => {
                        pass(next, payload).map_err(|reason| Broken::Refused { mark: next, reason })?;
                        (at, next) = (at + entry, Mark(next.0 + 1));
                    }
                    Err(broken) => {
                        lost = next;
                        break broken.to_string();
                    }
                }
            }
        }
    };
    if position == Position::Earlier {
        return Err(Broken::Damaged { at, reason: broken });
    }
    match window.search(at + 1, lost)? {
        Search::Nothing => Ok(Scanned { next, whole: at, length }),
        Search::Proof(proof) => {
            let reason = format!("{broken}; the whole entry at byte {proof} shows that it was durable");
            Err(Broken::Damaged { at, reason })
        }
        Search::GivenUp => {
            let reason = format!("{broken}; what follows looks like entries in too many places to check them all");
            Err(Broken::Damaged { at, reason })
        }
    }
}

/// What a search for an entry that vouches for a broken one comes to.
enum Search {
    Nothing,
    /// There is one at this byte.
    Proof(u64),
    GivenUp,
}

/// A part of a file.
struct Window {
    file: Arc<dyn DiskFile>,
    length: u64,
    /// Where in the file `bytes` begins.
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The bytes from `at` on: `least`, or fewer at the file's end, and what else has been read.
    fn from(&mut self, at: u64, least: usize) -> io::Result<&[u8]> {
        if at >= self.length {
            return Ok(&[]);
        }
        let left = usize::try_from(self.length - at).unwrap_or(usize::MAX);
        let (least, end) = (least.min(left), self.start + self.bytes.len() as u64);
        if at < self.start || at + least as u64 > end {
            self.bytes.resize(least.max(CHUNK_BYTES).min(left), 0);
            self.start = at;
            self.file.read_exact_at(&mut self.bytes, at)?;
        }
        let skip = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(skip..).unwrap_or_default())
    }

    /// The length and the payload of the entry at `at`, if it is whole and has this mark.
    fn entry(&mut self, at: u64, mark: Mark) -> io::Result<Result<(u64, &[u8]), NoEntry>> {
        let left = self.length.saturating_sub(at);
        let length = match record::stated_len(self.from(at, record::HEADER_BYTES)?) {
            Ok(length) if length as u64 <= left => length,
            Ok(_) => return Ok(Err(NoRecord::Short.into())),
            Err(no_record) => return Ok(Err(no_record.into())),
        };
        let bytes = self.from(at, length)?;
        Ok(entry::open(&bytes[..length], mark).map(|payload| (length as u64, payload)))
    }

    /// Looks from `at` on for a whole entry which proves that the one of `mark` was durable.
    fn search(&mut self, mut at: u64, mark: Mark) -> io::Result<Search> {
        let within = self.length.saturating_sub(at) / record::HEADER_BYTES as u64;
        let (length, mut checked) = (self.length, 0);
        loop {
            let bytes = self.from(at, record::HEADER_BYTES)?;
            let plausible = |head: &[u8]| match record::stated_len(head) {
                Ok(stated) => stated as u64 <= length - at && entry::vouches_for(head, mark, within),
                Err(_) => false,
            };
            let Some(found) = bytes.windows(record::HEADER_BYTES).position(plausible) else {
                if bytes.len() < record::HEADER_BYTES || at + bytes.len() as u64 >= length {
                    return Ok(Search::Nothing);
                }
                at += (bytes.len() - record::HEADER_BYTES + 1) as u64;
                continue;
            };
            at += found as u64;
            if let Ok(stated) = record::stated_len(&bytes[found..])
                && stated as u64 <= length - at
            {
                checked += stated as u64;
                if record::open(self.from(at, stated)?).is_ok() {
                    return Ok(Search::Proof(at));
                }
            }
            if checked > MAX_CHECKED_BYTES {
                return Ok(Search::GivenUp);
            }
            at += 1;
        }
    }
}
