//! What a request of each kind costs Envoy: bare, and with each filter that AckGuard is compared with. All are listeners of the
//! same Envoy with one worker, on a processor of its own.

use serde_json::{Value, json};

use super::super::cells::{ACKGUARD, BARE, COUNTED, Cells, NOOP, common};
use super::super::exchange::Exchange;
use super::super::turns::Plan;
use super::super::{Figure, Goal, Options, Outcome};
use super::{ALIKE, FIT};
use crate::measure::{Filter, MeasureError, Processors, Progress, token_bucket};

/// More than any round asks for, a second.
const PLENTY: u32 = 1_000_000;

/// The same as [`BARE`].
const CONTROL: &str = "control";
/// What tells how alike they are.
const CONTROLLED: &str = "control_vs_bare";
/// Envoy's own limit, whose bucket has plenty.
const NATIVE: &str = "local_ratelimit";
const LUA: &str = "lua";
/// AckGuard with a limit by tenant on every operation, of which plenty is left.
const LIMITED: &str = "ackguard_limit";
/// Those two with a bucket that is empty.
const NATIVE_EMPTY: &str = "local_ratelimit_empty";
const LIMITED_EMPTY: &str = "ackguard_limit_empty";

/// Which exchanges are measured where. What a no-op filter adds is little: where something is told as so many times that, both
/// sides of it have three turns in a round, or it would not be known well enough.
const CELLS: [(Exchange, &[&str]); 7] = [
    (Exchange::Ack, &[BARE, BARE, BARE, CONTROL, NOOP, NOOP, NOOP, LUA, ACKGUARD, COUNTED, LIMITED]),
    (Exchange::Pull, &[BARE, BARE, BARE, NOOP, NOOP, NOOP, LUA, ACKGUARD, COUNTED, LIMITED]),
    (Exchange::Subscribe, &[BARE, NOOP, LUA, ACKGUARD, LIMITED]),
    (Exchange::Publish, &[BARE, NOOP, NATIVE, LUA, ACKGUARD, LIMITED]),
    (Exchange::PullBatch, &[BARE, NOOP, ACKGUARD, COUNTED]),
    (Exchange::Unmatched, &[BARE, BARE, BARE, NOOP, NOOP, NOOP, LUA, ACKGUARD]),
    (Exchange::Refused, &[NATIVE_EMPTY, LIMITED_EMPTY]),
];

/// Envoys at least, each of which has its part of the rounds.
const ENVOYS: u32 = 30;

/// What the others have is to be told from little, so there are many rounds; turns are short, so that what the machine does
/// meanwhile meets all sides of a round.
pub(super) fn plan(options: &Options) -> Plan {
    Plan { rounds: options.turns, parts: ENVOYS, turn: options.turn, patience: options.patience }
}

pub(super) async fn measure(
    options: &Options,
    processors: Option<Processors>,
    progress: &Progress,
) -> Result<Outcome, MeasureError> {
    let (cells, load) = Cells::measure(ways, &CELLS, plan(options), figures, processors, progress).await?;
    let mut figures = figures(&cells)?;
    let is_fit = figures.iter().all(|figure| figure.key != CONTROLLED || figure.is_met() != Some(false));
    figures.extend([cells.count("cost_rounds"), Figure::failed("cost_failed", load.failed)]);
    let outcome = Outcome { costs: cells.costs()?, ..Outcome::new(figures, &load) };
    Ok(outcome.fit_if(is_fit, ALIKE))
}

fn figures(cells: &Cells) -> Result<Vec<Figure>, MeasureError> {
    let control = cells.whole(CONTROLLED, "control: bare over bare, an ack", Exchange::Ack, CONTROL, BARE)?;
    Ok(vec![
        control.goal(Goal::Within(1.0 - FIT, 1.0 + FIT)),
        cells
            .added("ack_vs_noop", "added to an ack, over what a no-op filter adds", Exchange::Ack, ACKGUARD, NOOP)?
            .goal(Goal::AtMost(2.0)),
        cells
            .added("pull_vs_noop", "added to a pull, over a no-op filter", Exchange::Pull, ACKGUARD, NOOP)?
            .goal(Goal::AtMost(2.0)),
        cells
            .added(
                "unmatched_vs_noop",
                "added to other traffic, over a no-op filter",
                Exchange::Unmatched,
                ACKGUARD,
                NOOP,
            )?
            .goal(Goal::AtMost(1.15)),
        cells
            .added(
                "subscribe_vs_lua",
                "added to a subscribe, over Lua that checks the same",
                Exchange::Subscribe,
                LIMITED,
                LUA,
            )?
            .goal(Goal::AtMost(1.0)),
        cells
            .added("ack_vs_lua", "added to an ack, over Lua that checks the same", Exchange::Ack, LIMITED, LUA)?
            .goal(Goal::AtMost(1.0)),
        cells.whole(
            "limited_vs_local_ratelimit",
            "a publish with AckGuard and a limit, over local_ratelimit's",
            Exchange::Publish,
            LIMITED,
            NATIVE,
        )?,
        cells.whole(
            "refused_vs_local_ratelimit",
            "a publish that is refused, over local_ratelimit's",
            Exchange::Refused,
            LIMITED_EMPTY,
            NATIVE_EMPTY,
        )?,
    ])
}

fn ways() -> Vec<(&'static str, Filter)> {
    let more = vec![
        (CONTROL, Filter::None),
        (NATIVE, Filter::LocalRateLimit(token_bucket(PLENTY, PLENTY, "1s"))),
        (LUA, Filter::Lua),
        (LIMITED, Filter::AckGuard(|policy| policy["limits"] = limit(&format!("{PLENTY}/s"), PLENTY))),
        (NATIVE_EMPTY, Filter::LocalRateLimit(token_bucket(1, 1, "3600s"))),
        (LIMITED_EMPTY, Filter::AckGuard(|policy| policy["limits"] = limit("1/h", 1))),
    ];
    common().into_iter().chain(more).collect()
}

fn limit(rate: &str, burst: u32) -> Value {
    let operations = ["subscribe", "publish", "pull", "ack"];
    json!([{ "name": "by-tenant", "operations": operations, "key": ["tenant"], "rate": rate, "burst": burst }])
}
