//! A policy of ten thousand rules that is changed under load, in either of the forms that a policy can have. The goal is
//! the StringValue's: Envoy takes a Struct apart and puts it together again on its own, several times over, which costs
//! it more than all else.

use stack::Bootstrap;

use crate::steady::Summary;

use super::super::changes::Changing;
use super::super::policy::{operation, shipped, with_rules};
use super::super::quantiles::{millis, quantile};
use super::super::{BenchError, Figure, Goal, Options, Outcome, Progress, Unit};

/// As many rules as a policy may have.
const RULES: u64 = 10_000;
/// For so many changes of a StringValue, one of a Struct, which takes several times as long.
const STRUCT_EVERY: u64 = 5;

/// Changes of both forms.
pub(super) fn steps(options: &Options) -> u64 {
    options.large_reloads + options.large_reloads.div_ceil(STRUCT_EVERY)
}

pub(super) async fn measure(options: &Options, progress: &Progress) -> Result<Outcome, BenchError> {
    let bootstrap = shipped()?;
    let policy = bootstrap.current_policy();
    let version = |version| with_rules(policy.clone(), version, RULES);
    let text = |number| bootstrap.clone().policy_text(&version(number).to_string());
    let (as_text, of_text) = form(options.large_reloads, progress, text).await?;
    let structs = options.large_reloads.div_ceil(STRUCT_EVERY);
    let (as_struct, of_struct) = form(structs, progress, |number| bootstrap.clone().policy(version(number))).await?;
    let load = of_text.and(of_struct);
    let at = |took: &[f64], share| quantile(took, share).ok_or(BenchError::Nothing("no policy was changed"));
    let says = "the same with 10,000 rules, as a StringValue of JSON, p99";
    let figures = vec![
        Figure::new("reload_10000_rules_p99_ms", says, at(&as_text, 0.99)?, Unit::Millis).goal(Goal::Below(100.0)),
        Figure::new("reload_10000_rules_p50_ms", "· median", at(&as_text, 0.5)?, Unit::Millis),
        Figure::new("reload_10000_rules_struct_p50_ms", "· as a Struct, median", at(&as_struct, 0.5)?, Unit::Millis),
        Figure::failed("reload_10000_rules_failed", load.failed),
    ];
    Ok(Outcome::new(figures, &load))
}

/// The times of `count` changes, in milliseconds, of the policy whose versions `put` makes.
async fn form(
    count: u64,
    progress: &Progress,
    put: impl Fn(u64) -> Bootstrap,
) -> Result<(Vec<f64>, Summary), BenchError> {
    let mut changing = Changing::start(put(1), operation::<RULES>, "x-ackguard").await?;
    let mut took = Vec::new();
    for _ in 0..count {
        let next = put(changing.next()).extension()?;
        took.push(changing.change(&next).await?);
        progress.step();
    }
    Ok((millis(&took), changing.stop().await))
}
