//! The broker is killed under load, again and again, and everything that it ever answered is held against it.
//!
//! A run has one directory. Each cycle starts the program on it, loads it with producers and consumers of every kind,
//! and kills it after a random short while, sometimes as it starts. The clients outlive it: they keep their consumers'
//! ids, their receipts and what was not answered. In the end every message is consumed, and each one has to have met
//! exactly one end in each group.
//!
//! `TMQ_CRASH_SEED` repeats the choices of a run (not its timing), `TMQ_CRASH_CYCLES` is how often each of the two
//! semantics' brokers is killed.

mod churn;
mod client;
mod consumer;
mod deadline;
mod history;
mod ledger;
mod process;
mod producer;
#[path = "../http/program.rs"]
#[expect(dead_code, reason = "a start may end otherwise here")]
mod program;
mod run;
mod stage;
mod transactions;
mod workload;

use std::str::FromStr;

use run::{Keep, Options, Summary};
use tmq_broker::Semantics;

/// How often each broker is killed under load where nothing else is asked for.
const CYCLES: u32 = 100;

fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

async fn crash(semantics: Semantics) {
    let seed = setting("TMQ_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    let cycles = setting("TMQ_CRASH_CYCLES").unwrap_or(CYCLES);
    let ended = run::run(Options { seed, cycles, semantics, keep: Keep::Disk }).await;
    let summary: Summary = ended.unwrap_or_else(|violation| panic!("{violation}"));
    eprintln!("{semantics} semantics: {summary}");
}

#[tokio::test]
async fn the_fixed_broker_keeps_its_word() {
    crash(Semantics::Fixed).await;
}

#[tokio::test]
async fn the_legacy_broker_keeps_its_word() {
    crash(Semantics::Legacy).await;
}

/// A run would be worth nothing if it could not fail.
#[tokio::test]
async fn a_broker_that_forgets_is_found_out() {
    let options = Options { seed: 7, cycles: 1, semantics: Semantics::Fixed, keep: Keep::Memory };
    let violation = run::run(options).await.expect_err("a broker in memory loses everything");
    assert!(violation.contains("lost: "), "{violation}");
}
