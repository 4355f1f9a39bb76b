//! How the candidate's consumers fare: their acks of the last while, counted by all workers.
//!
//! The window is a ring of buckets, each for a thirtieth of it, so that old acks leave it bit by bit and the record has
//! one size.

use crate::operation::Millis;
use crate::policy::rollout::Health as Wanted;

/// The window's buckets.
const BUCKETS: u64 = 30;
/// The form of the bytes; another one is not read.
const FORM: u8 = 1;
const HEAD_BYTES: usize = 11;

/// Acks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acks {
    /// All of them.
    pub total: u32,
    /// Those that were answered with an error, or with a receipt that was refused.
    pub failed: u32,
    /// Those that took longer than the policy's `p99`.
    pub slow: u32,
}

impl Acks {
    /// Adds others.
    pub fn add(&mut self, other: Acks) {
        self.total = self.total.saturating_add(other.total);
        self.failed = self.failed.saturating_add(other.failed);
        self.slow = self.slow.saturating_add(other.slow);
    }

    /// How they fare by what is wanted.
    pub fn health(&self, wanted: &Wanted) -> Health {
        let total = f64::from(self.total);
        if u64::from(self.total) < wanted.min_samples {
            Health::Unknown
        } else if f64::from(self.total - self.failed.min(self.total)) < wanted.ack_success * total
            // 99 of 100 must be within the bound.
            || f64::from(self.slow) * 100.0 > total
        {
            Health::Ill
        } else {
            Health::Well
        }
    }
}

/// How consumers fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Too few acks to say.
    Unknown,
    /// As wanted.
    Well,
    /// Worse than wanted.
    Ill,
}

/// The acks of one stage of one candidate within the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    id: u64,
    stage: u16,
    /// The bucket's number since the beginning of time, and what it holds.
    buckets: Vec<(u32, Acks)>,
}

impl Samples {
    /// What the shared record `bytes` says of this candidate and stage: nothing, where it is of another one.
    pub fn read(bytes: &[u8], id: u64, stage: u16) -> Samples {
        Samples::decode(bytes).filter(|samples| (samples.id, samples.stage) == (id, stage)).unwrap_or(Samples {
            id,
            stage,
            buckets: vec![(0, Acks::default()); BUCKETS as usize],
        })
    }

    /// Adds acks of `now`, in Unix milliseconds.
    pub fn add(&mut self, acks: Acks, window: Millis, now: u64) {
        let number = bucket(window, now);
        let slot = usize::try_from(u64::from(number) % BUCKETS).unwrap_or(0);
        if let Some((held, sum)) = self.buckets.get_mut(slot) {
            if *held != number {
                (*held, *sum) = (number, Acks::default());
            }
            sum.add(acks);
        }
    }

    /// The acks within the window that ends `now`.
    pub fn sum(&self, window: Millis, now: u64) -> Acks {
        let number = bucket(window, now);
        let mut sum = Acks::default();
        for (held, acks) in &self.buckets {
            if u64::from(number.wrapping_sub(*held)) < BUCKETS {
                sum.add(*acks);
            }
        }
        sum
    }

    /// The bytes of the shared record.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&self.stage.to_le_bytes());
        for (number, acks) in &self.buckets {
            for number in [*number, acks.total, acks.failed, acks.slow] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Samples> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let [FORM, id @ .., low, high] = *head else { return None };
        let mut numbers = rest.chunks_exact(4).filter_map(|chunk| chunk.try_into().ok()).map(u32::from_le_bytes);
        let mut next = || numbers.next();
        let mut buckets = Vec::with_capacity(BUCKETS as usize);
        for _ in 0..BUCKETS {
            buckets.push((next()?, Acks { total: next()?, failed: next()?, slow: next()? }));
        }
        Some(Samples { id: u64::from_le_bytes(id), stage: u16::from_le_bytes([low, high]), buckets })
    }
}

/// The number of the bucket for a time. It wraps, after more buckets than any window has.
fn bucket(window: Millis, now: u64) -> u32 {
    let length = (u64::try_from(window.0).unwrap_or(0) / BUCKETS).max(1);
    (now / length) as u32
}
