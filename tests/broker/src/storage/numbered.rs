//! Files in a row: each is named after the number of the first thing in it, and most begin with a header that says it.
//!
//! ```text
//!  0       8         12             20      24
//!  ┌───────┬─────────┬──────────────┬───────┐
//!  │ magic │ version │ first number │CRC-32C│   little endian; the checksum is that of what is before it
//!  └───────┴─────────┴──────────────┴───────┘
//! ```

/// The bytes of a header.
pub(crate) const HEADER_BYTES: usize = 24;

/// The digits of a name: those of the largest number, so that names sort as the numbers do.
const DIGITS: usize = 20;

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoHeader {
    #[error("the header is cut short")]
    Short,
    #[error("the header is not that of such a file, or is damaged")]
    Malformed,
    #[error("the file is of version {0}")]
    Version(u32),
    #[error("the header says that the file begins with number {0}")]
    First(u64),
}

/// The name of the file that begins with this number.
pub(crate) fn name(first: u64, suffix: &str) -> String {
    format!("{first:0DIGITS$}{suffix}")
}

/// The number that a name says; `None` if it is no name with this suffix.
pub(crate) fn parse(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    let valid = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| valid)
}

/// The header of the file that begins with this number.
pub(crate) fn header(magic: [u8; 8], version: u32, first: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&magic);
    header[8..12].copy_from_slice(&version.to_le_bytes());
    header[12..20].copy_from_slice(&first.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..20]);
    header[20..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Whether a file that begins with these bytes is of this form, and begins with this number.
pub(crate) fn check_header(bytes: &[u8], magic: [u8; 8], version: u32, first: u64) -> Result<(), NoHeader> {
    let header: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(NoHeader::Short)?;
    let [.., a, b, c, d] = *header;
    if header[..8] != magic || crc32c::crc32c(&header[..20]) != u32::from_le_bytes([a, b, c, d]) {
        return Err(NoHeader::Malformed);
    }
    let found = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    if found != version {
        return Err(NoHeader::Version(found));
    }
    match header[12..20].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)) {
        stated if stated == first => Ok(()),
        stated => Err(NoHeader::First(stated)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_numbers_do_and_say_them() {
        for number in [0, 1, 9, 10, u64::MAX] {
            assert_eq!(parse(&name(number, ".wal"), ".wal"), Some(number));
        }
        assert!(name(9, ".wal") < name(10, ".wal"));
        let others = ["", ".wal", "1.wal", "99999999999999999999.wal", "0000000000000000001x"];
        for other in others.into_iter().chain(["+0000000000000000001.wal", "00000000000000000001.wal.tmp"]) {
            assert_eq!(parse(other, ".wal"), None, "{other}");
        }
    }

    #[test]
    fn no_flipped_bit_of_a_header_goes_unseen() {
        let (magic, check) = (*b"tmq-wal\0", |bytes: &[u8], first| check_header(bytes, *b"tmq-wal\0", 1, first));
        let good = header(magic, 1, 7);
        assert_eq!(check(&good, 7), Ok(()));
        assert_eq!(check(&good, 8), Err(NoHeader::First(7)));
        assert_eq!(check(&header(magic, 2, 7), 7), Err(NoHeader::Version(2)));
        assert_eq!(check(&header(*b"tmq-seg\0", 1, 7), 7), Err(NoHeader::Malformed));
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = good;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(check(&flipped, 7), Err(NoHeader::Malformed), "bit {bit}");
        }
        for length in 0..HEADER_BYTES {
            assert_eq!(check(&good[..length], 7), Err(NoHeader::Short));
        }
    }
}
