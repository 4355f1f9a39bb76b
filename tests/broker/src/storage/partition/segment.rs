//! The files of a partition: what they are called, the header that each segment begins with, and reading a segment
//! through.
//!
//! ```text
//!  0          8         12             20      24
//!  ┌──────────┬─────────┬──────────────┬───────┐
//!  │"tmq-seg\0"│ version │ first offset │CRC-32C│   little endian; the checksum is that of what is before it
//!  └──────────┴─────────┴──────────────┴───────┘
//! ```
//!
//! Blocks follow, without anything between them.

use std::io;
use std::path::{Path, PathBuf};

use super::block;
use super::index::Index;
use super::{Damage, OpenError};
use crate::names::Offset;
use crate::storage::disk::DiskFile;
use crate::storage::record;

/// The bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 24;

/// The form of the segment that is written and read.
const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"tmq-seg\0";
const DIGITS: usize = 20;

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
        dir.join(format!("{:020}{}", first.0, self.suffix()))
    }

    /// What a name says: which file it is, and the first offset of its segment. `None` if it is no file of a log.
    pub(super) fn parse(name: &str) -> Option<(Self, Offset)> {
        let (part, digits) = [Self::Blocks, Self::Index]
            .into_iter()
            .find_map(|part| name.strip_suffix(part.suffix()).map(|digits| (part, digits)))?;
        let valid = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| valid).map(|first| (part, Offset(first)))
    }
}

/// The header of the segment that begins with this offset.
pub(super) fn header(first: Offset) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..20].copy_from_slice(&first.0.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..20]);
    header[20..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Reads and checks the header of the segment that should begin with this offset.
pub(super) fn check_header(file: &dyn DiskFile, path: &Path, first: Offset) -> Result<(), OpenError> {
    let mut found = [0; HEADER_BYTES];
    let damaged = |reason: &str| Damage::new(path, 0, reason);
    match file.read_exact_at(&mut found, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(damaged("the segment's header is cut short").into());
        }
        read => read.map_err(|source| OpenError::Io { path: path.to_owned(), source })?,
    }
    if found == header(first) {
        return Ok(());
    }
    let [.., a, b, c, d] = found;
    if found[..8] != MAGIC || crc32c::crc32c(&found[..20]) != u32::from_le_bytes([a, b, c, d]) {
        return Err(damaged("the header is not that of a segment, or is damaged").into());
    }
    match u32::from_le_bytes([found[8], found[9], found[10], found[11]]) {
        VERSION => Err(damaged("the header is that of a segment with another first offset").into()),
        version => Err(OpenError::Version { path: path.to_owned(), found: version }),
    }
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
