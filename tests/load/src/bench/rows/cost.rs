//! What a request of each kind costs Envoy: bare, and with each filter that AckGuard is compared with. All are listeners of one
//! Envoy with one worker, on a processor of its own.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::exchange::Exchange;
use super::super::rounds::{self, Rounds, Side};
use super::super::way::{Filter, listeners};
use super::super::{Cost, Figure, Goal, Options, Outcome, Unit};
use crate::limits::token_bucket;
use crate::measure::{MeasureError, Progress, Site};
use crate::steady::{Expected, Traffic};

/// Connections to each listener: enough that Envoy has always something to do, or its waking would be measured.
const CONNECTIONS: usize = 8;
/// More than any round asks for, a second.
const PLENTY: u32 = 1_000_000;
/// How far the control may be from what it is a copy of.
const FIT: f64 = 0.05;

const BARE: &str = "none";
/// The same as [`BARE`].
const CONTROL: &str = "control";
const NOOP: &str = "noop";
/// Envoy's own limit, whose bucket has plenty.
const NATIVE: &str = "local_ratelimit";
const LUA: &str = "lua";
/// AckGuard with the shipped policy.
const ACKGUARD: &str = "ackguard";
/// The same with `telemetry: counted`.
const COUNTED: &str = "ackguard_counted";
/// The same with a limit by tenant on every operation, of which plenty is left.
const LIMITED: &str = "ackguard_limit";
/// Those two with a bucket that is empty.
const NATIVE_EMPTY: &str = "local_ratelimit_empty";
const LIMITED_EMPTY: &str = "ackguard_limit_empty";

/// Which exchanges are measured where.
const CELLS: [(Exchange, &[&str]); 8] = [
    (Exchange::Ack, &[BARE, CONTROL, NOOP, LUA, ACKGUARD, COUNTED, LIMITED]),
    (Exchange::Pull, &[BARE, NOOP, LUA, ACKGUARD, COUNTED, LIMITED]),
    (Exchange::Subscribe, &[BARE, NOOP, LUA, ACKGUARD, LIMITED]),
    (Exchange::Publish, &[BARE, NOOP, NATIVE, LUA, ACKGUARD, LIMITED]),
    (Exchange::PullBatch, &[BARE, NOOP, ACKGUARD, COUNTED]),
    (Exchange::PullLarge, &[BARE, NOOP, ACKGUARD, COUNTED]),
    (Exchange::Unmatched, &[BARE, NOOP, LUA, ACKGUARD]),
    (Exchange::Refused, &[NATIVE_EMPTY, LIMITED_EMPTY]),
];

/// A side: what is sent, and where.
type Cell = (Exchange, &'static str);

pub(super) async fn measure(
    options: &Options,
    processor: Option<usize>,
    progress: &Progress,
) -> Result<Outcome, MeasureError> {
    let site = Arc::new(Site::on_processor(listeners(ways())?, processor).await?);
    let cells: Vec<Cell> = CELLS.iter().flat_map(|(exchange, ways)| ways.iter().map(|way| (*exchange, *way))).collect();
    let mut sides = Vec::new();
    for (exchange, way) in &cells {
        sides.push(side(&site, *exchange, way).await?);
    }
    let rounds = rounds::measure(sides, options.rounds, options.turn, progress).await?;
    Measured { cells, rounds }.outcome()
}

fn ways() -> Vec<(&'static str, Filter)> {
    vec![
        (BARE, Filter::None),
        (CONTROL, Filter::None),
        (NOOP, Filter::Noop),
        (NATIVE, Filter::LocalRateLimit(token_bucket(PLENTY, PLENTY, "1s"))),
        (LUA, Filter::Lua),
        (ACKGUARD, Filter::AckGuard(|_| ())),
        (COUNTED, Filter::AckGuard(|policy| policy["telemetry"] = "counted".into())),
        (LIMITED, Filter::AckGuard(|policy| policy["limits"] = limit(&format!("{PLENTY}/s"), PLENTY))),
        (NATIVE_EMPTY, Filter::LocalRateLimit(token_bucket(1, 1, "3600s"))),
        (LIMITED_EMPTY, Filter::AckGuard(|policy| policy["limits"] = limit("1/h", 1))),
    ]
}

fn limit(rate: &str, burst: u32) -> Value {
    let operations = ["subscribe", "publish", "pull", "ack"];
    json!([{ "name": "by-tenant", "operations": operations, "key": ["tenant"], "rate": rate, "burst": burst }])
}

async fn side(site: &Arc<Site>, exchange: Exchange, way: &str) -> Result<Side, MeasureError> {
    let refused = exchange == Exchange::Refused;
    if refused {
        // The one that the bucket holds.
        for mut connection in site.open(way, 1).await? {
            crate::steady::answer(&mut connection, exchange.request()(0)).await.map_err(MeasureError::Request)?;
        }
    }
    let expected = Expected::Status(if refused { 429 } else { 200 });
    let traffic = Traffic { request: exchange.request(), expected, every: Duration::ZERO };
    Ok(Side::new(Arc::clone(site), site.open(way, CONNECTIONS).await?, traffic))
}

/// What was measured of each cell.
struct Measured {
    cells: Vec<Cell>,
    rounds: Rounds,
}

impl Measured {
    fn outcome(self) -> Result<Outcome, MeasureError> {
        let control = self.whole("control_vs_bare", "control: bare over bare, an ack", Exchange::Ack, CONTROL, BARE)?;
        let is_fit = (control.value - 1.0).abs() <= FIT;
        let figures = vec![
            control.goal(Goal::Within(1.0 - FIT, 1.0 + FIT)),
            self.added("ack_vs_noop", "added to an ack, over what a no-op filter adds", Exchange::Ack, ACKGUARD, NOOP)?
                .goal(Goal::AtMost(2.0)),
            self.added("pull_vs_noop", "added to a pull, over a no-op filter", Exchange::Pull, ACKGUARD, NOOP)?
                .goal(Goal::AtMost(2.0)),
            self.added(
                "unmatched_vs_noop",
                "added to other traffic, over a no-op filter",
                Exchange::Unmatched,
                ACKGUARD,
                NOOP,
            )?
            .goal(Goal::AtMost(1.15)),
            self.added(
                "subscribe_vs_lua",
                "added to a subscribe, over Lua that checks the same",
                Exchange::Subscribe,
                LIMITED,
                LUA,
            )?
            .goal(Goal::AtMost(1.0)),
            self.added("ack_vs_lua", "added to an ack, over Lua that checks the same", Exchange::Ack, LIMITED, LUA)?
                .goal(Goal::AtMost(1.0)),
            self.whole(
                "limited_vs_local_ratelimit",
                "a publish with AckGuard and a limit, over local_ratelimit's",
                Exchange::Publish,
                LIMITED,
                NATIVE,
            )?,
            self.whole(
                "refused_vs_local_ratelimit",
                "a publish that is refused, over local_ratelimit's",
                Exchange::Refused,
                LIMITED_EMPTY,
                NATIVE_EMPTY,
            )?,
            self.whole(
                "pull_1mib_vs_bare",
                "a pull that brings a MiB, over bare",
                Exchange::PullLarge,
                ACKGUARD,
                BARE,
            )?
            .goal(Goal::AtMost(1.1)),
            Figure::failed("cost_failed", self.rounds.load.failed),
        ];
        let cost = |(place, (exchange, way)): (usize, &Cell)| {
            self.rounds.micros(place).map(|micros| Cost { exchange: exchange.name(), way, micros })
        };
        let costs = self.cells.iter().enumerate().map(cost).collect::<Result<_, _>>()?;
        Ok(Outcome { costs, is_fit, ..Outcome::new(figures, &self.rounds.load) })
    }

    /// A request's whole cost at `way` over that at `base`.
    fn whole(
        &self,
        key: &'static str,
        says: &'static str,
        exchange: Exchange,
        way: &'static str,
        base: &'static str,
    ) -> Result<Figure, MeasureError> {
        let ratio = self.rounds.ratio(self.place(exchange, way)?, self.place(exchange, base)?)?;
        Ok(Figure::of_rounds(key, says, ratio, Unit::Ratio))
    }

    /// What `way` adds to the bare request over what `other` does.
    fn added(
        &self,
        key: &'static str,
        says: &'static str,
        exchange: Exchange,
        way: &'static str,
        other: &'static str,
    ) -> Result<Figure, MeasureError> {
        let [way, other, bare] =
            [self.place(exchange, way)?, self.place(exchange, other)?, self.place(exchange, BARE)?];
        Ok(Figure::of_rounds(key, says, self.rounds.added_ratio(way, other, bare)?, Unit::Ratio))
    }

    fn place(&self, exchange: Exchange, way: &'static str) -> Result<usize, MeasureError> {
        self.cells.iter().position(|cell| *cell == (exchange, way)).ok_or(MeasureError::Nothing("that side"))
    }
}
