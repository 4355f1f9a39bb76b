//! The files of the log: what they are called, and the header that each begins with.

use crate::storage::Mark;
use crate::storage::numbered;
pub(super) use crate::storage::numbered::{HEADER_BYTES, NoHeader};

/// The form of the file that is written and read.
pub(super) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"tmq-wal\0";
const SUFFIX: &str = ".wal";

/// The name of the file whose first entry has this mark.
pub(super) fn name(first: Mark) -> String {
    numbered::name(first.0, SUFFIX)
}

/// The mark that a file's name says; `None` if it is no file of the log. No entry has the mark 0.
pub(super) fn first_mark(name: &str) -> Option<Mark> {
    numbered::parse(name, SUFFIX).filter(|&mark| mark > 0).map(Mark)
}

/// The header of the file whose first entry has this mark.
pub(super) fn header(first: Mark) -> [u8; HEADER_BYTES] {
    numbered::header(MAGIC, VERSION, first.0)
}

/// Whether a file that begins with these bytes is one whose first entry has this mark.
pub(super) fn check_header(bytes: &[u8], first: Mark) -> Result<(), NoHeader> {
    numbered::check_header(bytes, MAGIC, VERSION, first.0)
}
