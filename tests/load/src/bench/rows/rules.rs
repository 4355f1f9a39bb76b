//! What a guarded subscribe or pull costs Envoy with ten thousand rules, over what it costs with ten, and what memory it holds for
//! them. Every tenant that asks has a rule of its own.

use std::sync::Arc;
use std::time::Duration;

use stack::{Bootstrap, BootstrapError};

use super::super::policy::{operation, shipped, with_rules};
use super::super::scaling::Scaling;
use super::super::sides::{self, Sender, Side};
use super::super::turns::Plan;
use super::super::way::listeners;
use super::super::{Figure, Options, Outcome, Unit};
use super::memory;
use crate::measure::{MeasureError, Progress, Site};
use crate::steady::{Expected, Traffic};

/// Connections to each worker.
const CONNECTIONS: usize = 4;
/// How often there are other Envoys, at least.
const PARTS: u32 = 10;
const FEW: u64 = 10;
const SOME: u64 = 1_000;
const MANY: u64 = 10_000;

const SCALING: Scaling = Scaling {
    many_over_few: ("rules_10000_vs_10", "Envoy's CPU for a subscribe or pull, 10,000 rules over 10"),
    few: ("rules_10_us", "· with 10 rules"),
    many: ("rules_10000_us", "· with 10,000 rules"),
};

/// Those whose memory is looked at.
const MEMORY: [(u64, &str, &str); 3] = [
    (FEW, "rules_10_bytes", "· memory of an idle Envoy with 10 rules, over bare"),
    (SOME, "rules_1000_bytes", "· with 1,000 rules"),
    (MANY, "rules_10000_bytes", "· with 10,000 rules"),
];

fn plan(options: &Options) -> Plan {
    Plan::of_short_turns(options, 5, PARTS)
}

/// The steps of this row, as it shows them.
pub(super) fn steps(options: &Options) -> u64 {
    u64::from(plan(options).rounds) + 1 + MEMORY.len() as u64
}

pub(super) async fn measure(options: &Options, progress: &Progress) -> Result<Outcome, MeasureError> {
    let start = async || Ok(vec![vec![side::<FEW>().await?, side::<MANY>().await?]]);
    let of = |spent: &_| SCALING.figures(spent);
    let measured = sides::measure_anew(plan(options), start, of, progress).await?;
    let mut figures = of(&measured.spent)?;
    figures.push(measured.spent.count("rules_rounds"));
    let bare = memory::idle(listeners(Vec::new())?, progress).await?;
    for (count, key, says) in MEMORY {
        let held = memory::idle(bootstrap(count)?, progress).await?.saturating_sub(bare);
        figures.push(Figure::new(key, says, held as f64, Unit::MebiBytes));
    }
    figures.push(Figure::failed("rules_failed", measured.load.failed));
    Ok(Outcome::new(figures, &measured.load))
}

/// The shipped configuration with so many rules, as text, which Envoy hands to the filter as it is.
fn bootstrap(rules: u64) -> Result<Bootstrap, BootstrapError> {
    let shipped = shipped()?;
    let policy = with_rules(shipped.current_policy(), 1, rules);
    Ok(shipped.policy_text(&policy.to_string()))
}

async fn side<const RULES: u64>() -> Result<Side, MeasureError> {
    let site = Arc::new(Site::start(bootstrap(RULES)?).await?);
    let connections = site.cover(CONNECTIONS).await?;
    // As fast as they are answered: with pauses, Envoy's own waking would be measured.
    let traffic =
        Traffic { request: operation::<RULES>, expected: Expected::Version("x-ackguard"), every: Duration::ZERO };
    Ok(Side::new(site, Sender::Traffic(traffic, connections)))
}
