//! The files of a partition: what they are called, the header that each segment begins with, and reading a segment
//! through. Blocks follow the header, without anything between them.

use std::io;
use std::path::{Path, PathBuf};

use super::block;
use super::index::Index;
use super::{Damage, OpenError};
use crate::names::Offset;
use crate::storage::disk::DiskFile;
pub(super) use crate::storage::numbered::HEADER_BYTES;
use crate::storage::numbered::{self, NoHeader};
use crate::storage::record;

/// The form of the segment that is written and read.
const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"tmq-seg\0";

/// How much is read at once; more where one block is longer.
const CHUNK_BYTES: usize = 1 << 20;

/// The two files of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Blocks,
    Index,
}

impl Part {
    fn suffix(self) -> &'static str {
        match self {
            Self::Blocks => ".segment",
            Self::Index => ".index",
        }
    }

    /// The path of this file of the segment that begins with this offset.
    pub(super) fn path(self, dir: &Path, first: Offset) -> PathBuf {
        dir.join(numbered::name(first.0, self.suffix()))
    }

    /// What a name says: which file it is, and the first offset of its segment. `None` if it is no file of a log.
    pub(super) fn parse(name: &str) -> Option<(Self, Offset)> {
        [Self::Blocks, Self::Index]
            .into_iter()
            .find_map(|part| numbered::parse(name, part.suffix()).map(|first| (part, Offset(first))))
    }
}

/// The header of the segment that begins with this offset.
pub(super) fn header(first: Offset) -> [u8; HEADER_BYTES] {
    numbered::header(MAGIC, VERSION, first.0)
}

/// Reads and checks the header of the segment that should begin with this offset.
pub(super) fn check_header(file: &dyn DiskFile, path: &Path, first: Offset) -> Result<(), OpenError> {
    let mut found = [0; HEADER_BYTES];
    let checked = match file.read_exact_at(&mut found, 0) {
        Ok(()) => numbered::check_header(&found, MAGIC, VERSION, first.0),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(NoHeader::Short),
        Err(source) => return Err(OpenError::Io { path: path.to_owned(), source }),
    };
    checked.map_err(|error| match error {
        NoHeader::Version(found) => OpenError::Version { path: path.to_owned(), found },
        error => Damage::new(path, 0, error.to_string()).into(),
    })
}

/// Reads a segment from where its index ends, and adds every block up to the byte `until` to the index. All of them
/// have to be whole.
pub(super) fn index_blocks(file: &dyn DiskFile, path: &Path, index: &mut Index, until: u64) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let mut window = Vec::new();
    let mut start = 0;
    while index.bytes() < until {
        let left = usize::try_from(until - index.bytes()).unwrap_or(usize::MAX);
        let damaged = |reason: String| Damage::new(path, index.bytes(), reason);
        let mut least = record::HEADER_BYTES.min(left);
        loop {
            let ahead = window.get(start..).unwrap_or_default();
            if ahead.len() >= least {
                let length = record::stated_len(ahead).map_err(|error| damaged(error.to_string()))?;
                if length > left {
                    return Err(damaged("the block is cut short".to_owned()).into());
                }
                if ahead.len() >= length {
                    let checked = block::check(&ahead[..length], index.end());
                    let (head, _) = checked.map_err(|error| damaged(error.to_string()))?;
                    index.push(&head, length);
                    start += length;
                    break;
                }
                least = length;
            }
            window.resize(least.max(CHUNK_BYTES).min(left), 0);
            start = 0;
            file.read_exact_at(&mut window, index.bytes()).map_err(io)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_offsets_do_and_say_them() {
        for first in [0, 9, 10, u64::MAX].map(Offset) {
            for part in [Part::Blocks, Part::Index] {
                let path = part.path(Path::new("p"), first);
                assert_eq!(Part::parse(path.file_name().unwrap().to_str().unwrap()), Some((part, first)));
            }
        }
        assert!(Part::Blocks.path(Path::new("p"), Offset(9)) < Part::Blocks.path(Path::new("p"), Offset(10)));
        for other in ["", ".segment", "1.index", "99999999999999999999.index", "+0000000000000000001.segment", "LOCK"] {
            assert_eq!(Part::parse(other), None, "{other}");
        }
    }
}
