//! Sides whose cost is compared: each is an Envoy's listener, and what sends requests to it.

use std::sync::Arc;
use std::time::Duration;

use super::Figure;
use super::turns::{Plan, Rounds, in_parts, in_turns};
use crate::cpu;
use crate::measure::{MeasureError, Progress, Site};
use crate::open_loop::{Lanes, at_once};
use crate::steady::{Connection, Load, Summary, Traffic};

/// How long Envoy has to come to rest after the last answer. The kernel adds up a thread's time when the thread leaves the
/// processor, or at a tick of some milliseconds: that of one which is at work is too little.
const SETTLE: Duration = Duration::from_millis(1);

/// One of them: a site, and what sends requests to it.
#[derive(Debug)]
pub(super) struct Side {
    site: Arc<Site>,
    sender: Sender,
    load: Summary,
}

/// What sends requests.
#[derive(Debug)]
pub(super) enum Sender {
    /// One that costs little: it sends the same ever again, and each as soon as there is an answer before.
    Lanes(Lanes),
    /// One for requests that differ, or have pauses between them.
    Traffic(Traffic, Vec<Connection>),
}

/// What was measured of sides.
#[derive(Debug)]
pub(super) struct Measured {
    /// CPU time of Envoy for each request in microseconds.
    pub(super) spent: Rounds<f64>,
    /// What went wrong at any.
    pub(super) load: Summary,
}

impl Side {
    /// `site`, which serves version 1 or none, and to which `sender` sends.
    pub(super) fn new(site: Arc<Site>, sender: Sender) -> Self {
        Self { site, sender, load: Summary::default() }
    }

    /// Its turn: the CPU time of Envoy for each request that it answered in `time`, in microseconds.
    async fn turn(&mut self, time: Duration) -> Result<f64, MeasureError> {
        let pid = self.site.envoy.pid();
        let gone = || MeasureError::Nothing("Envoy has ended");
        let before = cpu::precise(pid).ok_or_else(gone)?;
        let summary = self.sender.send(time).await?;
        tokio::time::sleep(SETTLE).await;
        let spent = cpu::precise(pid).ok_or_else(gone)?.saturating_sub(before);
        let answers: u64 = summary.answers.iter().sum();
        self.load = std::mem::take(&mut self.load).and(summary);
        if answers == 0 {
            let first = self.load.faults.first().map(ToString::to_string);
            return Err(MeasureError::Unanswered(first.unwrap_or_else(|| "no time".to_owned())));
        }
        Ok(spent.as_secs_f64() * 1e6 / answers as f64)
    }
}

impl Sender {
    /// Sends for `time`.
    async fn send(&mut self, time: Duration) -> Result<Summary, MeasureError> {
        match self {
            Self::Lanes(lanes) => Ok(lanes.turn(at_once(time)).await?.load),
            Self::Traffic(traffic, connections) => {
                let load = Load::start(std::mem::take(connections), *traffic, 1);
                tokio::time::sleep(time).await;
                let summary;
                (summary, *connections) = load.stop().await;
                Ok(summary)
            }
        }
    }
}

/// Measures what `sides` starts, group by group, as planned, until the figures that `figures` makes of it are known. Each part starts
/// it anew: an Envoy may be dearer than another that is alike, by a twentieth and more, for as long as it lives, as if it were a
/// matter of what it has put where in memory.
pub(super) async fn measure_anew(
    plan: Plan,
    sides: impl AsyncFn() -> Result<Vec<Vec<Side>>, MeasureError>,
    figures: impl Fn(&Rounds<f64>) -> Result<Vec<Figure>, MeasureError>,
    progress: &Progress,
) -> Result<Measured, MeasureError> {
    let mut load = Summary::default();
    let part = async |rounds| {
        let (spent, of_part) = measure_part(sides().await?, rounds, plan.turn, progress).await?;
        load = std::mem::take(&mut load).and(of_part);
        Ok(spent)
    };
    let spent = in_parts(plan, part, figures).await?;
    Ok(Measured { spent, load })
}

/// Measures `sides`, which are compared with one another, for `rounds` rounds.
pub(super) async fn measure(
    sides: Vec<Side>,
    rounds: u32,
    turn: Duration,
    progress: &Progress,
) -> Result<Measured, MeasureError> {
    let (spent, load) = measure_part(vec![sides], rounds, turn, progress).await?;
    Ok(Measured { spent: Rounds::of_one_part(spent), load })
}

async fn measure_part(
    mut groups: Vec<Vec<Side>>,
    rounds: u32,
    turn: Duration,
    progress: &Progress,
) -> Result<(Vec<Vec<f64>>, Summary), MeasureError> {
    let spent = in_turns(&mut groups, rounds, progress, async |side, _| side.turn(turn).await).await?;
    let load = groups.into_iter().flatten().fold(Summary::default(), |load, side| load.and(side.load));
    Ok((spent, load))
}
