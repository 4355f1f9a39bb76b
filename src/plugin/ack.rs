//! The acks of a roll-out's consumers, by which its health is told: how long they take, and whether they succeed.

use std::cell::RefCell;

use crate::dialect::Dialect;
use crate::operation::Millis;
use crate::policy::rollout::Rollout;
use crate::rollout::{Acks, Pending};

use super::host::Host;

/// The largest answer that is read, in bytes: some hundreds of receipts. A larger one counts by its status.
const MAX_ANSWER: usize = 64 * 1024;

thread_local! {
    /// What this virtual machine saw and has not shared yet; it outlives a policy.
    static PENDING: RefCell<Pending> = RefCell::new(Pending::default());
}

/// Gives `share` what this virtual machine saw and has not shared yet.
pub(super) fn with_pending<T>(share: impl FnOnce(&mut Pending) -> T) -> T {
    PENDING.with_borrow_mut(share)
}

/// An ack under way. Its answer is copied as it passes and never held up.
pub(super) struct Ack {
    dialect: Dialect,
    candidate: u64,
    stage: usize,
    bound: Millis,
    sent: u64,
    slow: bool,
    body: Vec<u8>,
}

impl Ack {
    /// An ack that is sent on now.
    pub(super) fn sent(host: Host, dialect: Dialect, rollout: &Rollout, stage: usize) -> Self {
        let bound = rollout.health.p99;
        Ack { dialect, candidate: rollout.id, stage, bound, sent: host.now(), slow: false, body: Vec::new() }
    }

    /// Takes the answer's status. None where nothing is left to be learned from it.
    pub(super) fn answered(mut self, host: Host, success: bool) -> Option<Self> {
        let took = host.now().saturating_sub(self.sent);
        self.slow = i64::try_from(took).is_ok_and(|took| Millis(took) > self.bound);
        if success {
            return Some(self);
        }
        self.count(true);
        None
    }

    /// Takes the next piece of the answer's body; counts by the status alone where it is too large.
    pub(super) fn take(mut self, piece: &[u8]) -> Option<Self> {
        self.body.extend_from_slice(piece);
        if self.body.len() <= MAX_ANSWER {
            return Some(self);
        }
        self.count(false);
        None
    }

    /// Counts an ack whose answer is whole. One that cannot be read, be it compressed, counts by its status.
    pub(super) fn end(self) {
        let refused = self.dialect.refused_receipts(&self.body).unwrap_or(0);
        self.count(refused > 0);
    }

    fn count(self, failed: bool) {
        let acks = Acks { total: 1, failed: u32::from(failed), slow: u32::from(self.slow) };
        with_pending(|pending| pending.add(self.candidate, self.stage, acks));
    }
}
