//! What a pull brings, for the limits that it is charged to when it is there.

use crate::limit::bill::Charge;
use crate::policy::limit::Cost;

use super::host::Host;
use super::limits::with_limiter;

/// What limits are owed for the answer to a pull.
pub(super) struct Brought {
    owed: Vec<Charge>,
    bytes: u64,
    messages: u64,
}

impl Brought {
    /// That of a pull that goes on, where a limit is still owed something for it.
    pub(super) fn awaited(owed: Vec<Charge>) -> Option<Self> {
        (!owed.is_empty()).then_some(Brought { owed, bytes: 0, messages: 0 })
    }

    /// Whether messages are counted, and not only bytes.
    pub(super) fn counts_messages(&self) -> bool {
        self.owed.iter().any(|owed| owed.limit.cost == Cost::Messages)
    }

    /// Notes so many bytes of the answer's body.
    pub(super) fn take(&mut self, size: usize) {
        self.bytes = self.bytes.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
    }

    /// Notes so many messages in it, as far as it could be read.
    pub(super) fn found(&mut self, messages: u64) {
        self.messages = self.messages.saturating_add(messages);
    }

    /// Charges what has come, be it all or not.
    pub(super) fn end(self, host: Host) {
        for owed in &self.owed {
            if let Some(charge) = owed.due(self.messages, self.bytes) {
                with_limiter(host, |limiter| limiter.charge(&host, &charge, host.now_nanos()));
            }
        }
    }
}
