//! Entries that are written together.

use std::collections::VecDeque;

use super::entry;
use crate::storage::Mark;

/// What an empty batch keeps of its memory. Larger ones are rare, and their memory is given back.
const KEPT_BYTES: usize = 8 << 20;

/// Entries that are written together, and where among them new files begin.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The mark of the first entry.
    pub(super) first: Mark,
    pub(super) bytes: Vec<u8>,
    /// In the order of their places.
    pub(super) cuts: VecDeque<Cut>,
}

/// Where a new file begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// The byte of the batch that the file begins with.
    pub(super) at: usize,
    /// The mark of the file's first entry.
    pub(super) first: Mark,
}

impl Batch {
    /// Whether there is nothing to do for it.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.cuts.is_empty()
    }

    /// Completes the entries, now that it is known up to which mark the log is durable as they are written.
    /// Returns the mark of the last one.
    pub(super) fn seal(&mut self, synced: Mark) -> Mark {
        entry::seal_all(&mut self.bytes, self.first, synced)
    }

    /// Makes it empty, to be filled again.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
    }
}
