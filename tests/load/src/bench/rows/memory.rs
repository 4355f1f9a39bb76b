//! What the module weighs, and what an Envoy holds for it while nothing passes.

use std::fs;
use std::time::Duration;

use stack::Bootstrap;

use super::super::way::listeners;
use super::super::{Figure, Goal, Outcome, Unit};
use crate::measure::{Filter, MeasureError, Progress, Site};
use crate::steady::Summary;

/// How long an Envoy is left alone: V8 gives back what it compiled with.
const IDLE: Duration = Duration::from_secs(2);

/// The Envoys that are looked at.
pub(super) const STEPS: u64 = 3;

pub(super) async fn measure(progress: &Progress) -> Result<Outcome, MeasureError> {
    let path = stack::wasm();
    let system = |source| MeasureError::System { what: path.display().to_string(), source };
    let module = fs::metadata(&path).map_err(system)?.len();
    let with = async |filter| idle(listeners(vec![("idle", filter)])?, progress).await;
    let bare = with(Filter::None).await?;
    let noop = with(Filter::Noop).await?;
    let ackguard = with(Filter::AckGuard(|_| ())).await?;
    let bytes = |key, says, value: u64| Figure::new(key, says, value as f64, Unit::MebiBytes);
    let figures = vec![
        Figure::new("wasm_bytes", "the module", module as f64, Unit::KibiBytes).goal(Goal::AtMost(600.0 * 1024.0)),
        bytes("vm_idle_bytes", "memory of an idle Envoy, over bare", ackguard.saturating_sub(bare))
            .goal(Goal::AtMost(4.0 * 1024.0 * 1024.0)),
        bytes("vm_idle_noop_bytes", "· of one with a no-op filter, over bare", noop.saturating_sub(bare)),
    ];
    Ok(Outcome::new(figures, &Summary::default()))
}

/// What an Envoy with one worker and `bootstrap` holds when it has nothing to do.
pub(super) async fn idle(bootstrap: Bootstrap, progress: &Progress) -> Result<u64, MeasureError> {
    let site = Site::with_workers(bootstrap, 1).await?;
    tokio::time::sleep(IDLE).await;
    progress.step();
    site.resident_bytes()
}
