//! The acks of a roll-out's consumers, by which its health is told: how long they take, and whether they succeed.

use std::cell::RefCell;

use crate::operation::Millis;
use crate::policy::rollout::Rollout;
use crate::rollout::{Acks, Pending};

thread_local! {
    /// What this virtual machine saw and has not shared yet; it outlives a policy.
    static PENDING: RefCell<Pending> = RefCell::new(Pending::default());
}

/// Gives `share` what this virtual machine saw and has not shared yet.
pub(super) fn with_pending<T>(share: impl FnOnce(&mut Pending) -> T) -> T {
    PENDING.with_borrow_mut(share)
}

/// An ack under way.
pub(super) struct Ack {
    candidate: u64,
    stage: usize,
    bound: Millis,
    slow: bool,
}

impl Ack {
    /// An ack of a consumer that `rollout` decides for, at the stage of this index.
    pub(super) fn of(rollout: &Rollout, stage: usize) -> Self {
        Ack { candidate: rollout.id, stage, bound: rollout.health.p99, slow: false }
    }

    /// Notes that it took so many milliseconds until its answer began.
    pub(super) fn took(&mut self, millis: u64) {
        self.slow = i64::try_from(millis).is_ok_and(|millis| Millis(millis) > self.bound);
    }

    /// Counts it where its client has left after so many milliseconds, and the answer, which had not begun, would be slow. Of
    /// one that left sooner it is not known how it would have ended.
    pub(super) fn left(mut self, millis: u64) {
        self.took(millis);
        if self.slow {
            self.count(false);
        }
    }

    /// Counts it, when its answer is whole or not worth waiting for.
    pub(super) fn count(self, failed: bool) {
        let acks = Acks { total: 1, failed: u32::from(failed), slow: u32::from(self.slow) };
        with_pending(|pending| pending.add(self.candidate, self.stage, acks));
    }
}
