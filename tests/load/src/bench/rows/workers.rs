//! What AckGuard adds to an ack where Envoy has one worker, two and four. All have the same load, which is no more than one
//! carries; no Envoy is kept on a processor, so that what several workers do to each other is measured with them.

use std::sync::Arc;
use std::time::Duration;

use super::super::exchange::Exchange;
use super::super::sides::{self, Sender, Side};
use super::super::turns::{Plan, Rounds};
use super::super::way::listeners;
use super::super::{Figure, Options, Outcome, Unit};
use crate::measure::{Filter, MeasureError, Progress, Site};
use crate::steady::{Expected, Traffic};

const BARE: &str = "none";
const ACKGUARD: &str = "ackguard";

/// Connections to each listener, whose workers have equal shares of them.
const CONNECTIONS: usize = 8;
/// From one request of a connection to its next: 2,000 requests/s in all.
const EVERY: Duration = Duration::from_millis(4);

/// How often there are other Envoys, at least.
const PARTS: u32 = 15;

/// What is told of an Envoy: how many workers it has, and its keys.
const ENVOYS: [(u32, [&str; 2], [&str; 2]); 3] = [
    (
        1,
        ["workers_1_vs_bare", "workers_1_added_us"],
        ["Envoy's CPU for an ack with 1 worker, over bare", "· added by AckGuard"],
    ),
    (2, ["workers_2_vs_bare", "workers_2_added_us"], ["· with 2 workers", "· added by AckGuard"]),
    (4, ["workers_4_vs_bare", "workers_4_added_us"], ["· with 4 workers", "· added by AckGuard"]),
];

/// At a load that leaves Envoy idle now and then, a turn as short as those of the costs would have few requests. What comes of
/// two turns is far apart even where they are long, so there are many.
pub(super) fn plan(options: &Options) -> Plan {
    Plan { rounds: options.turns * 3, parts: PARTS, turn: options.turn * 2, patience: options.patience }
}

pub(super) async fn measure(options: &Options, progress: &Progress) -> Result<Outcome, MeasureError> {
    let measured = sides::measure_anew(plan(options), start, figures, progress).await?;
    let mut figures = figures(&measured.spent)?;
    let load = measured.load;
    figures.extend([measured.spent.count("workers_rounds"), Figure::failed("workers_failed", load.failed)]);
    Ok(Outcome::new(figures, &load))
}

/// Of each Envoy a group: what has AckGuard is compared with what has not.
async fn start() -> Result<Vec<Vec<Side>>, MeasureError> {
    let mut groups = Vec::new();
    for (workers, ..) in ENVOYS {
        let ways = vec![(BARE, Filter::None), (ACKGUARD, Filter::AckGuard(|_| ()))];
        let site = Arc::new(Site::with_workers(listeners(ways)?, workers).await?);
        let mut sides = Vec::new();
        for way in [BARE, ACKGUARD] {
            let connections = site.cover_listener(way, CONNECTIONS / workers as usize).await?;
            let traffic = Traffic { request: Exchange::Ack.request(), expected: Expected::Status(200), every: EVERY };
            sides.push(Side::new(Arc::clone(&site), Sender::Traffic(traffic, connections)));
        }
        groups.push(sides);
    }
    Ok(groups)
}

fn figures(spent: &Rounds<f64>) -> Result<Vec<Figure>, MeasureError> {
    // A bare side and one with AckGuard of each.
    let sides = |envoy: usize| (2 * envoy + 1, 2 * envoy);
    let more = spent.added_ratio(sides(ENVOYS.len() - 1), sides(0))?;
    let says = "added to an ack with 4 workers, over what is added with 1";
    let mut figures = vec![Figure::of_rounds("workers_4_vs_1", says, more, Unit::Ratio)];
    for (envoy, (_, [ratio, added], [says_ratio, says_added])) in ENVOYS.into_iter().enumerate() {
        let (guarded, bare) = sides(envoy);
        figures.push(Figure::of_rounds(ratio, says_ratio, spent.ratio(guarded, bare)?, Unit::Ratio));
        figures.push(Figure::of_rounds(added, says_added, spent.added(guarded, bare)?, Unit::Micros));
    }
    Ok(figures)
}
