//! The leases of a group: which message is with whom until when, and which receipts were good.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::progress::MessageRef;
use super::settings::Settings;
use super::unfit::{Misfit, counted};
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
    starts: Starts,
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
        self.skip_to(LeaseId(self.next + 1));
        id
    }

    /// Counts the ids before `next` as given out.
    pub(crate) fn skip_to(&mut self, next: LeaseId) {
        self.next = self.next.max(next.0);
        self.acknowledged.open_until(self.next);
    }

    pub(crate) fn insert(&mut self, id: LeaseId, lease: Lease) {
        self.deadlines.insert((lease.deadline, id));
        self.starts.add(&lease);
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
        self.starts.remove(id, &lease);
        Some(lease)
    }

    /// Moves a running lease's deadline.
    pub(crate) fn extend(&mut self, id: LeaseId, deadline: Timestamp) {
        if let Some(lease) = self.running.get_mut(&id) {
            self.deadlines.remove(&(lease.deadline, id));
            self.deadlines.insert((deadline, id));
            self.starts.keep(id, lease);
            lease.deadline = deadline;
        }
    }

    /// How long the running leases have run.
    pub(crate) fn ages(&self, now: Timestamp) -> LeaseAges {
        self.starts.ages(now)
    }

    /// When the next lease expires.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Ends the lease that expires first, if its deadline has come.
    pub(crate) fn pop_expired(&mut self, now: Timestamp) -> Option<Lease> {
        let (_, id) = *self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        self.remove(id)
    }

    /// Whether an id was given out.
    pub(crate) fn is_known(&self, id: LeaseId) -> bool {
        id.0 < self.next
    }

    /// The lease `id`, if it runs.
    pub(crate) fn running(&self, id: LeaseId) -> Option<&Lease> {
        self.running.get(&id)
    }

    /// Every lease that runs, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (LeaseId, &Lease)> {
        self.running.iter().map(|(id, lease)| (*id, lease))
    }

    /// Which of the newest leases ended by an ack: a bit for each, in a ring.
    pub(crate) fn acknowledged(&self) -> &[u64] {
        &self.acknowledged.bits
    }

    /// No lease runs; the ids before `next` were given out, and these ended by an ack.
    pub(crate) fn restore(next: LeaseId, acknowledged: Vec<u64>) -> Result<Self, Misfit> {
        let next = counted(next.0)?;
        if acknowledged.len() as u64 > AckWindow::LEASES / 64 {
            return Err(Misfit::TooMany("acknowledged leases"));
        }
        let acknowledged = AckWindow { bits: acknowledged, end: next };
        Ok(Self { next, acknowledged, ..Self::default() })
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

/// How many leases have run for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaseAges {
    /// Those younger than each of [`LeaseAges::BOUNDS`] and not than the one before it; last those of every other age.
    pub(crate) counts: [u64; LeaseAges::BOUNDS.len() + 1],
    pub(crate) oldest: Option<Millis>,
}

impl LeaseAges {
    /// In milliseconds: from what every handler takes to what only a forgotten message does.
    pub(crate) const BOUNDS: [u64; 5] = [5_000, 15_000, 60_000, 300_000, 3_600_000];
}

/// When the running leases began, counted by the second, so that their ages are told without a look at each.
#[derive(Default)]
struct Starts {
    counts: BTreeMap<u64, u64>,
    /// The second of those leases whose deadline was moved; that of the others follows from it.
    moved: HashMap<LeaseId, u64>,
}

impl Starts {
    /// The second in which a lease began whose deadline was not moved since. A lease that was extended before a restart
    /// counts from its last extension.
    fn second(lease: &Lease) -> u64 {
        lease.deadline.0.saturating_sub(lease.ack_timeout.0) / 1_000
    }

    fn add(&mut self, lease: &Lease) {
        *self.counts.entry(Self::second(lease)).or_default() += 1;
    }

    /// Remembers when a lease began whose deadline is about to be moved.
    fn keep(&mut self, id: LeaseId, lease: &Lease) {
        self.moved.entry(id).or_insert_with(|| Self::second(lease));
    }

    fn remove(&mut self, id: LeaseId, lease: &Lease) {
        let second = self.moved.remove(&id).unwrap_or_else(|| Self::second(lease));
        if let Some(count) = self.counts.get_mut(&second) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&second);
            }
        }
    }

    fn ages(&self, now: Timestamp) -> LeaseAges {
        let age = |second: u64| Millis((now.0 / 1_000).saturating_sub(second) * 1_000);
        let mut ages = LeaseAges { oldest: self.counts.keys().next().map(|&second| age(second)), ..Default::default() };
        for (&second, count) in &self.counts {
            let bucket = LeaseAges::BOUNDS.partition_point(|&bound| bound <= age(second).0);
            ages.counts[bucket] += count;
        }
        ages
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

    /// Brings new leases in, the oldest ones out: `end` is one past the newest.
    fn open_until(&mut self, end: u64) {
        // Of more than a window full, the last window is the same.
        for id in self.end.max(end.saturating_sub(Self::LEASES))..end {
            let (word, bit) = Self::place(LeaseId(id));
            if self.bits.len() <= word {
                self.bits.resize(word + 1, 0);
            }
            self.bits[word] &= !bit;
        }
        self.end = self.end.max(end);
    }

    fn note(&mut self, id: LeaseId) {
        if self.holds(id) {
            let (word, bit) = Self::place(id);
            self.bits.get_mut(word).into_iter().for_each(|word| *word |= bit);
        }
    }

    fn contains(&self, id: LeaseId) -> bool {
        let (word, bit) = Self::place(id);
        self.holds(id) && self.bits.get(word).is_some_and(|word| word & bit != 0)
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
            window.open_until(id + 1);
            window.note(LeaseId(id));
        }
        assert!(window.contains(LeaseId(0)));
        assert!(!window.contains(LeaseId(AckWindow::LEASES)), "not made yet");
        window.open_until(AckWindow::LEASES + 1);
        assert!(!window.contains(LeaseId(0)), "too old");
        assert!(!window.contains(LeaseId(AckWindow::LEASES)), "not acknowledged");
        assert!(window.contains(LeaseId(1)));
        assert!(!window.contains(LeaseId(u64::MAX)));
        window.open_until(1 << 50);
        assert!((0..AckWindow::LEASES + 1).all(|id| !window.contains(LeaseId(id))), "all too old");
        assert!(window.bits.iter().all(|word| *word == 0));
    }
}
