//! Time as the broker sees it: Unix milliseconds, read at the edge and passed inwards.

use std::ops::Add;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time, in Unix milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Timestamp(pub(crate) u64);

/// A length of time, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Add<Millis> for Timestamp {
    type Output = Timestamp;

    /// Saturates: a deadline past the end of time is one that never comes.
    fn add(self, length: Millis) -> Timestamp {
        Timestamp(self.0.saturating_add(length.0))
    }
}

impl Timestamp {
    /// The time from `self` until `later`, zero when that has passed.
    pub(crate) fn until(self, later: Timestamp) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

/// The clock of a broker.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// It starts at the system's time and then runs with the monotonic clock, so that a step of the system's time neither
    /// expires a lease early nor keeps one alive.
    Running { started: Instant, epoch: Timestamp },
    /// It stands where a test has put it.
    #[cfg(test)]
    Standing(std::sync::Arc<std::sync::atomic::AtomicU64>),
}

impl Clock {
    /// A clock that agrees with the system's time at this moment, but does not start before `earliest`: the system's
    /// time may have stepped back since the last run.
    pub(crate) fn start(earliest: Timestamp) -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::Running { started: Instant::now(), epoch: Timestamp(millis(epoch)).max(earliest) }
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::Running { started, epoch } => *epoch + Millis(millis(started.elapsed())),
            #[cfg(test)]
            Self::Standing(at) => Timestamp(at.load(std::sync::atomic::Ordering::Relaxed)),
        }
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
