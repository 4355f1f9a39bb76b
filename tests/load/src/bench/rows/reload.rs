//! A policy that is changed under load: from the rename to the first answer by the new policy on every connection, so on
//! every worker. In turns with it a filter that does nothing gets another configuration, which is what Envoy itself takes. Every
//! tenth policy is broken, and the one in force stays.

use std::time::Duration;

use stack::Bootstrap;

use super::super::changes::{Changing, OF_TWO};
use super::super::policy::{shipped, subscribe};
use super::super::quantiles::{millis, quantile};
use super::super::{Figure, Goal, Options, Outcome, Unit};
use crate::measure::{MeasureError, Progress, noop};

/// Every so many renames bring a broken policy.
const BROKEN_EVERY: u64 = 10;

pub(super) async fn measure(options: &Options, progress: &Progress) -> Result<Outcome, MeasureError> {
    let bootstrap = shipped()?;
    let version = |version: u64| bootstrap.clone().edit_policy(|policy| policy["version"] = version.to_string().into());
    let bare = |version: u64| bootstrap.clone().wasm(&noop()).policy_text(&format!("version={version}"));
    let mut ours = Changing::start(version(1), subscribe, "x-ackguard", OF_TWO).await?;
    let mut noop = Changing::start(bare(1), subscribe, "x-noop", OF_TWO).await?;
    let (mut took, mut noop_took) = (Vec::new(), Vec::new());
    for number in 1..=options.reloads {
        let next = version(ours.next());
        if number % BROKEN_EVERY == 0 {
            ours.refuse(&broken(next, number).extension()?).await?;
        } else if number % 2 == 0 {
            took.push(ours.change(&next.extension()?).await?);
            noop_took.push(noop.change(&bare(noop.next()).extension()?).await?);
        } else {
            noop_took.push(noop.change(&bare(noop.next()).extension()?).await?);
            took.push(ours.change(&next.extension()?).await?);
        }
        progress.step();
    }
    let refused = ours.refused().await?;
    let (load, noop_load) = (ours.stop().await, noop.stop().await);
    let [p99, p50, max] = quantiles(&took)?;
    let [noop_p99, noop_p50, noop_max] = quantiles(&noop_took)?;
    let figures = vec![
        Figure::new("reload_p99_ms", "policy: rename → every worker serves it, p99", p99, Unit::Millis)
            .goal(Goal::AtMost(25.0)),
        Figure::new("reload_p50_ms", "· median", p50, Unit::Millis),
        Figure::new("reload_max_ms", "· longest", max, Unit::Millis),
        Figure::new("reload_served", "· policies that were served", took.len() as f64, Unit::Count),
        Figure::new("reload_refused", "· broken ones that were refused", refused as f64, Unit::Count),
        Figure::failed("reload_failed", load.failed),
        Figure::new("reload_noop_p99_ms", "the same for a no-op filter's configuration, p99", noop_p99, Unit::Millis),
        Figure::new("reload_noop_p50_ms", "· median", noop_p50, Unit::Millis),
        Figure::new("reload_noop_max_ms", "· longest", noop_max, Unit::Millis),
        Figure::failed("reload_noop_failed", noop_load.failed),
    ];
    Ok(Outcome::new(figures, &load.and(noop_load)))
}

/// The 99th percentile, the median and the longest, in milliseconds.
fn quantiles(took: &[Duration]) -> Result<[f64; 3], MeasureError> {
    let took = millis(took);
    let at = |share| quantile(&took, share).ok_or(MeasureError::Nothing("no policy was changed"));
    Ok([at(0.99)?, at(0.5)?, at(1.0)?])
}

/// `policy` with a fault, another one each time: Envoy remembers what it refused.
fn broken(policy: Bootstrap, number: u64) -> Bootstrap {
    match number / BROKEN_EVERY % 3 {
        0 => policy.policy_text(&format!("no policy {number}")),
        1 => {
            policy.edit_policy(|policy| policy["defaults"]["ack_timeout"]["default"] = format!("soon {number}").into())
        }
        _ => policy.edit_policy(|policy| policy[&format!("field_{number}")] = true.into()),
    }
}
