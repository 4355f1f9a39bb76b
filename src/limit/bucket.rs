//! One bucket, by the generic cell rate algorithm: not tokens are kept but the time that it takes to fill up, the debt.
//! A token costs the time in which one comes in, and the debt goes down by the time that passes.
//!
//! Times are in [`Ticks`], 65,536ths of a nanosecond. A token costs a whole number of them, rounded up: a rate is exact, or
//! too low by at most its 65,536th part at the greatest, and by less the lower it is.

use crate::operation::Millis;
use crate::policy::limit::Rate;

/// 65,536ths of a nanosecond; the longest debt is a day, which is a third of what fits.
pub(super) type Ticks = u64;

const PER_NANOSECOND: u64 = 1 << 16;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// How long loans last, in nanoseconds: until the end of the epoch after the one in which they were taken. A worker that
/// was trapped with tokens in hand withholds them from the bucket no longer.
const EPOCH: u64 = 1_000_000_000;

/// A time that lies behind the one seen last by no more than this, in nanoseconds, is another worker's that read its clock
/// a moment earlier. One that lies further behind is a clock that was set back.
const OUT_OF_STEP: u64 = 1_000_000_000;

/// The number of the epoch of a time in Unix nanoseconds.
pub(super) fn epoch(now: u64) -> u64 {
    now / EPOCH
}

/// Whether a loan of epoch `taken` is still good at `now`.
pub(super) fn is_good(taken: u64, now: u64) -> bool {
    matches!(epoch(now).checked_sub(taken), Some(0 | 1))
}

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The time in which one token comes in.
    token: Ticks,
    burst: u64,
}

impl Terms {
    /// A bucket of `burst` tokens that fills at `rate`.
    pub fn new(rate: Rate, burst: u64) -> Terms {
        let period = u64::try_from(rate.period.0).unwrap_or(1).max(1);
        let period = period.saturating_mul(NANOSECONDS_PER_MILLISECOND).saturating_mul(PER_NANOSECOND);
        Terms { token: period.div_ceil(rate.tokens.max(1)), burst: burst.max(1) }
    }

    /// The tokens that the bucket holds when it is full.
    pub fn burst(self) -> u64 {
        self.burst
    }

    /// The time in which so many tokens come in.
    pub(super) fn cost(self, tokens: u64) -> Ticks {
        self.token.saturating_mul(tokens)
    }

    /// The time in which the whole bucket fills.
    pub(super) fn fill(self) -> Ticks {
        self.cost(self.burst)
    }

    /// The tokens that come in within a time.
    pub(super) fn within(self, ticks: Ticks) -> u64 {
        // A period is at least a tick, and so is its part, rounded up.
        ticks.checked_div(self.token).unwrap_or(u64::MAX)
    }
}

/// A time in milliseconds that is no shorter.
pub(super) fn millis(ticks: Ticks) -> Millis {
    let millis = ticks.div_ceil(PER_NANOSECOND * NANOSECONDS_PER_MILLISECOND);
    Millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// A time in nanoseconds that is no shorter.
pub(super) fn nanos(ticks: Ticks) -> u64 {
    ticks.div_ceil(PER_NANOSECOND)
}

/// What is kept of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// The time until it is full, were there no loans.
    pub(super) debt: Ticks,
    /// The time that it takes to fill: the debt of an empty one.
    pub(super) fill: Ticks,
    /// What is lent and not accounted for, by the epoch in which it was lent: this one, and the one before. It is part of
    /// the debt.
    pub(super) lent: [Ticks; 2],
}

impl Bucket {
    /// A bucket that nobody has asked before.
    pub(super) fn new(terms: Terms) -> Bucket {
        Bucket { debt: 0, fill: terms.fill(), lent: [0, 0] }
    }

    /// What it is to begin with again where nothing else is remembered of it. What is lent may be used until it lapses,
    /// and is owed from then on.
    pub(super) fn forgotten(&self) -> Bucket {
        let debt = match self.outstanding() {
            0 => self.debt,
            _ => self.debt.saturating_add(2 * EPOCH * PER_NANOSECOND),
        };
        Bucket { debt, fill: self.fill, lent: [0, 0] }
    }

    /// What is lent and may still be used.
    pub(super) fn outstanding(&self) -> Ticks {
        self.lent.iter().fold(0, |sum, lent| sum.saturating_add(*lent))
    }

    /// Lets time pass: the debt goes down, though never under what is lent. What is lent may have been used until the
    /// moment in which it lapses, so it is owed until then, and goes down from there.
    pub(super) fn drain(&mut self, passed: &Passed) {
        let before = self.outstanding();
        let [lent, _] = self.lent;
        let [since_first, since_second] = passed.since_epochs;
        let (lent_after, lapsed) = match passed.epochs {
            0 => (self.lent, 0),
            1 => ([0, lent], before.saturating_sub(since_first)),
            _ => ([0, 0], before.saturating_sub(since_first).max(lent.saturating_sub(since_second))),
        };
        self.lent = lent_after;
        self.debt = self.debt.saturating_sub(passed.ticks).max(lapsed).max(self.outstanding());
    }

    /// Goes over to terms by which it takes so long to fill, as full in proportion as it was.
    pub(super) fn adopt(&mut self, new: Ticks) {
        let old = self.fill;
        if old == new {
            return;
        }
        let scaled = |ticks: Ticks| {
            let scaled = (u128::from(ticks) * u128::from(new)).div_ceil(u128::from(old.max(1)));
            Ticks::try_from(scaled).unwrap_or(Ticks::MAX)
        };
        (self.debt, self.lent, self.fill) = (scaled(self.debt), self.lent.map(scaled), new);
        self.debt = self.debt.max(self.outstanding());
    }

    /// How long it takes until `cost` can be paid; zero where it can at once.
    pub(super) fn wait(&self, cost: Ticks) -> Ticks {
        self.debt.saturating_add(cost).saturating_sub(self.fill)
    }

    /// What it has to give now.
    pub(super) fn left(&self) -> Ticks {
        self.fill.saturating_sub(self.debt)
    }

    /// Takes out `cost`, and lends `loan` besides.
    pub(super) fn pay(&mut self, cost: Ticks, loan: Ticks) {
        self.debt = self.debt.saturating_add(cost).saturating_add(loan);
        self.lent[0] = self.lent[0].saturating_add(loan);
    }

    /// Settles a loan of `lent` that was taken `age` epochs ago: of it `unused` comes back. What the bucket does not know
    /// to be lent, because it was forgotten or has lapsed since, does not come back.
    pub(super) fn settle(&mut self, age: u64, lent: Ticks, unused: Ticks) {
        let known = match age {
            0 => &mut self.lent[0],
            1 => &mut self.lent[1],
            _ => return,
        };
        let back = unused.min(*known);
        *known = known.saturating_sub(lent);
        self.debt = self.debt.saturating_sub(back).max(self.outstanding());
    }

    /// Puts back what was taken out and not used.
    pub(super) fn refund(&mut self, cost: Ticks) {
        self.debt = self.debt.saturating_sub(cost).max(self.outstanding());
    }
}

/// The time that has passed between two looks at a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// How long.
    pub(super) ticks: Ticks,
    /// How many epochs began.
    epochs: u64,
    /// How long ago the first of them began, and the second.
    since_epochs: [Ticks; 2],
    /// The time from which on the next one counts.
    pub(super) seen: u64,
    /// Whether the clock was set back.
    pub(super) set_back: bool,
}

impl Passed {
    /// From the time `seen` last to `now`, both in Unix nanoseconds. Where a clock was set back, nothing has passed, and
    /// time goes on from there; loans have lapsed, since nobody can tell their age.
    pub(super) fn between(seen: u64, now: u64) -> Passed {
        if now < seen && seen - now <= OUT_OF_STEP {
            return Passed { ticks: 0, epochs: 0, since_epochs: [0, 0], seen, set_back: false };
        }
        let since = |time: u64| now.saturating_sub(time).saturating_mul(PER_NANOSECOND);
        let begins = |later: u64| epoch(seen).saturating_add(later).saturating_mul(EPOCH);
        Passed {
            ticks: since(seen),
            epochs: epoch(now).checked_sub(epoch(seen)).unwrap_or(u64::MAX),
            since_epochs: [since(begins(1)), since(begins(2))],
            seen: now,
            set_back: now < seen,
        }
    }
}
