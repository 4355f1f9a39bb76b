//! What a request costs, what memory Envoy holds and how many series there are when a client has made up a million tenants, over
//! ten. Each of its requests breaks the policy and is asked about by a limit, so that every table that knows tenants meets them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::json;

use super::super::exchange::subscribe_of;
use super::super::rounds::{self, Side};
use super::super::way::{Filter, listeners};
use super::super::{Figure, Goal, Options, Outcome, Unit};
use crate::measure::{MeasureError, Progress, Site};
use crate::steady::{Expected, Load, Numbered, Traffic};

/// The listener.
const WAY: &str = "tenants";
/// Connections to it.
const CONNECTIONS: usize = 8;
const FEW: u64 = 10;
/// Between two looks at how many tenants there are.
const LOOK: Duration = Duration::from_millis(100);
/// Tenants that have series of their own, and the one of all others: `ackguard metrics` tells it.
const SERIES: f64 = 101.0;
/// What the filter may hold for all that it meets, in bytes.
const MEMORY: f64 = 32.0 * 1024.0 * 1024.0;

/// How many tenants were made up so far, by all connections.
static MADE_UP: AtomicU64 = AtomicU64::new(0);

/// The steps of this row, as it shows them.
pub(super) fn steps(options: &Options) -> u64 {
    options.tenants / STEP + u64::from(options.rounds)
}

/// Tenants for a step of its progress.
const STEP: u64 = 10_000;

pub(super) async fn measure(
    options: &Options,
    processor: Option<usize>,
    progress: &Progress,
) -> Result<Outcome, MeasureError> {
    let filter = Filter::AckGuard(|policy| {
        let plenty = json!({ "name": "by-tenant", "operations": ["subscribe"], "key": ["tenant"], "rate": "1000000/s", "burst": 1_000_000 });
        policy["limits"] = json!([plenty]);
    });
    let site = Arc::new(Site::on_processor(listeners(vec![(WAY, filter)])?, processor).await?);
    let resident = || site.envoy.resident_bytes().ok_or(MeasureError::Nothing("Envoy has ended"));
    // All that a few tenants need is there before.
    fill(&site, few, STEP.min(options.tenants), None).await?;
    let before = resident()?;
    fill(&site, many, options.tenants, Some(progress)).await?;
    let grown = resident()?.saturating_sub(before);
    let mut sides = Vec::new();
    for request in [few as Numbered, many] {
        sides.push(Side::new(Arc::clone(&site), site.open(WAY, CONNECTIONS).await?, traffic(request)));
    }
    let rounds = rounds::measure(sides, options.rounds, options.turn * 2, progress).await?;
    let series = site.envoy.stats("^wasmcustom.ackguard_tenant_violations_total;").await?.len();
    let figures = vec![
        Figure::of_rounds(
            "tenants_1000000_vs_10",
            "Envoy's CPU for a subscribe, 1,000,000 made-up tenants over 10",
            rounds.ratio(1, 0)?,
            Unit::Ratio,
        )
        .goal(Goal::AtMost(1.2)),
        Figure::new("tenants_made_up", "· tenants", MADE_UP.load(Ordering::Relaxed) as f64, Unit::Count),
        Figure::new("tenants_series", "· series that name a tenant", series as f64, Unit::Count)
            .goal(Goal::AtMost(SERIES)),
        Figure::new("vm_full_bytes", "· memory that Envoy holds more", grown as f64, Unit::MebiBytes)
            .goal(Goal::AtMost(MEMORY)),
        Figure::failed("tenants_failed", rounds.load.failed),
    ];
    Ok(Outcome::new(figures, &rounds.load))
}

/// Sends `request` until `count` were answered.
async fn fill(site: &Site, request: Numbered, count: u64, progress: Option<&Progress>) -> Result<(), MeasureError> {
    let load = Load::start(site.open(WAY, CONNECTIONS).await?, traffic(request), 1);
    let mut shown = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        let answered = load.answered();
        let (failed, faults) = load.faults();
        if let Some(fault) = faults.into_iter().next().filter(|_| failed > 0) {
            return Err(MeasureError::Request(fault));
        }
        while let Some(progress) = progress.filter(|_| shown < answered.min(count) / STEP) {
            progress.step();
            shown += 1;
        }
        if answered >= count {
            load.stop().await;
            return Ok(());
        }
    }
}

fn traffic(request: Numbered) -> Traffic {
    Traffic { request, expected: Expected::Status(200), every: Duration::ZERO }
}

fn few(number: u64) -> Request<Full<Bytes>> {
    subscribe_of(&format!("known-{}", number % FEW))
}

fn many(_number: u64) -> Request<Full<Bytes>> {
    subscribe_of(&format!("made-up-{}", MADE_UP.fetch_add(1, Ordering::Relaxed)))
}
