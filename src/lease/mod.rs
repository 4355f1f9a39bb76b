//! Who holds what until when: the leases of each consumer group, counted over all workers.
//!
//! ```text
//! pull ─▶ reserve ─▶ broker ─▶ its answer streams by ─▶ update: the reservation out, the leases that it brought in
//! ack, reject, extend ─▶ broker ─▶ its answer streams by ─▶ update: leases out, or their deadlines moved
//! ```
//!
//! A pull reserves what it may bring before it goes on, so that two workers at once cannot pass the bound. Everything
//! that is held has a deadline, and is dropped behind it whenever its slot is read: what expires, what a client takes
//! with it to its grave and what a lost answer never told all come back by themselves.
//!
//! The host's shared data cannot be deleted, so the leases stand in a fixed number of slots that groups hash to. A slot
//! that is full tracks no more, and says so: what is not tracked passes, uncounted.

mod slot;

#[cfg(test)]
mod tests;

use crate::dialect::Dialect;
use crate::hash::Hash;
use crate::operation::{Group, LeaseChange, Millis};
use crate::shared_memory::SharedMemory;

use slot::{Count, Lease, Section, Slot};

/// Slots of the table: 32 MiB in all, where each is full.
const SLOTS: u64 = 256;

/// How often a write is tried again when another worker wrote the slot in between. Each of these tries is one that
/// another worker did not lose.
const ATTEMPTS: usize = 32;

/// How long a reservation stands beyond the time that its pull may wait: as long as the longest wait of a pull, since a
/// wait that was not read may be as long. An answer that ends later than that is counted from its end on.
const RESERVED: u64 = 60_000;

/// The longest time that a throttled pull is told to wait: leases are given back by acks long before they expire.
pub const MAX_RETRY: Millis = Millis(1_000);

/// A consumer group of a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    name: String,
    key: String,
}

impl Holder {
    /// The group of this name.
    pub fn new(dialect: Dialect, group: &Group) -> Holder {
        let name = format!("{}/{}", dialect.name(), group.0);
        let slot = Hash::default().with_text(&name).finish() % SLOTS;
        Holder { name, key: key(slot) }
    }
}

/// The key of the slot with this number.
fn key(slot: u64) -> String {
    format!("ackguard/leases/{slot}")
}

/// What a pull asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// How many messages at most.
    pub messages: u32,
    /// How many at least: with fewer it cannot go on.
    pub least: u32,
    /// How many leases the group may hold, this pull's included.
    pub bound: u32,
    /// How long the broker may wait for the first message.
    pub wait: Millis,
}

/// What is set aside for a pull that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation(u64);

/// What a pull gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// At most so many messages, and at least one.
    Granted {
        /// How many.
        messages: u32,
        /// To be taken out by [`update`] when the pull's answer has ended.
        reservation: Reservation,
    },
    /// Nothing: the group holds all that it may.
    Full {
        /// When it is worth asking again.
        retry_after: Millis,
    },
    /// What it asks for, uncounted: its slot has no room, or too many workers wrote at once.
    Untracked,
}

/// Sets aside what a pull may bring. `now` is in Unix milliseconds.
pub fn reserve(memory: &impl SharedMemory, holder: &Holder, ask: Ask, now: u64) -> Grant {
    for _ in 0..ATTEMPTS {
        let (bytes, version) = memory.get(&holder.key);
        let mut slot = Slot::read(&bytes, &holder.name, now);
        let messages = ask.messages.min(ask.bound.saturating_sub(slot.own.held()));
        if messages < ask.least.max(1) {
            let free = slot.own.next_deadline().map_or(u64::MAX, |deadline| deadline.saturating_sub(now));
            return Grant::Full { retry_after: MAX_RETRY.min(millis(free.max(1))) };
        }
        let wait = u64::try_from(ask.wait.0).unwrap_or(0);
        let id = slot.reserve(messages, now.saturating_add(wait.min(RESERVED)).saturating_add(RESERVED));
        let Some(id) = id else { return Grant::Untracked };
        if memory.set(&holder.key, &slot.write(now), version) {
            return Grant::Granted { messages, reservation: Reservation(id) };
        }
    }
    Grant::Untracked
}

/// How many leases a group holds, those that are set aside included. `now` is in Unix milliseconds.
pub fn held(memory: &impl SharedMemory, holder: &Holder, now: u64) -> u32 {
    let (bytes, _) = memory.get(&holder.key);
    Slot::read(&bytes, &holder.name, now).own.held()
}

/// What the whole table holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Leases, without what is only set aside.
    pub held: u64,
    /// Those that have ended by their time, since the table was made.
    pub expired: u64,
}

/// Looks at the whole table, and drops what has expired. `now` is in Unix milliseconds. Most slots of a full table have
/// nothing to drop, so they are counted and not built.
pub fn census(memory: &impl SharedMemory, now: u64) -> Census {
    let mut census = Census::default();
    for slot in 0..SLOTS {
        let key = key(slot);
        let (bytes, version) = memory.get(&key);
        let Count { leases, expired_before, expired_since } = Count::of(&bytes, now);
        census.held += leases;
        census.expired = census.expired.wrapping_add(expired_before);
        // Where another worker wrote meanwhile it has dropped the same, and counted it in the slot: the next census sees it.
        if expired_since > 0 && memory.set(&key, &Slot::read(&bytes, "", now).write(now), version) {
            census.expired = census.expired.wrapping_add(expired_since);
        }
    }
    census
}

/// What became of the leases that an answer told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// They are in the table.
    Whole,
    /// Some are not: their slot has no room, or too many workers wrote at once.
    Partly,
}

/// Takes out what was set aside for a pull, and does what an answer says of leases. A deadline that is told as a time to
/// go counts from `now`, in Unix milliseconds.
pub fn update(
    memory: &impl SharedMemory,
    holder: &Holder,
    reservation: Option<Reservation>,
    changes: &[LeaseChange],
    now: u64,
) -> Tracked {
    if reservation.is_none() && changes.is_empty() {
        return Tracked::Whole;
    }
    let changes = Changes::new(changes, now);
    for _ in 0..ATTEMPTS {
        let (bytes, version) = memory.get(&holder.key);
        let mut slot = Slot::read(&bytes, &holder.name, now);
        let released = reservation.is_some_and(|Reservation(id)| slot.own.release(id));
        let changed = changes.make(&mut slot.own);
        let begun = changes.begun.len();
        let tracked = if slot.begin(&changes.begun) == begun { Tracked::Whole } else { Tracked::Partly };
        let idle = !released && !changed && begun == 0;
        if idle || memory.set(&holder.key, &slot.write(now), version) {
            return tracked;
        }
    }
    Tracked::Partly
}

/// What an answer says of leases, in the order of their receipts.
struct Changes {
    begun: Vec<Lease>,
    /// With their new deadlines, which are 0 where a lease has ended.
    moved: Vec<Lease>,
}

impl Changes {
    fn new(changes: &[LeaseChange], now: u64) -> Changes {
        let mut begun = Vec::new();
        let mut moved = Vec::new();
        for change in changes {
            match *change {
                LeaseChange::Begun { receipt, ack_timeout } => {
                    if let Ok(left @ 1..) = u64::try_from(ack_timeout.0) {
                        begun.push(Lease { receipt, deadline: now.saturating_add(left) });
                    }
                }
                // One that is over at once has ended by its consumer, and not by its time.
                LeaseChange::Extended { receipt, deadline } => {
                    moved.push(Lease { receipt, deadline: if deadline > now { deadline } else { 0 } });
                }
                LeaseChange::Ended { receipt } => moved.push(Lease { receipt, deadline: 0 }),
            }
        }
        // A lease that is told of twice is one lease.
        by_receipt(&mut begun);
        begun.dedup_by_key(|lease| lease.receipt);
        by_receipt(&mut moved);
        Changes { begun, moved }
    }

    /// Ends and moves leases, and takes out those that are to begin again. Whether there were any.
    fn make(&self, section: &mut Section) -> bool {
        let mut changed = false;
        section.leases.retain_mut(|lease| {
            if self.begun.binary_search_by_key(&lease.receipt, |begun| begun.receipt).is_ok() {
                return false;
            }
            let Ok(index) = self.moved.binary_search_by_key(&lease.receipt, |moved| moved.receipt) else {
                return true;
            };
            changed = true;
            match self.moved.get(index) {
                Some(Lease { deadline: deadline @ 1.., .. }) => lease.deadline = *deadline,
                _ => return false,
            }
            true
        });
        changed
    }
}

/// The one place that sorts leases: a sort is 7 KiB of WebAssembly wherever it stands.
#[inline(never)]
fn by_receipt(leases: &mut [Lease]) {
    leases.sort_by_key(|lease| lease.receipt);
}

fn millis(span: u64) -> Millis {
    Millis(i64::try_from(span).unwrap_or(i64::MAX))
}
