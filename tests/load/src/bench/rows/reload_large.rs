//! A policy of ten thousand rules that is changed under load, in each form that a policy can have. The goal is that of
//! the binary one, which `ackguard render --binary` makes: what Envoy does with the others on its own, before the filter
//! gets them, costs it more than all else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use stack::{Bootstrap, StartFailure, move_into_place, program, wasm};
use tempfile::TempDir;
use tokio::process::Command;

use crate::measure::{MeasureError, Progress};
use crate::steady::Summary;

use super::super::changes::{ALONE, Changing};
use super::super::policy::{operation, shipped, with_rules};
use super::super::quantiles::{millis, quantile};
use super::super::{Figure, Goal, Options, Outcome, Unit};

/// As many rules as a policy may have.
const RULES: u64 = 10_000;
/// For so many changes of the binary form, one of each other, which takes several times as long.
const OTHERS_EVERY: u64 = 5;

/// Changes of all forms.
pub(super) fn steps(options: &Options) -> u64 {
    options.large_reloads + 2 * options.large_reloads.div_ceil(OTHERS_EVERY)
}

pub(super) async fn measure(options: &Options, progress: &Progress) -> Result<Outcome, MeasureError> {
    let bootstrap = shipped()?;
    let policy = bootstrap.current_policy();
    let version = |version| with_rules(policy.clone(), version, RULES);
    let (as_binary, of_binary) = binary(&bootstrap, options.large_reloads, progress, version).await?;
    let others = options.large_reloads.div_ceil(OTHERS_EVERY);
    let text = |number| bootstrap.clone().policy_text(&version(number).to_string());
    let (as_text, of_text) = form(others, progress, text).await?;
    let (as_struct, of_struct) = form(others, progress, |number| bootstrap.clone().policy(version(number))).await?;
    let load = of_binary.and(of_text).and(of_struct);
    let at = |took: &[f64], share| quantile(took, share).ok_or(MeasureError::Nothing("no policy was changed"));
    let says = "the same with 10,000 rules, in binary form, p99";
    let figures = vec![
        Figure::new("reload_10000_rules_p99_ms", says, at(&as_binary, 0.99)?, Unit::Millis).goal(Goal::Below(100.0)),
        Figure::new("reload_10000_rules_p50_ms", "· median", at(&as_binary, 0.5)?, Unit::Millis),
        Figure::new("reload_10000_rules_text_p50_ms", "· as text in JSON, median", at(&as_text, 0.5)?, Unit::Millis),
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
) -> Result<(Vec<f64>, Summary), MeasureError> {
    let mut changing = Changing::start(put(1), operation::<RULES>, "x-ackguard", ALONE).await?;
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..count {
        let next = put(changing.next()).extension()?;
        took.push(changing.change(&next).await?);
        progress.step();
    }
    Ok((millis(&took), changing.stop().await))
}

/// The same in binary form.
async fn binary(
    bootstrap: &Bootstrap,
    count: u64,
    progress: &Progress,
    version: impl Fn(u64) -> Value,
) -> Result<(Vec<f64>, Summary), MeasureError> {
    let folder = TempDir::new().map_err(|source| system("a folder for policies", source))?;
    let resource = folder.path().join("ecds/ackguard.pb");
    move_into_place(&resource, &render(folder.path(), &version(1)).await?)?;
    let bootstrap = bootstrap.clone().extension_from(&resource);
    let mut changing = Changing::start(bootstrap, operation::<RULES>, "x-ackguard", ALONE).await?;
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..count {
        let next = render(folder.path(), &version(changing.next())).await?;
        took.push(changing.change_by(|_| move_into_place(&resource, &next)).await?);
        progress.step();
    }
    Ok((millis(&took), changing.stop().await))
}

/// What `ackguard render --binary` makes of a policy, whose file it finds in `folder`.
async fn render(folder: &Path, policy: &Value) -> Result<Vec<u8>, MeasureError> {
    let file = folder.join("policy.json");
    fs::write(&file, policy.to_string()).map_err(|source| system("a policy", source))?;
    let mut command = Command::new(program("ackguard").map_err(StartFailure::from)?);
    command.arg("render").arg(&file).args(["--binary", "--module"]).arg(wasm());
    let output = command.output().await.map_err(|source| system("ackguard", source))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(system("ackguard render", std::io::Error::other(why)))
}

fn system(what: &str, source: std::io::Error) -> MeasureError {
    MeasureError::System { what: what.to_owned(), source }
}
