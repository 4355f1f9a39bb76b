//! What Envoy holds more when its clients have made up a million tenants, a million topics and a million receipts, and what a
//! request costs then, and how many series there are. Each has a listener and a virtual machine of its own in one Envoy, whose
//! policy keeps all that it can of it: together they hold no less than one would that met all three.

mod made_up;

use std::sync::Arc;
use std::time::Duration;

use super::super::scaling::Scaling;
use super::super::sides::{self, Sender, Side};
use super::super::way::listeners;
use super::super::{Figure, Goal, Options, Outcome, Unit};
use crate::measure::{Filter, MeasureError, Processors, Progress, Site};
use crate::steady::{Expected, Load, Numbered, Traffic};

use made_up::{MadeUp, RECEIPT, TENANT, TOPIC};

/// Connections to each listener.
const CONNECTIONS: usize = 8;
/// Between two looks at how many requests were answered.
const LOOK: Duration = Duration::from_millis(10);
/// Tenants that have series of their own, and the one of all others: `ackguard metrics` tells it.
const SERIES: f64 = 101.0;
/// What the filter may hold for all that it meets, in bytes.
const MEMORY: f64 = 32.0 * 1024.0 * 1024.0;
/// What is made up in a step of the progress.
const STEP: u64 = 10_000;
/// Requests with few of something, before any is made up: what Envoy needs for any traffic is there then.
const WARM: u64 = 10_000;
/// Counts the leases, once a second.
const LEASES: &str = "wasmcustom.ackguard_leases";

const SCALING: Scaling = Scaling {
    many_over_few: ("tenants_1000000_vs_10", "Envoy's CPU for a subscribe, 1,000,000 made-up tenants over 10"),
    few: ("tenants_10_us", "· with 10 tenants"),
    many: ("tenants_1000000_us", "· with 1,000,000"),
};

/// The steps of this row, as it shows them.
pub(super) fn steps(options: &Options) -> u64 {
    let halves = [options.tenants, options.topics].map(|count| count / 2 / STEP + (count - count / 2) / STEP);
    halves.into_iter().sum::<u64>() + 3 * (options.receipts / STEP) + u64::from(options.turns)
}

/// What Envoy holds more, in bytes.
struct Grown {
    whole: f64,
    /// The part that came with the second half of what was made up.
    late: f64,
}

pub(super) async fn measure(
    options: &Options,
    processors: Option<Processors>,
    progress: &Progress,
) -> Result<Outcome, MeasureError> {
    let kinds = [TENANT, TOPIC, RECEIPT];
    let ways = kinds.iter().map(|kind| (kind.way, Filter::AckGuard(kind.policy))).collect();
    let site = Arc::new(Site::on_processor(listeners(ways)?, processors).await?);
    for kind in &kinds {
        fill(&site, kind.way, kind.few, WARM.min(options.tenants), |_| ()).await?;
    }
    let before = site.resident_bytes()?;
    let tenants = grow(&site, &TENANT, options.tenants, progress).await?;
    let mut sides = Vec::new();
    for request in [TENANT.few, TENANT.many] {
        sides.push(Side::new(
            Arc::clone(&site),
            Sender::Traffic(traffic(request), site.open(TENANT.way, CONNECTIONS).await?),
        ));
    }
    let measured = sides::measure(sides, options.turns, options.turn, progress).await?;
    let series = site.envoy.stats("^wasmcustom.ackguard_tenant_violations_total;").await?.len();
    let topics = grow(&site, &TOPIC, options.topics, progress).await?;
    let receipts = receipts(&site, options.receipts, progress).await?;
    let full = site.resident_bytes()?.saturating_sub(before);

    let count = |key, says, count| Figure::new(key, says, count, Unit::Count);
    let bytes = |key, says, bytes| Figure::new(key, says, bytes, Unit::MebiBytes);
    let mut figures = SCALING.figures(&measured.spent)?;
    figures.extend([
        measured.spent.count("tenants_rounds"),
        count("tenants_made_up", "· tenants", TENANT.count() as f64),
        count("tenants_series", "· series that name a tenant", series as f64).goal(Goal::AtMost(SERIES)),
        bytes("tenants_bytes", "· memory that Envoy holds more", tenants.whole),
        bytes("tenants_late_bytes", "· of it since the second half", tenants.late),
        count("topics_made_up", "made-up topics", TOPIC.count() as f64),
        bytes("topics_bytes", "· memory that Envoy holds more", topics.whole),
        bytes("topics_late_bytes", "· of it since the second half", topics.late),
        count("receipts_in_flight", "made-up receipts in flight at once", receipts.in_flight as f64),
        count("receipts_held", "· that the filter counts", receipts.held as f64),
        bytes("receipts_acked_bytes", "· memory that Envoy holds more when they are acknowledged", receipts.acked),
        bytes("receipts_bytes", "· with as many others in flight", receipts.grown.whole),
        bytes("receipts_late_bytes", "· of it for the others", receipts.grown.late),
        bytes("vm_full_bytes", "memory that Envoy holds more for all three", full as f64).goal(Goal::AtMost(MEMORY)),
        Figure::failed("growth_failed", measured.load.failed),
    ]);
    Ok(Outcome::new(figures, &measured.load))
}

/// Makes up `count` of `kind`.
async fn grow(site: &Site, kind: &MadeUp, count: u64, progress: &Progress) -> Result<Grown, MeasureError> {
    let mut held = vec![site.resident_bytes()? as f64];
    for half in [count / 2, count - count / 2] {
        fill(site, kind.way, kind.many, half, stepping(progress, half, STEP)).await?;
        held.push(site.resident_bytes()? as f64);
    }
    Ok(Grown { whole: held[2] - held[0], late: held[2] - held[1] })
}

/// What became of the receipts.
struct Receipts {
    in_flight: u64,
    /// Leases that the filter counts of them.
    held: u64,
    grown: Grown,
    /// What Envoy holds more when they are acknowledged, in bytes.
    acked: f64,
}

/// Makes up `count` receipts, which are all in flight then, acknowledges them, and makes up as many others.
async fn receipts(site: &Site, count: u64, progress: &Progress) -> Result<Receipts, MeasureError> {
    let (pulls, step) = (count.div_ceil(RECEIPT.each), STEP / RECEIPT.each);
    let fill = async |request, count| {
        fill(site, RECEIPT.way, request, count, stepping(progress, pulls, step)).await?;
        site.resident_bytes().map(|bytes| bytes as f64)
    };
    let before = site.resident_bytes()? as f64;
    let first = fill(RECEIPT.many, pulls).await?;
    let in_flight = RECEIPT.count();
    let held = match site.envoy.stat_reaches(LEASES, in_flight).await {
        Ok(held) => held,
        // Some found no room in the table.
        Err(_) => site.envoy.stat(LEASES).await?,
    };
    let acked = fill(made_up::ack, in_flight / RECEIPT.each).await?;
    let second = fill(RECEIPT.many, pulls).await?;
    Ok(Receipts {
        in_flight,
        held,
        grown: Grown { whole: second - before, late: second - first },
        acked: acked - before,
    })
}

/// Sends `request` to `way` until `count` were answered, and tells `answered` how many were.
async fn fill(
    site: &Site,
    way: &str,
    request: Numbered,
    count: u64,
    mut answered: impl FnMut(u64),
) -> Result<(), MeasureError> {
    let load = Load::start(site.open(way, CONNECTIONS).await?, traffic(request), 1);
    while load.answered() < count {
        tokio::time::sleep(LOOK).await;
        let (failed, faults) = load.faults();
        if let Some(fault) = faults.into_iter().next().filter(|_| failed > 0) {
            return Err(MeasureError::Request(fault));
        }
        answered(load.answered());
    }
    load.stop().await;
    Ok(())
}

/// Shows a step for each `step` requests, of `count` in all.
fn stepping(progress: &Progress, count: u64, step: u64) -> impl FnMut(u64) {
    let mut shown = 0;
    move |answered| {
        while shown < answered.min(count) / step {
            progress.step();
            shown += 1;
        }
    }
}

fn traffic(request: Numbered) -> Traffic {
    Traffic { request, expected: Expected::Status(200), every: Duration::ZERO }
}
