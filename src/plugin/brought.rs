//! What a pull brings, for the limits that it is charged to when it is there.

use crate::dialect::{Dialect, LeaseReader};
use crate::limit::bill::Charge;
use crate::policy::limit::Cost;

use super::host::Host;
use super::limits::with_limiter;

/// The answer to a pull that is on its way. It is read as it passes and never held up.
pub(super) struct Brought {
    owed: Vec<Charge>,
    /// Where messages are counted.
    reader: Option<LeaseReader>,
    bytes: u64,
}

impl Brought {
    /// The answer to wait for, where a limit is still owed something for it.
    pub(super) fn awaited(dialect: Dialect, owed: Vec<Charge>) -> Option<Self> {
        if owed.is_empty() {
            return None;
        }
        let counts_messages = owed.iter().any(|owed| owed.limit.cost == Cost::Messages);
        Some(Brought { owed, reader: counts_messages.then(|| dialect.lease_reader()), bytes: 0 })
    }

    /// Whether it reads what the answer says, and not only how long it is.
    pub(super) fn reads(&self) -> bool {
        self.reader.is_some()
    }

    /// Takes the next piece of the answer's body, of so many bytes.
    pub(super) fn take(&mut self, size: usize, piece: &[u8]) {
        self.bytes = self.bytes.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        if let Some(reader) = &mut self.reader {
            // What cannot be read any further, be it compressed, costs what was found until then.
            let _ = reader.push(piece, &mut |_| {});
        }
    }

    /// Charges what has come, be it all or not.
    pub(super) fn end(self, host: Host) {
        let messages = self.reader.as_ref().map_or(0, LeaseReader::delivered);
        for owed in &self.owed {
            if let Some(charge) = owed.due(messages, self.bytes) {
                with_limiter(host, |limiter| limiter.charge(&host, &charge, host.now_nanos()));
            }
        }
    }
}
