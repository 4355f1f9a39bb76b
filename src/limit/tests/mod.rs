//! What the tests of limits have in common.

mod buckets;
mod laws;

use std::cell::Cell;
use std::rc::Rc;

use super::bill::{Charge, Facts};
use super::{Limiter, Payment, Trouble, ledger};
use crate::operation::{Kind, Millis, Tenant};
use crate::policy::Mode;
use crate::policy::limit::{Cost, Key, Limit, Operations, Rate, Reach};
use crate::policy::verdict::Throttle;
use crate::shared_memory::SharedMemory;
use crate::shared_memory::memory::Memory;

/// A time to begin at: some day of 2026, in Unix nanoseconds.
const START: u64 = 1_790_000_000_123_456_789;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

fn limit(name: &str, tokens: u64, burst: u64) -> Limit {
    Limit {
        name: Rc::from(name),
        operations: Operations::ANY,
        key: vec![Key::Tenant],
        cost: Cost::Messages,
        over: Mode::Enforce,
        reach: Reach::Local { rate: Rate { tokens, period: Millis(1_000) }, burst },
    }
}

fn charge(limit: &Limit, tenant: &str, cost: u64) -> Charge {
    let tenant = Tenant(tenant.to_owned());
    let facts =
        Facts { kind: Kind::Publish, tenant: &tenant, topic: None, group: None, client: "", messages: cost, bytes: 0 };
    Charge::of(&Rc::new(limit.clone()), &facts).expect("a local limit for every operation")
}

/// Asks for one token after the other until there is none; how many there were.
fn drain(limiter: &mut Limiter, memory: &impl SharedMemory, charge: &Charge, now: u64) -> u64 {
    let mut count = 0;
    while let Payment::Paid(_) = limiter.ask(memory, std::slice::from_ref(charge), now) {
        count += charge.cost;
    }
    count
}

/// Shared memory that counts how often it is read.
#[derive(Default)]
struct Counted(Memory, Cell<u32>);

impl SharedMemory for Counted {
    fn get(&self, key: &str) -> (Vec<u8>, Option<u32>) {
        self.1.set(self.1.get() + 1);
        self.0.get(key)
    }
    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        self.0.set(key, value, version)
    }
}

/// How many tokens of a charge a worker has in hand.
fn in_hand(limiter: &Limiter, charge: &Charge, now: u64) -> u64 {
    let (mut limiter, memory) = (limiter.clone(), Counted::default());
    let mut count = 0;
    loop {
        limiter.ask(&memory, std::slice::from_ref(charge), now);
        if memory.1.get() > 0 {
            return count;
        }
        count += charge.cost;
    }
}

/// What was let through, and when.
#[derive(Default)]
struct Passed(Vec<(u64, u64)>);

impl Passed {
    /// The most tokens by which a window is over `rate · t + burst`; negative where each is under it. In exact numbers:
    /// both sides times the nanoseconds of a second.
    fn most_over(&self, rate: u64, burst: u64) -> i128 {
        let second = i128::from(SECOND);
        let mut worst = i128::MIN;
        for (index, (from, _)) in self.0.iter().enumerate() {
            let mut sum = 0;
            for (to, tokens) in &self.0[index..] {
                sum += i128::from(*tokens);
                let allowed = i128::from(to - from) * i128::from(rate) + i128::from(burst) * second;
                worst = worst.max(sum * second - allowed);
            }
        }
        worst
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|(_, tokens)| tokens).sum()
    }
}

/// So many tenants whose buckets stand in the same slot where the salt is [`START`].
fn of_one_slot(limit: &Limit, tenant: &dyn Fn(usize) -> String, count: usize) -> Vec<String> {
    let place = |index: usize| ledger::place(START, &limit.name, &charge(limit, &tenant(index), 1).key);
    (0..).filter(|index| place(*index) == place(0)).take(count).map(tenant).collect()
}
