//! The buckets of all keys, in shared memory.
//!
//! Clients choose keys, so there is no end of them, and shared memory cannot be deleted: the ledger is a fixed number of
//! slots that keys hash to. A slot holds several buckets, each under its whole key, so that two keys never share one. The
//! hash is salted, so that nobody can choose keys of one slot.
//!
//! Where a slot is full, full buckets go first: they are as good as new. If there are none, the bucket that is nearest to
//! full is forgotten, one with loans only where all have some, and the slot remembers its debt: every bucket of the same
//! limit that is made there begins with the greatest debt that was forgotten and has not run out. So whoever comes back
//! finds no more tokens than were left, and nobody gets another's; a newcomer may find fewer than the burst, which is
//! counted. The greater the crowd of keys that are asked once, the sooner they forget each other; the busiest keys stay.
//!
//! What a limit has forgotten stands in the slot as a bucket too, under the limit's name alone, which is no key. It
//! drains like any other and is dropped when it has run out.

use crate::hash::Hash;
use crate::shared_memory::SharedMemory;

use super::bill::END;
use super::bucket::{Bucket, Passed, Terms};

/// Limits go to one of so many regions, by their names.
const REGIONS: u64 = 16;
/// The slots of a region.
const SLOTS: u64 = 512;
/// The most bytes in a slot: 2 MiB for a limit, which is some 30,000 keys of usual length, and 32 MiB in all. A key of the
/// longest names that are read fits, beside what seven limits have forgotten.
const SLOT_BYTES: usize = 4096;

/// The form of the bytes; another one is not read.
const FORM: u8 = 2;
/// The form, and when it was seen last.
const HEAD: usize = 1 + 8;
/// A bucket's four numbers, and the length of its key.
const NUMBERS: usize = 4 * 8 + 2;

/// How often a change is tried again when another worker wrote the slot in between. Each time some worker got through, so
/// that of w workers one fails w - 1 times at the very worst, were they all at it at once.
const ATTEMPTS: usize = 64;

/// Where the salt is kept.
pub(super) const SALT: &str = "ackguard/limit/salt";

/// Which bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address<'a> {
    /// The limit's name.
    pub(super) limit: &'a str,
    /// Its key, which begins with that name.
    pub(super) key: &'a [u8],
    /// How it fills.
    pub(super) terms: Terms,
}

/// What is known of keys that share a slot.
struct Slot<'a> {
    seen: u64,
    set_back: bool,
    buckets: Vec<(&'a [u8], Bucket)>,
}

/// A change of a bucket that took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed<T> {
    /// What the change gave.
    pub(super) value: T,
    /// How many buckets were forgotten that were not full.
    pub(super) evicted: u32,
}

/// Whether a change is to be kept.
pub(super) enum Change<T> {
    /// It is.
    Keep(T),
    /// The bucket stays as it was, which needs no write.
    Drop(T),
}

/// What decides, with its key, which slot a bucket stands in: the time in Unix nanoseconds at which a worker asked for it
/// first. All workers have the same.
pub(super) fn salt(memory: &impl SharedMemory, now: u64) -> u64 {
    let read = || <[u8; 8]>::try_from(memory.get(SALT).0).ok().map(u64::from_le_bytes);
    let make = || {
        // Where another worker was first, its salt is read.
        memory.set(SALT, &now.to_le_bytes(), None);
        read()
    };
    read().or_else(make).unwrap_or_default()
}

/// Changes a bucket at a time in Unix nanoseconds. `change` gets the bucket and the time that its slot has come to, which
/// another worker may have brought a moment further. None where too many workers wrote at once.
pub(super) fn change<T>(
    memory: &impl SharedMemory,
    salt: u64,
    Address { limit, key, terms }: Address<'_>,
    now: u64,
    mut change: impl FnMut(&mut Bucket, u64) -> Change<T>,
) -> Option<Changed<T>> {
    let place = place(salt, limit, key);
    for _ in 0..ATTEMPTS {
        let (bytes, version) = memory.get(&place);
        let mut slot = Slot::read(&bytes, now);
        let mut bucket = slot.take(key).unwrap_or_else(|| slot.forgotten(limit.as_bytes(), terms));
        bucket.adopt(terms.fill());
        let (value, keep) = match change(&mut bucket, slot.seen) {
            Change::Keep(value) => (value, true),
            // Were it not noted that the clock was set back, no time would pass until it is where it was.
            Change::Drop(value) => (value, slot.set_back),
        };
        if !keep {
            return Some(Changed { value, evicted: 0 });
        }
        let evicted = slot.make_room(key);
        slot.buckets.push((key, bucket));
        if memory.set(&place, &slot.write(), version) {
            return Some(Changed { value, evicted });
        }
    }
    None
}

/// The slot of a key.
pub(super) fn place(salt: u64, limit: &str, key: &[u8]) -> String {
    let region = Hash::default().with_text(limit).finish() % REGIONS;
    let slot = Hash::default().with(&salt.to_le_bytes()).with(key).finish() % SLOTS;
    format!("ackguard/limit/{region}/{slot}")
}

impl<'a> Slot<'a> {
    /// The slot as it is `now`. Bytes of no known form are an empty one.
    fn read(bytes: &'a [u8], now: u64) -> Slot<'a> {
        let empty = Slot { seen: now, set_back: false, buckets: Vec::new() };
        let Some(([FORM], rest)) = bytes.split_first_chunk::<1>() else { return empty };
        let Some(([seen], mut rest)) = numbers(rest) else { return empty };
        let passed = Passed::between(seen, now);
        let mut buckets = Vec::with_capacity(32);
        while let Some(([debt, fill, lent, lent_before], tail)) = numbers(rest) {
            let Some((length, tail)) = tail.split_first_chunk::<2>() else { break };
            let Some((key, tail)) = tail.split_at_checked(usize::from(u16::from_le_bytes(*length))) else { break };
            let mut bucket = Bucket { debt, fill, lent: [lent, lent_before] };
            bucket.drain(&passed);
            buckets.push((key, bucket));
            rest = tail;
        }
        Slot { seen: passed.seen, set_back: passed.set_back, buckets }
    }

    /// Takes out the bucket of a key.
    fn take(&mut self, key: &[u8]) -> Option<Bucket> {
        let index = self.buckets.iter().position(|(held, _)| *held == key)?;
        Some(self.buckets.swap_remove(index).1)
    }

    /// The bucket of a key that is not here: as the worst of its limit that was forgotten.
    fn forgotten(&self, limit: &[u8], terms: Terms) -> Bucket {
        let forgotten = self.buckets.iter().find(|(held, _)| *held == limit);
        forgotten.map_or_else(|| Bucket::new(terms), |(_, bucket)| *bucket)
    }

    /// Makes room for a key; how many buckets were forgotten for it that were not full.
    fn make_room(&mut self, key: &[u8]) -> u32 {
        let mut evicted = 0;
        if self.size() + NUMBERS + key.len() > SLOT_BYTES {
            self.buckets.retain(|(_, bucket)| bucket.debt > 0);
        }
        while self.size() + NUMBERS + key.len() > SLOT_BYTES {
            let keys = self.buckets.iter().enumerate().filter(|(_, (key, _))| key.contains(&END));
            let least = keys.min_by_key(|(_, (_, bucket))| (bucket.outstanding() > 0, bucket.debt));
            let Some((index, _)) = least else { break };
            let (key, bucket) = self.buckets.swap_remove(index);
            self.forget(key, &bucket);
            evicted += 1;
        }
        evicted
    }

    /// Remembers what a bucket lacks that is no longer here.
    fn forget(&mut self, key: &'a [u8], bucket: &Bucket) {
        let limit = key.split(|byte| *byte == END).next().unwrap_or_default();
        let forgotten = bucket.forgotten();
        match self.buckets.iter_mut().find(|(held, _)| *held == limit) {
            Some((_, worst)) => {
                worst.adopt(forgotten.fill);
                worst.debt = worst.debt.max(forgotten.debt);
            }
            None => self.buckets.push((limit, forgotten)),
        }
    }

    fn size(&self) -> usize {
        self.buckets.iter().fold(HEAD, |size, (key, _)| size + NUMBERS + key.len())
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size());
        bytes.push(FORM);
        bytes.extend_from_slice(&self.seen.to_le_bytes());
        for (key, Bucket { debt, fill, lent: [lent, lent_before] }) in &self.buckets {
            // A key is shorter than a slot.
            let Ok(length) = u16::try_from(key.len()) else { continue };
            for number in [debt, fill, lent, lent_before] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(key);
        }
        bytes
    }
}

/// The first `N` numbers, and what stands behind them.
fn numbers<const N: usize>(bytes: &[u8]) -> Option<([u64; N], &[u8])> {
    let (head, rest) = bytes.split_at_checked(N * 8)?;
    let mut chunks = head.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok()).map(u64::from_le_bytes);
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = chunks.next()?;
    }
    Some((numbers, rest))
}
