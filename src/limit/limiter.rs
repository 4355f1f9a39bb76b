//! One worker's part in the limits: the loans in its hand, and how it asks.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use crate::hash::Hash;
use crate::operation::Millis;
use crate::policy::verdict::Throttle;
use crate::shared_memory::SharedMemory;

use super::Terms;
use super::bill::Charge;
use super::bucket::{Bucket, Ticks, epoch, is_good, millis, nanos};
use super::ledger::{self, Address, Change};

/// The most keys of which a worker has loans, or remembers that they have to wait. Any more go to the bucket each time.
const LOANS: usize = 1024;
/// A loan is no more than comes in within this time, in nanoseconds...
const LOAN_TIME: u64 = 50_000_000;
/// ...and no more than this part of what the bucket has left, so that loans end before the bucket is empty.
const LOAN_SHARE: u64 = 16;
/// A worker that is back for more within this time, in nanoseconds, gets a loan of twice the size.
const SOON: u64 = 200_000_000;
/// A loan that was not used for so long, in nanoseconds, goes back.
const IDLE: u64 = 100_000_000;
/// A worker refuses a key from its own memory for so long at most, in nanoseconds: another may put tokens back meanwhile.
const BAR: u64 = 1_000_000_000;

/// What went otherwise than it should while limits were asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Buckets that were forgotten and were not full.
    pub evicted: u32,
    /// Requests that were refused because too many workers wrote a bucket at once.
    pub contended: u32,
    /// Tokens that did not reach their bucket, neither to be charged nor to be put back, for the same reason.
    pub lost: u32,
}

/// What several limits, asked as one, have answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payment {
    /// All have agreed, and were paid as this says.
    Paid(Vec<Paid>),
    /// One has not; none was charged.
    Refused {
        /// The index of the charge that cannot be paid.
        index: usize,
        /// Why.
        throttle: Throttle,
    },
}

/// What a charge was paid from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    /// The loan in the worker's hand.
    Loan,
    /// The bucket itself.
    Bucket,
}

/// Tokens of one key in a worker's hand.
#[derive(Clone, Debug)]
struct Loan {
    limit: Rc<str>,
    terms: Terms,
    /// What is left of it.
    tokens: u64,
    /// What was used of it.
    used: u64,
    /// The epoch in which it was taken.
    taken: u64,
    /// How large the next one may be.
    size: u64,
    /// When the bucket was asked last, in Unix nanoseconds.
    asked: u64,
    /// When it was used last.
    touched: u64,
    /// When the bucket is known to have too little.
    bar: Option<Bar>,
}

/// The bucket has less than `cost` until a time, whoever asks: nothing is lent that could come back earlier. Only what a
/// refused request had paid can.
#[derive(Clone, Copy, Debug)]
struct Bar {
    cost: u64,
    from: u64,
    until: u64,
    left: u64,
}

/// What a bucket answered.
enum Given {
    /// The charge is paid; a loan of so many tokens, taken in this epoch.
    Paid { loan: u64, taken: u64 },
    /// It has to wait so long. `firm` is whether nothing can come back earlier.
    Wait { wait: Ticks, left: u64, firm: bool },
}

/// One worker's loans. It outlives a policy.
#[derive(Clone, Debug, Default)]
pub struct Limiter {
    /// At most [`LOANS`], so that it costs little should clients choose keys that this hash makes equal.
    loans: HashMap<Vec<u8>, Loan, BuildHasherDefault<Hash>>,
    /// The ledger's, once it was asked for.
    salt: Option<u64>,
    trouble: Trouble,
}

impl Limiter {
    /// Asks for all of `charges` at a time in Unix nanoseconds: either all are paid, or none is.
    pub fn ask(&mut self, memory: &impl SharedMemory, charges: &[Charge], now: u64) -> Payment {
        let mut paid = Vec::with_capacity(charges.len());
        for (index, charge) in charges.iter().enumerate() {
            match self.pay(memory, charge, now) {
                Ok(from) => paid.push(from),
                Err(throttle) => {
                    self.refund(memory, charges, &paid, now);
                    return Payment::Refused { index, throttle };
                }
            }
        }
        Payment::Paid(paid)
    }

    /// Puts back what was `paid` for a request that does not go on.
    pub fn refund(&mut self, memory: &impl SharedMemory, charges: &[Charge], paid: &[Paid], now: u64) {
        for (charge, from) in charges.iter().zip(paid) {
            let cost = charge.terms.cost(charge.cost);
            match (from, self.loans.get_mut(&charge.key)) {
                (Paid::Loan, Some(loan)) if loan.terms == charge.terms && loan.used >= charge.cost => {
                    loan.used -= charge.cost;
                    loan.tokens += charge.cost;
                }
                // What came from a loan that has been settled since is lost.
                (Paid::Loan, _) => {}
                (Paid::Bucket, loan) => {
                    if let Some(loan) = loan {
                        loan.bar = None;
                    }
                    self.write(memory, charge.address(), now, |bucket, _| {
                        bucket.refund(cost);
                    });
                }
            }
        }
    }

    /// Charges what is due after the fact, even where the bucket has too little: the next ones wait for it.
    pub fn charge(&mut self, memory: &impl SharedMemory, charge: &Charge, now: u64) {
        let cost = charge.terms.cost(charge.cost);
        self.write(memory, charge.address(), now, |bucket, _| bucket.pay(cost, 0));
    }

    /// Gives back the loans that nobody uses.
    pub fn sweep(&mut self, memory: &impl SharedMemory, now: u64) {
        let idle = |loan: &Loan| now.abs_diff(loan.touched) >= IDLE;
        let keys: Vec<Vec<u8>> = self.loans.iter().filter(|(_, loan)| idle(loan)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let Some(loan) = self.loans.remove(&key) else { continue };
            if !loan.is_empty() && is_good(loan.taken, now) {
                let address = Address { limit: &loan.limit, key: &key, terms: loan.terms };
                self.write(memory, address, now, |bucket, seen| loan.settle(bucket, seen));
            }
        }
    }

    /// Whether the worker has neither loans to give back nor waiting times to forget.
    pub fn is_idle(&self) -> bool {
        self.loans.is_empty()
    }

    /// What went otherwise than it should since this was asked last.
    pub fn trouble(&mut self) -> Trouble {
        std::mem::take(&mut self.trouble)
    }

    fn pay(&mut self, memory: &impl SharedMemory, charge: &Charge, now: u64) -> Result<Paid, Throttle> {
        let Charge { terms, cost, .. } = *charge;
        if cost > terms.burst() {
            return Err(Throttle::TooCostly { cost, burst: terms.burst() });
        }
        // A loan of other terms, or one that has lapsed, is worth nothing: its tokens are the bucket's loss.
        let held = self.loans.get_mut(&charge.key).filter(|loan| loan.terms == terms);
        let mut size = 0;
        let mut in_hand = None;
        if let Some(loan) = held {
            loan.touched = now;
            let good = is_good(loan.taken, now);
            if good && loan.tokens >= cost {
                loan.tokens -= cost;
                loan.used += cost;
                return Ok(Paid::Loan);
            }
            if let Some(throttle) = loan.bar.and_then(|bar| bar.holds(cost, now)) {
                return Err(throttle);
            }
            size = loan.next_size(now);
            in_hand = Some(loan.clone()).filter(|loan| good && !loan.is_empty());
        }
        let given = self.change(memory, charge.address(), now, |bucket, seen| {
            if let Some(loan) = &in_hand {
                loan.settle(bucket, seen);
            }
            let price = terms.cost(cost);
            let wait = bucket.wait(price);
            if wait > 0 {
                let left = terms.within(bucket.left());
                let given = Given::Wait { wait, left, firm: bucket.outstanding() == 0 };
                return if in_hand.is_some() { Change::Keep(given) } else { Change::Drop(given) };
            }
            let loan = size.min(terms.within(bucket.left().saturating_sub(price)) / LOAN_SHARE);
            bucket.pay(price, terms.cost(loan));
            Change::Keep(Given::Paid { loan, taken: epoch(seen) })
        });
        let Some(given) = given else {
            self.trouble.contended = self.trouble.contended.saturating_add(1);
            return Err(Throttle::Wait { wait: Millis(1), left: 0 });
        };
        self.keep(charge, size, &given, now);
        match given {
            Given::Paid { .. } => Ok(Paid::Bucket),
            Given::Wait { wait, left, .. } => Err(Throttle::Wait { wait: millis(wait), left }),
        }
    }

    /// Notes what a bucket has given.
    fn keep(&mut self, charge: &Charge, size: u64, given: &Given, now: u64) {
        let mut loan = Loan {
            limit: charge.limit.name.clone(),
            terms: charge.terms,
            tokens: 0,
            used: 0,
            taken: epoch(now),
            size,
            asked: now,
            touched: now,
            bar: None,
        };
        match *given {
            Given::Paid { loan: tokens, taken } => (loan.tokens, loan.taken) = (tokens, taken),
            Given::Wait { wait, left, firm: true } => {
                let until = now.saturating_add(nanos(wait));
                loan.bar = Some(Bar { cost: charge.cost, from: now, until, left });
            }
            Given::Wait { .. } => {}
        }
        let has_room = self.loans.len() < LOANS;
        match self.loans.get_mut(&charge.key) {
            Some(held) => *held = loan,
            // A key's first loan is empty, so that nothing is lost where there is no room.
            None if has_room => {
                self.loans.insert(charge.key.clone(), loan);
            }
            None => {}
        }
    }

    /// Changes a bucket. None where too many workers wrote at once.
    fn change<T>(
        &mut self,
        memory: &impl SharedMemory,
        address: Address<'_>,
        now: u64,
        change: impl FnMut(&mut Bucket, u64) -> Change<T>,
    ) -> Option<T> {
        let salt = *self.salt.get_or_insert_with(|| ledger::salt(memory, now));
        let changed = ledger::change(memory, salt, address, now, change)?;
        self.trouble.evicted = self.trouble.evicted.saturating_add(changed.evicted);
        Some(changed.value)
    }

    /// Changes a bucket in any case, where that can be.
    fn write(
        &mut self,
        memory: &impl SharedMemory,
        address: Address<'_>,
        now: u64,
        mut change: impl FnMut(&mut Bucket, u64),
    ) {
        let written = self.change(memory, address, now, |bucket, seen| {
            change(bucket, seen);
            Change::Keep(())
        });
        if written.is_none() {
            self.trouble.lost = self.trouble.lost.saturating_add(1);
        }
    }
}

impl Charge {
    fn address(&self) -> Address<'_> {
        Address { limit: &self.limit.name, key: &self.key, terms: self.terms }
    }
}

impl Loan {
    fn is_empty(&self) -> bool {
        self.tokens == 0 && self.used == 0
    }

    /// Accounts for it to the bucket that it came from, whose slot has come to the time `seen`.
    fn settle(&self, bucket: &mut Bucket, seen: u64) {
        let Some(age) = epoch(seen).checked_sub(self.taken) else { return };
        let lent = self.used.saturating_add(self.tokens);
        bucket.settle(age, self.terms.cost(lent), self.terms.cost(self.tokens));
    }

    /// How large a loan may be that is asked for `now`.
    fn next_size(&self, now: u64) -> u64 {
        if now.abs_diff(self.asked) < SOON {
            let most = self.terms.within(LOAN_TIME << 16);
            self.size.saturating_mul(2).max(1).min(most)
        } else {
            self.size / 2
        }
    }
}

impl Bar {
    /// Why a charge has to wait, as long as this bars it.
    fn holds(self, cost: u64, now: u64) -> Option<Throttle> {
        let until = self.until.min(self.from.saturating_add(BAR));
        let bars = cost >= self.cost && (self.from..until).contains(&now);
        let left = self.until.saturating_sub(now).div_ceil(1_000_000);
        bars.then(|| Throttle::Wait { wait: Millis(i64::try_from(left).unwrap_or(i64::MAX)), left: self.left })
    }
}
