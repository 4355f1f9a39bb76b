//! A moment that certainly has not come yet, whatever the broker makes of the time while it is down.

use std::time::{Duration, Instant, SystemTime};

/// Clocks that count whole milliseconds disagree by less than this.
const ROUNDING: Duration = Duration::from_millis(5);

/// The end of a time that the broker gave. It follows the system's clock over its restarts, and the monotonic one in
/// between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    monotonic: Instant,
    system: SystemTime,
    length: Duration,
}

impl Deadline {
    /// The end of a time that begins at this moment or later.
    pub(crate) fn after(length: Duration) -> Self {
        Self { monotonic: Instant::now(), system: SystemTime::now(), length }
    }

    /// Whether no clock can have reached it.
    pub(crate) fn is_ahead(self) -> bool {
        let passed = self.system.elapsed().unwrap_or_default().max(self.monotonic.elapsed());
        passed + ROUNDING < self.length
    }
}
