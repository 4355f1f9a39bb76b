//! What a guarded subscribe or pull costs Envoy with ten thousand rules, over what it costs with ten. Every tenant that
//! asks has a rule of its own.

use std::sync::Arc;
use std::time::Duration;

use super::super::policy::{operation, shipped, with_rules};
use super::super::rounds::{self, Side};
use super::super::{Figure, Goal, Options, Outcome, Unit};
use crate::measure::{MeasureError, Progress, Site};
use crate::steady::{Expected, Traffic};

/// Connections to each worker.
const CONNECTIONS: usize = 4;
const FEW: u64 = 10;
const MANY: u64 = 10_000;

pub(super) async fn measure(options: &Options, progress: &Progress) -> Result<Outcome, MeasureError> {
    let sides = vec![side::<FEW>().await?, side::<MANY>().await?];
    let rounds = rounds::measure(sides, options.rounds, options.round, progress).await?;
    let figures = vec![
        Figure::of_rounds(
            "rules_10000_vs_10",
            "Envoy's CPU for a subscribe or pull, 10,000 rules over 10",
            rounds.ratio(1, 0)?,
            Unit::Ratio,
        )
        .goal(Goal::AtMost(1.2)),
        Figure::of_rounds("rules_10_us", "· with 10 rules", rounds.micros(0)?, Unit::Micros),
        Figure::of_rounds("rules_10000_us", "· with 10,000 rules", rounds.micros(1)?, Unit::Micros),
        Figure::failed("rules_failed", rounds.load.failed),
    ];
    Ok(Outcome::new(figures, &rounds.load))
}

async fn side<const RULES: u64>() -> Result<Side, MeasureError> {
    let bootstrap = shipped()?;
    let policy = with_rules(bootstrap.current_policy(), 1, RULES);
    let site = Arc::new(Site::start(bootstrap.policy(policy)).await?);
    let connections = site.cover(CONNECTIONS).await?;
    // As fast as they are answered: with pauses, Envoy's own waking would be measured.
    let traffic =
        Traffic { request: operation::<RULES>, expected: Expected::Version("x-ackguard"), every: Duration::ZERO };
    Ok(Side::new(site, connections, traffic))
}
