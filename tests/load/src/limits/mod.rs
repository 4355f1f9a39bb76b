//! How exactly limits hold in a real Envoy.
//!
//! - A [`Case`] is a limit and the demand that meets it; [`CASES`] are those of the documentation.
//! - `demand` sends it, on connections to every worker, and keeps when each request was sent and answered.
//! - [`Accuracy`] is what came of it, over every window; what can be said of a time that only the gateway knows stands there.
//! - [`Report`] has all of them, as a table and as `result.json`.

mod accuracy;
mod case;
mod demand;
mod report;

use std::time::Duration;

use crate::measure::{MeasureError, Progress, Site};

pub use accuracy::Accuracy;
pub use case::{CASES, Case, Guard, HOT, LOCAL_RATELIMIT};
pub use report::{Report, update};

/// For how long a demand meets its limit before what is let through is counted as a steady rate: far longer than the
/// burst of any case lasts.
pub const SETTLING: Duration = Duration::from_secs(1);

/// Connections to each worker.
const CONNECTIONS: usize = 8;

/// Measures `case` for `time` after [`SETTLING`].
///
/// # Errors
/// Where a request gets another answer than 200 or 429, or there is nothing to measure.
pub async fn measure(case: &Case, time: Duration) -> Result<Accuracy, MeasureError> {
    let progress = Progress::begin(case.name, (SETTLING + time).as_secs());
    let site = Site::with_workers(case.bootstrap()?, case.workers).await?;
    let connections = site.cover(CONNECTIONS).await?;
    let samples = demand::meet(case, site.envoy.guarded(), connections, SETTLING + time, &progress).await?;
    progress.end();
    Accuracy::of(samples, case, time).ok_or(MeasureError::Nothing("no request was let through"))
}
