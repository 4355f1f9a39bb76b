//! One slot of the table: the leases of the groups that hash to it, as bytes.
//!
//! ```text
//! slot    = form u8, sequence u64, base u64, expired u64, sections      base: when it was written, in Unix ms
//! section = name (u16 length, bytes), u16 reservations, u16 leases, the reservations, the leases
//! reservation = id u64, deadline u32, messages u32        deadlines: ms behind the base, which reach 49 days
//! lease       = receipt's hash u64, deadline u32
//! ```
//! Numbers are little-endian. Bytes that make no section end the slot: nothing but this filter writes it. A slot of another
//! form, which another version of the filter has left, is as good as empty.

use crate::operation::Receipt;

/// The most bytes in a slot: 10,000 leases, the most that a group may be allowed, and some to spare.
pub(super) const SLOT_BYTES: usize = 128 * 1024;

/// The form of the bytes; another one is not read.
const FORM: u8 = 2;
const HEADER: usize = 1 + 3 * 8;
const SECTION: usize = 6;
const RESERVATION: usize = 16;
const LEASE: usize = 12;

/// How far a slot may have been written in the future, in milliseconds, before the clock is taken to have stepped back.
/// Workers read one clock, each a little before it writes.
const STEP: u64 = 1_000;

/// Messages that are set aside for a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reserved {
    id: u64,
    deadline: u64,
    messages: u32,
}

/// A message that a consumer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) receipt: Receipt,
    /// In Unix milliseconds.
    pub(super) deadline: u64,
}

/// What one group holds.
#[derive(Debug, Default)]
pub(super) struct Section {
    name: String,
    reserved: Vec<Reserved>,
    pub(super) leases: Vec<Lease>,
}

/// All that the groups of a slot hold.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// The id of the last reservation. It goes on for ever, so that none of a pull that was given up is taken for
    /// another's.
    sequence: u64,
    /// How many leases have ended by their time: before it was read, and now.
    expired: (u64, u64),
    /// What the group of interest holds.
    pub(super) own: Section,
    others: Vec<Section>,
}

impl Section {
    /// How many leases it holds, those that are set aside included.
    pub(super) fn held(&self) -> u32 {
        let leases = u32::try_from(self.leases.len()).unwrap_or(u32::MAX);
        self.reserved.iter().fold(leases, |held, reserved| held.saturating_add(reserved.messages))
    }

    /// The first deadline of all, in Unix milliseconds.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        let reserved = self.reserved.iter().map(|reserved| reserved.deadline);
        reserved.chain(self.leases.iter().map(|lease| lease.deadline)).min()
    }

    /// Takes out what was set aside under this id; whether it was still there.
    pub(super) fn release(&mut self, id: u64) -> bool {
        let before = self.reserved.len();
        self.reserved.retain(|reserved| reserved.id != id);
        self.reserved.len() < before
    }

    /// The bytes that it may come to: what is set aside has its room already.
    fn room(&self) -> usize {
        let name = SECTION + self.name.len();
        name + self.reserved.len() * RESERVATION + usize::try_from(self.held()).unwrap_or(usize::MAX / 64) * LEASE
    }

    fn is_empty(&self) -> bool {
        self.reserved.is_empty() && self.leases.is_empty()
    }
}

impl Slot {
    /// What bytes hold at `now`, in Unix milliseconds, without what has expired; `name` is of the group of interest.
    pub(super) fn read(bytes: &[u8], name: &str, now: u64) -> Slot {
        let mut slot = Slot { own: Section { name: name.to_owned(), ..Section::default() }, ..Slot::default() };
        let mut bytes = Bytes(bytes);
        let Some((sequence, base, expired)) = bytes.header(now) else { return slot };
        slot.sequence = sequence;
        slot.expired.0 = expired;
        while let Some((section, expired)) = bytes.section(base, now) {
            slot.expired.1 += expired;
            if section.name == name {
                slot.own = section;
            } else {
                slot.others.push(section);
            }
        }
        slot
    }

    /// The bytes of it at `now`, in Unix milliseconds.
    pub(super) fn write(&self, now: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.room().min(SLOT_BYTES));
        let left = |deadline: u64| u32::try_from(deadline.saturating_sub(now)).unwrap_or(u32::MAX).to_le_bytes();
        let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
        out.push(FORM);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&now.to_le_bytes());
        out.extend_from_slice(&self.expired().to_le_bytes());
        for Section { name, reserved, leases } in self.sections() {
            out.extend_from_slice(&count(name.len()));
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&count(reserved.len()));
            out.extend_from_slice(&count(leases.len()));
            for Reserved { id, deadline, messages } in reserved {
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&left(*deadline));
                out.extend_from_slice(&messages.to_le_bytes());
            }
            for Lease { receipt, deadline } in leases {
                out.extend_from_slice(&receipt.hash().to_le_bytes());
                out.extend_from_slice(&left(*deadline));
            }
        }
        out
    }

    /// How many leases of it have ended by their time, ever.
    fn expired(&self) -> u64 {
        self.expired.0.wrapping_add(self.expired.1)
    }

    /// Sets messages aside until `deadline`, in Unix milliseconds; returns the id, or none where there is no room for
    /// what they come to.
    pub(super) fn reserve(&mut self, messages: u32, deadline: u64) -> Option<u64> {
        self.sequence = self.sequence.wrapping_add(1);
        let id = self.sequence;
        self.own.reserved.push(Reserved { id, deadline, messages });
        (self.room() <= SLOT_BYTES).then_some(id)
    }

    /// Adds as many leases as there is room for; returns how many.
    pub(super) fn begin(&mut self, leases: &[Lease]) -> usize {
        // The header of a section that holds nothing yet is not in the slot's room.
        let header = if self.own.is_empty() { self.own.room() } else { 0 };
        let room = SLOT_BYTES.saturating_sub(self.room() + header) / LEASE;
        let fit = leases.get(..room.min(leases.len())).unwrap_or_default();
        self.own.leases.extend_from_slice(fit);
        fit.len()
    }

    fn room(&self) -> usize {
        HEADER + self.sections().map(Section::room).sum::<usize>()
    }

    /// Those that hold anything.
    fn sections(&self) -> impl Iterator<Item = &Section> {
        self.others.iter().chain([&self.own]).filter(|section| !section.is_empty())
    }
}

/// A slot in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// How many leases it holds.
    pub(super) leases: u64,
    /// How many of it have ended by their time before it was written.
    pub(super) expired_before: u64,
    /// How many have since then.
    pub(super) expired_since: u64,
}

impl Count {
    /// That of what [`Slot::read`] would read, without building any of it.
    pub(super) fn of(bytes: &[u8], now: u64) -> Count {
        let mut count = Count::default();
        let mut bytes = Bytes(bytes);
        let Some((_, base, expired)) = bytes.header(now) else { return count };
        count.expired_before = expired;
        while let Some((leases, expired)) = bytes.count(base, now) {
            count.leases += leases;
            count.expired_since += expired;
        }
        count
    }
}

/// Bytes that are read from their start.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.u16()?;
        core::str::from_utf8(self.split(usize::from(length))?).ok()
    }

    fn split(&mut self, length: usize) -> Option<&'a [u8]> {
        let (split, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(split)
    }

    /// The sequence number, the base at `now` and how many leases have expired. None where the form is another one.
    fn header(&mut self, now: u64) -> Option<(u64, u64, u64)> {
        let [FORM] = self.take()? else { return None };
        let (sequence, base, expired) = (self.u64()?, self.u64()?, self.u64()?);
        // A clock that stepped back takes the deadlines with it: time to go is what they are.
        let base = if base > now.saturating_add(STEP) { now } else { base };
        Some((sequence, base, expired))
    }

    /// How many leases the next section holds, and how many have expired.
    fn count(&mut self, base: u64, now: u64) -> Option<(u64, u64)> {
        self.text()?;
        let (reserved, leases) = (self.u16()?, self.u16()?);
        self.split(usize::from(reserved) * RESERVATION)?;
        let leases = self.split(usize::from(leases) * LEASE)?;
        let (mut held, mut expired) = (0, 0);
        for lease in leases.chunks_exact(LEASE) {
            let left = lease.last_chunk().map_or(0, |left| u32::from_le_bytes(*left));
            if base.saturating_add(u64::from(left)) > now { held += 1 } else { expired += 1 }
        }
        Some((held, expired))
    }

    /// A section without what has expired, and how many leases have.
    fn section(&mut self, base: u64, now: u64) -> Option<(Section, u64)> {
        let mut section = Section { name: self.text()?.to_owned(), ..Section::default() };
        let (reserved, leases) = (self.u16()?, self.u16()?);
        section.reserved.reserve_exact(usize::from(reserved));
        section.leases.reserve_exact(usize::from(leases));
        for _ in 0..reserved {
            let (id, left, messages) = (self.u64()?, self.u32()?, self.u32()?);
            let deadline = base.saturating_add(u64::from(left));
            if deadline > now {
                section.reserved.push(Reserved { id, deadline, messages });
            }
        }
        for _ in 0..leases {
            let (receipt, left) = (Receipt::from_hash(self.u64()?), self.u32()?);
            let deadline = base.saturating_add(u64::from(left));
            if deadline > now {
                section.leases.push(Lease { receipt, deadline });
            }
        }
        let expired = u64::from(leases).saturating_sub(section.leases.len() as u64);
        Some((section, expired))
    }
}
