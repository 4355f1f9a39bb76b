//! The files of the log: what they are called, and the header that each begins with.
//!
//! ```text
//!  0          8         12           20      24
//!  ┌──────────┬─────────┬────────────┬───────┐
//!  │"tmq-wal\0"│ version │ first mark │CRC-32C│   little endian; the checksum is that of what is before it
//!  └──────────┴─────────┴────────────┴───────┘
//! ```

use crate::storage::Mark;

/// The bytes of a file's header.
pub(super) const HEADER_BYTES: usize = 24;

/// The form of the file that is written and read.
pub(super) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"tmq-wal\0";
const SUFFIX: &str = ".wal";
const DIGITS: usize = 20;

/// Why bytes are not the header of a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoHeader {
    #[error("the file's header is cut short")]
    Short,
    #[error("the file's header is not that of a write-ahead log, or is damaged")]
    Malformed,
    #[error("the file is of version {0}")]
    Version(u32),
    #[error("the file's header says that it begins with entry {}", .0.0)]
    First(Mark),
}

/// The name of the file whose first entry has this mark.
pub(super) fn name(first: Mark) -> String {
    format!("{:020}{SUFFIX}", first.0)
}

/// The mark that a file's name says; `None` if it is no file of the log.
pub(super) fn first_mark(name: &str) -> Option<Mark> {
    let digits = name.strip_suffix(SUFFIX)?;
    let valid = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|&mark| valid && mark > 0).map(Mark)
}

/// The header of the file whose first entry has this mark.
pub(super) fn header(first: Mark) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..20].copy_from_slice(&first.0.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..20]);
    header[20..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Whether a file that begins with these bytes is one whose first entry has this mark.
pub(super) fn check_header(bytes: &[u8], first: Mark) -> Result<(), NoHeader> {
    let header: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(NoHeader::Short)?;
    let [.., a, b, c, d] = *header;
    if header[..8] != MAGIC || crc32c::crc32c(&header[..20]) != u32::from_le_bytes([a, b, c, d]) {
        return Err(NoHeader::Malformed);
    }
    let version = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    if version != VERSION {
        return Err(NoHeader::Version(version));
    }
    let stated = header[12..20].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    if stated != first.0 {
        return Err(NoHeader::First(Mark(stated)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_marks_do_and_say_them() {
        for mark in [1, 9, 10, u64::MAX] {
            assert_eq!(first_mark(&name(Mark(mark))), Some(Mark(mark)));
        }
        assert!(name(Mark(9)) < name(Mark(10)));
        let others =
            ["", ".wal", "1.wal", "00000000000000000000.wal", "99999999999999999999.wal", "0000000000000000001x"];
        for other in others.into_iter().chain(["+0000000000000000001.wal", "00000000000000000001.wal.tmp"]) {
            assert_eq!(first_mark(other), None, "{other}");
        }
    }

    #[test]
    fn no_flipped_bit_of_a_header_goes_unseen() {
        let good = header(Mark(7));
        assert_eq!(check_header(&good, Mark(7)), Ok(()));
        assert_eq!(check_header(&good, Mark(8)), Err(NoHeader::First(Mark(7))));
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = good;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(check_header(&flipped, Mark(7)), Err(NoHeader::Malformed), "bit {bit}");
        }
        for length in 0..HEADER_BYTES {
            assert_eq!(check_header(&good[..length], Mark(7)), Err(NoHeader::Short));
        }
    }
}
