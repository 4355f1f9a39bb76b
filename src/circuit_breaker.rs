//! A circuit breaker: whether a service that fails is asked at all.
//!
//! ```text
//! Closed ── so many failures in a row ──▶ Open ── its time is over ──▶ HalfOpen ── the trial succeeds ──▶ Closed
//!                                          ▲                              │
//!                                          └────────── the trial fails ───┘
//! ```
//!
//! Closed passes calls, as a closed circuit does; open passes none; half-open passes one, the trial.

#[cfg(test)]
mod tests;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// After how many failures in a row it opens; at least one.
    pub trip_after: u32,
    /// How long it stays open, in milliseconds. A trial of which nothing is heard is given up after the same time, and
    /// another takes its place.
    pub open_for: u64,
}

/// How long what a breaker says of itself counts, in milliseconds, from when it opened or its trial began. Where a service
/// is asked, a trial begins anew whenever the last one is over; a breaker that nobody has asked for so long knows nothing.
const TELLS_FOR: u64 = 60_000;

/// A circuit breaker. Its caller has the clock: any milliseconds that go on.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    settings: Settings,
    state: State,
    /// Counts the changes of state, by which the result of an older call is known.
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { since: u64 },
    HalfOpen { since: u64 },
}

/// What a breaker says of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// A call passes, as far as it knows.
    Closed,
    /// One is tried: the next, or one that is under way.
    HalfOpen,
    /// None passes.
    Open,
}

impl Condition {
    /// The number in metrics: 0 closed, 1 half open, 2 open.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// The permission for one call, which is to be given back with the call's result.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    generation: u64,
}

impl CircuitBreaker {
    /// A closed breaker.
    pub fn new(settings: Settings) -> Self {
        CircuitBreaker { settings, state: State::Closed { failures: 0 }, generation: 0 }
    }

    /// Asks for a call at the time `now`. None where none is to be made.
    pub fn permit(&mut self, now: u64) -> Option<Permit> {
        match self.state {
            State::Closed { .. } => {}
            State::Open { since } | State::HalfOpen { since } => {
                // A clock that has stepped back tells nothing of how long it was: it ends the wait.
                if now.checked_sub(since).is_some_and(|waited| waited < self.settings.open_for) {
                    return None;
                }
                self.enter(State::HalfOpen { since: now });
            }
        }
        Some(Permit { generation: self.generation })
    }

    /// What it says of the service at the time `now`: that it is well, where it has not been asked for a minute.
    pub fn condition(&self, now: u64) -> Condition {
        match self.state {
            State::Open { since } | State::HalfOpen { since } if now.abs_diff(since) >= TELLS_FOR => Condition::Closed,
            State::Closed { .. } => Condition::Closed,
            State::Open { since } if now.checked_sub(since).is_some_and(|waited| waited < self.settings.open_for) => {
                Condition::Open
            }
            State::Open { .. } | State::HalfOpen { .. } => Condition::HalfOpen,
        }
    }

    /// Takes the result of a permitted call. One from before the last change of state says nothing of the state that is.
    pub fn settle(&mut self, permit: Permit, success: bool, now: u64) {
        if permit.generation != self.generation {
            return;
        }
        match (self.state, success) {
            (State::Closed { failures: 0 }, true) | (State::Open { .. }, _) => {}
            (State::Closed { .. }, true) => self.state = State::Closed { failures: 0 },
            (State::HalfOpen { .. }, true) => self.enter(State::Closed { failures: 0 }),
            (State::HalfOpen { .. }, false) => self.enter(State::Open { since: now }),
            (State::Closed { failures }, false) => {
                let failures = failures.saturating_add(1);
                if failures >= self.settings.trip_after {
                    self.enter(State::Open { since: now });
                } else {
                    self.state = State::Closed { failures };
                }
            }
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation = self.generation.wrapping_add(1);
    }
}
