//! The leases of a group: which message is with whom until when, and which receipts were good.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::progress::MessageRef;
use super::settings::Settings;
use crate::clock::{Millis, Timestamp};
use crate::names::{ConsumerId, LeaseId};

/// One message with one consumer.
#[derive(Clone)]
pub(crate) struct Lease {
    pub(crate) message: MessageRef,
    pub(crate) consumer: ConsumerId,
    /// The terms it was delivered under.
    pub(crate) settings: Arc<Settings>,
    pub(crate) reconsume_times: u32,
    /// What it was made for, and what a heartbeat renews it for.
    pub(crate) ack_timeout: Millis,
    /// The lease is over at this moment.
    pub(crate) deadline: Timestamp,
}

/// The leases that run, by id and by deadline. Both are trees or tables without dead entries, so that finding the
/// next to expire and ending one early cost the logarithm of the leases in flight, however many were ever made.
#[derive(Default)]
pub(crate) struct Leases {
    next: u64,
    running: HashMap<LeaseId, Lease>,
    deadlines: BTreeSet<(Timestamp, LeaseId)>,
    acknowledged: AckWindow,
}

impl Leases {
    /// The first id that was not given out.
    pub(crate) fn next_unused(&self) -> LeaseId {
        LeaseId(self.next)
    }

    /// An id that no lease of this group has had.
    pub(crate) fn next_id(&mut self) -> LeaseId {
        let id = LeaseId(self.next);
        self.next += 1;
        self.acknowledged.open(id);
        id
    }

    pub(crate) fn insert(&mut self, id: LeaseId, lease: Lease) {
        self.deadlines.insert((lease.deadline, id));
        self.running.insert(id, lease);
    }

    /// The running lease `id`, if `consumer` has it.
    pub(crate) fn of(&self, id: LeaseId, consumer: ConsumerId) -> Option<&Lease> {
        self.running.get(&id).filter(|lease| lease.consumer == consumer)
    }

    /// Ends a lease.
    pub(crate) fn remove(&mut self, id: LeaseId) -> Option<Lease> {
        let lease = self.running.remove(&id)?;
        self.deadlines.remove(&(lease.deadline, id));
        Some(lease)
    }

    /// Moves a running lease's deadline.
    pub(crate) fn extend(&mut self, id: LeaseId, deadline: Timestamp) {
        if let Some(lease) = self.running.get_mut(&id) {
            self.deadlines.remove(&(lease.deadline, id));
            self.deadlines.insert((deadline, id));
            lease.deadline = deadline;
        }
    }

    /// When the next lease expires.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Ends the lease that expires first, if its deadline has come.
    pub(crate) fn pop_expired(&mut self, now: Timestamp) -> Option<(LeaseId, Lease)> {
        let (_, id) = *self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        Some((id, self.remove(id)?))
    }

    /// Notes that the lease ended by an ack.
    pub(crate) fn note_acknowledged(&mut self, id: LeaseId) {
        self.acknowledged.note(id);
    }

    /// Whether the lease ended by an ack, as far as is remembered.
    pub(crate) fn was_acknowledged(&self, id: LeaseId) -> bool {
        self.acknowledged.contains(id)
    }
}

/// Which of the group's newest leases ended by an ack, a bit for each, so that an ack that is sent again because its
/// answer was lost is answered alike.
#[derive(Default)]
struct AckWindow {
    bits: Vec<u64>,
    end: u64,
}

impl AckWindow {
    /// How many leases back an ack is remembered; 16 KiB of bits for each group.
    const LEASES: u64 = 1 << 17;

    /// Brings a new lease in, the oldest one out.
    fn open(&mut self, id: LeaseId) {
        self.end = id.0 + 1;
        let (word, bit) = Self::place(id);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] &= !bit;
    }

    fn note(&mut self, id: LeaseId) {
        if self.holds(id) {
            let (word, bit) = Self::place(id);
            self.bits[word] |= bit;
        }
    }

    fn contains(&self, id: LeaseId) -> bool {
        let (word, bit) = Self::place(id);
        self.holds(id) && self.bits[word] & bit != 0
    }

    fn holds(&self, id: LeaseId) -> bool {
        id.0 < self.end && self.end - id.0 <= Self::LEASES
    }

    fn place(id: LeaseId) -> (usize, u64) {
        let slot = id.0 % Self::LEASES;
        ((slot / 64) as usize, 1 << (slot % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_are_remembered_for_the_newest_leases() {
        let mut window = AckWindow::default();
        for id in 0..AckWindow::LEASES {
            window.open(LeaseId(id));
            window.note(LeaseId(id));
        }
        assert!(window.contains(LeaseId(0)));
        assert!(!window.contains(LeaseId(AckWindow::LEASES)), "not made yet");
        window.open(LeaseId(AckWindow::LEASES));
        assert!(!window.contains(LeaseId(0)), "too old");
        assert!(!window.contains(LeaseId(AckWindow::LEASES)), "not acknowledged");
        assert!(window.contains(LeaseId(1)));
        assert!(!window.contains(LeaseId(u64::MAX)));
    }
}
