//! A policy of ten thousand rules that is changed under load, in either of the forms that a policy can have. The goal is
//! the StringValue's: Envoy takes a Struct apart and puts it together again on its own, several times over, which costs
//! it more than all else.

use serde_json::Value;
use stack::Bootstrap;

use crate::steady::Summary;

use super::super::changes::Changing;
use super::super::policy::{operation, shipped, with_rules};
use super::super::quantiles::{millis, quantile};
use super::super::{BenchError, Figure, Goal, Options, Outcome, Progress, Unit};

/// As many rules as a policy may have.
const RULES: u64 = 10_000;
/// The forms that a policy can have.
pub(super) const FORMS: u64 = 2;

pub(super) async fn measure(options: &Options, progress: &Progress) -> Result<Outcome, BenchError> {
    let bootstrap = shipped()?;
    let policy = bootstrap.current_policy();
    let (as_struct, of_struct) = form(options, progress, &policy, |policy| bootstrap.clone().policy(policy)).await?;
    let (as_text, of_text) =
        form(options, progress, &policy, |policy| bootstrap.clone().policy_text(&policy.to_string())).await?;
    let load = Summary {
        answers: Vec::new(),
        failed: of_struct.failed + of_text.failed,
        faults: of_struct.faults.into_iter().chain(of_text.faults).collect(),
    };
    let at = |took: &[f64], share| quantile(took, share).ok_or(BenchError::Nothing("no policy was changed"));
    let says = "the same with 10,000 rules, as a StringValue of JSON, p99";
    let figures = vec![
        Figure::new("reload_10000_rules_p99_ms", says, at(&as_text, 0.99)?, Unit::Millis).goal(Goal::Below(100.0)),
        Figure::new("reload_10000_rules_p50_ms", "· median", at(&as_text, 0.5)?, Unit::Millis),
        Figure::new("reload_10000_rules_struct_p99_ms", "· as a Struct, p99", at(&as_struct, 0.99)?, Unit::Millis),
        Figure::new("reload_10000_rules_struct_p50_ms", "· as a Struct, median", at(&as_struct, 0.5)?, Unit::Millis),
        Figure::failed("reload_10000_rules_failed", load.failed),
    ];
    Ok(Outcome::new(figures, &load))
}

/// The times of all changes, in milliseconds, with policies that `put` puts in their place.
async fn form(
    options: &Options,
    progress: &Progress,
    policy: &Value,
    put: impl Fn(Value) -> Bootstrap,
) -> Result<(Vec<f64>, Summary), BenchError> {
    let version = |version| put(with_rules(policy.clone(), version, RULES));
    let mut changing = Changing::start(version(1), operation::<RULES>, "x-ackguard").await?;
    let mut took = Vec::new();
    for _ in 0..options.large_reloads {
        let next = version(changing.next()).extension()?;
        took.push(changing.change(&next).await?);
        progress.step();
    }
    Ok((millis(&took), changing.stop().await))
}
