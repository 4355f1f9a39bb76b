//! How much later an ack is answered, at half of the load that Envoy bears without a filter. All listeners are one Envoy's with
//! one worker, on a processor of its own; the load and the upstream are one thread on another, so that neither waits for the
//! other to be woken.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::exchange::Exchange;
use super::super::quantiles::Spread;
use super::super::turns::{Rounds, in_turns};
use super::super::way::listeners;
use super::super::{Figure, Goal, Options, Outcome, Unit};
use super::{ALIKE, FIT};
use crate::measure::{Filter, MeasureError, Processors, Progress, Site};
use crate::open_loop::{Lanes, Turn, at_once, even, poisson};
use crate::steady::Summary;

/// Connections of each cell: so many that a request finds one free but where Envoy has stopped for milliseconds.
const CONNECTIONS: usize = 32;
/// The share of what Envoy bears.
const SHARE: f64 = 0.5;
/// What AckGuard may add, in milliseconds.
const GOAL: Goal = Goal::AtMost(0.2);
/// How far the control may be from what it is a copy of, however little that takes, in milliseconds: a quarter of the goal.
const FIT_MILLIS: f64 = 0.05;

/// Where acks are sent.
#[derive(Debug, Clone, Copy)]
enum Side {
    /// To the upstream, without Envoy: what the load itself is late with.
    Direct,
    Bare,
    /// The same as [`Side::Bare`].
    Control,
    Noop,
    /// AckGuard with the shipped policy.
    AckGuard,
}

/// When.
#[derive(Debug, Clone, Copy)]
enum Arrivals {
    /// Each as long after the other: as a rule none meets another.
    Even,
    /// As those of many clients are: some wait for others, the longer the nearer Envoy is to what it bears.
    Poisson,
}

/// Which acks.
type At = (Arrivals, Side);
/// A figure's key, and what a reader is told of it.
type Told = (&'static str, &'static str);

impl Side {
    const ALL: [Self; 5] = [Self::Direct, Self::Bare, Self::Control, Self::Noop, Self::AckGuard];

    /// Its listener.
    fn way(self) -> Option<(&'static str, Filter)> {
        match self {
            Self::Direct => None,
            Self::Bare => Some(("none", Filter::None)),
            Self::Control => Some(("control", Filter::None)),
            Self::Noop => Some(("noop", Filter::Noop)),
            Self::AckGuard => Some(("ackguard", Filter::AckGuard(|_| ()))),
        }
    }

    async fn address(self, site: &Site) -> Result<SocketAddr, MeasureError> {
        match self.way() {
            Some((way, _)) => site.address(way).await,
            None => Ok(site.upstream()),
        }
    }
}

impl Arrivals {
    const ALL: [Self; 2] = [Self::Even, Self::Poisson];
}

/// A turn has as many acks as its 99th percentile takes, and no more: there are many, so that those in which the machine did
/// something else for a millisecond are few.
fn turn(options: &Options) -> Duration {
    options.round / 25
}

pub(super) fn rounds(options: &Options) -> u32 {
    options.rounds * 16
}

pub(super) async fn measure(
    options: &Options,
    processors: Option<Processors>,
    progress: &Progress,
) -> Result<Outcome, MeasureError> {
    let ways = Side::ALL.into_iter().filter_map(Side::way).collect();
    let site = Site::on_processor(listeners(ways)?, processors).await?;
    let mut groups = Vec::new();
    for arrivals in Arrivals::ALL {
        let mut cells = Vec::new();
        for side in Side::ALL {
            cells.push(Cell { arrivals, lanes: open(side.address(&site).await?).await? });
        }
        groups.push(cells);
    }
    let time = turn(options);
    let mut bare = open(Side::Bare.address(&site).await?).await?;
    let (mut borne, mut load) = (Vec::new(), Summary::default());
    let turn = async |cell: &mut Cell, round: u32| {
        // Each round anew: half of what Envoy bears is more where the processors are faster.
        if borne.len() <= round as usize {
            let turn = bare.turn(at_once(time)).await?;
            borne.push(turn.per_second());
            load = std::mem::take(&mut load).and(turn.load);
        }
        let turn = cell.turn(borne[round as usize] * SHARE, time, round).await?;
        let took = Took { p50: turn.millis(0.5), p99: turn.millis(0.99) };
        load = std::mem::take(&mut load).and(turn.load);
        Ok(took)
    };
    let rounds = in_turns(&mut groups, rounds(options), progress, turn).await?;
    // The first is of the round that warms up.
    let borne = borne.into_iter().skip(1).collect();
    Measured { borne, rounds: Rounds::of_one_part(rounds), load }.outcome()
}

/// Where, of all cells, those acks are.
fn place((arrivals, side): At) -> usize {
    arrivals as usize * Side::ALL.len() + side as usize
}

/// What sends acks to `address`.
async fn open(address: SocketAddr) -> Result<Lanes, MeasureError> {
    let system = |source| MeasureError::System { what: format!("connections to {address}"), source };
    Lanes::open(address, CONNECTIONS, Exchange::Ack.asked().await).await.map_err(system)
}

/// What has a turn in each round.
struct Cell {
    arrivals: Arrivals,
    lanes: Lanes,
}

impl Cell {
    async fn turn(&mut self, rate: f64, time: Duration, round: u32) -> Result<Turn, MeasureError> {
        match self.arrivals {
            Arrivals::Even => self.lanes.turn(even(rate, time)).await,
            // Sides whose difference is looked for have the same schedule.
            Arrivals::Poisson => self.lanes.turn(poisson(rate, time, round.into())).await,
        }
    }
}

/// How long the acks of a turn took, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Took {
    p50: f64,
    p99: f64,
}

/// What was measured of all cells.
struct Measured {
    /// Acks a second that Envoy bears without a filter, by round.
    borne: Vec<f64>,
    rounds: Rounds<Took>,
    load: Summary,
}

impl Measured {
    fn outcome(self) -> Result<Outcome, MeasureError> {
        use Arrivals::{Even, Poisson};
        use Side::{AckGuard, Bare, Control, Direct, Noop};
        let p50 = |took: Took| took.p50;
        let p99 = |took: Took| took.p99;
        let says = "· control: bare over bare, p99";
        let control = self.added(("latency_control_p99_added_ms", says), (Even, Control), p99)?;
        let bare = self.whole(("latency_bare_p99_ms", "· a bare ack, p99"), (Even, Bare), p99)?;
        let bound = (FIT * bare.value).max(FIT_MILLIS);
        let control = control.goal(Goal::Within(-bound, bound));
        let is_fit = control.is_met() != Some(false);
        let says = "added to an ack at half of the load that Envoy bears, p99";
        let figures = vec![
            self.added(("p99_added_ms", says), (Even, AckGuard), p99)?.goal(GOAL),
            self.added(("p50_added_ms", "· median"), (Even, AckGuard), p50)?,
            self.added(("latency_noop_p99_added_ms", "· by a no-op filter, p99"), (Even, Noop), p99)?,
            control,
            self.whole(("latency_p99_ms", "· an ack with AckGuard, p99"), (Even, AckGuard), p99)?,
            self.whole(("latency_p50_ms", "· an ack with AckGuard, median"), (Even, AckGuard), p50)?,
            bare,
            self.whole(("latency_bare_p50_ms", "· a bare ack, median"), (Even, Bare), p50)?,
            self.whole(("latency_direct_p99_ms", "· an ack without Envoy, p99"), (Even, Direct), p99)?,
            self.added(("p99_added_poisson_ms", "the same with Poisson arrivals, p99"), (Poisson, AckGuard), p99)?
                .goal(GOAL),
            self.added(("latency_noop_p99_added_poisson_ms", "· by a no-op filter, p99"), (Poisson, Noop), p99)?,
            self.added(
                ("latency_control_p99_added_poisson_ms", "· control: bare over bare, p99"),
                (Poisson, Control),
                p99,
            )?,
            self.whole(("latency_p99_poisson_ms", "· an ack with AckGuard, p99"), (Poisson, AckGuard), p99)?,
            self.whole(("latency_bare_p99_poisson_ms", "· a bare ack, p99"), (Poisson, Bare), p99)?,
            self.acks(("latency_borne_per_s", "· acks a second that Envoy bears bare"), 1.0)?,
            self.acks(("latency_planned_per_s", "· acks a second that were planned"), SHARE)?,
            self.rounds.count("latency_rounds"),
            Figure::failed("latency_failed", self.load.failed),
        ];
        Ok(Outcome::new(figures, &self.load).fit_if(is_fit, ALIKE))
    }

    /// A `share` of what Envoy bears.
    fn acks(&self, (key, says): Told, share: f64) -> Result<Figure, MeasureError> {
        let acks: Vec<f64> = self.borne.iter().map(|borne| borne * share).collect();
        let acks = Spread::of(&acks).ok_or(MeasureError::Nothing("no round"))?;
        Ok(Figure::of_rounds(key, says, acks, Unit::Count))
    }

    /// How long an ack takes.
    fn whole(&self, told: Told, at: At, of: fn(Took) -> f64) -> Result<Figure, MeasureError> {
        self.figure(told, |round| of(round[place(at)]))
    }

    /// How much longer than bare.
    fn added(&self, told: Told, (arrivals, side): At, of: fn(Took) -> f64) -> Result<Figure, MeasureError> {
        self.figure(told, |round| of(round[place((arrivals, side))]) - of(round[place((arrivals, Side::Bare))]))
    }

    fn figure(&self, (key, says): Told, of: impl Fn(&[Took]) -> f64) -> Result<Figure, MeasureError> {
        Ok(Figure::of_rounds(key, says, self.rounds.spread(of)?, Unit::Millis))
    }
}
