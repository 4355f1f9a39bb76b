//! A policy that is changed under load: from the rename to the first answer by the new policy on every connection, so on
//! every worker. Every tenth policy is broken, and the one in force stays.

use stack::Bootstrap;

use super::super::changes::Changing;
use super::super::policy::{shipped, subscribe};
use super::super::quantiles::{millis, quantile};
use super::super::{Figure, Goal, Options, Outcome, Unit};
use crate::measure::{MeasureError, Progress};

/// Every so many renames bring a broken policy.
const BROKEN_EVERY: u64 = 10;

pub(super) async fn measure(options: &Options, progress: &Progress) -> Result<Outcome, MeasureError> {
    let bootstrap = shipped()?;
    let version = |version: u64| bootstrap.clone().edit_policy(|policy| policy["version"] = version.to_string().into());
    let mut changing = Changing::start(version(1), subscribe, "x-ackguard").await?;
    let mut took = Vec::new();
    for number in 1..=options.reloads {
        let next = version(changing.next());
        if number % BROKEN_EVERY == 0 {
            changing.refuse(&broken(next, number).extension()?).await?;
        } else {
            took.push(changing.change(&next.extension()?).await?);
        }
        progress.step();
    }
    let refused = changing.refused().await?;
    let load = changing.stop().await;
    let took = millis(&took);
    let at = |share| quantile(&took, share).ok_or(MeasureError::Nothing("no policy was changed"));
    let figures = vec![
        Figure::new("reload_p99_ms", "policy: rename → every worker serves it, p99", at(0.99)?, Unit::Millis)
            .goal(Goal::AtMost(25.0)),
        Figure::new("reload_p50_ms", "· median", at(0.5)?, Unit::Millis),
        Figure::new("reload_max_ms", "· longest", at(1.0)?, Unit::Millis),
        Figure::new("reload_served", "· policies that were served", took.len() as f64, Unit::Count),
        Figure::new("reload_refused", "· broken ones that were refused", refused as f64, Unit::Count),
        Figure::failed("reload_failed", load.failed),
    ];
    Ok(Outcome::new(figures, &load))
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
