//! Waiting for a condition.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long any wait may take before it is given up: far beyond what a loaded machine needs, so that it ends only what
/// will never come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// A condition that did not come true.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{condition} did not come within {} s", PATIENCE.as_secs())]
pub struct TimedOut {
    /// What was waited for.
    pub condition: String,
}

/// Waits until `look` finds something and returns it.
///
/// # Errors
/// After [`PATIENCE`], naming `condition`.
pub async fn until<T>(condition: &str, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T, TimedOut> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(TimedOut { condition: condition.to_owned() });
        }
        sleep(INTERVAL).await;
    }
}
