//! Sides that are measured in turns.

use std::sync::Arc;
use std::time::Duration;

use super::quantiles::Spread;
use crate::cpu;
use crate::measure::{MeasureError, Progress, Site};
use crate::steady::{Connection, Load, Summary, Traffic};

/// One of them: connections to a site, and what is sent on them.
#[derive(Debug)]
pub(super) struct Side {
    site: Arc<Site>,
    traffic: Traffic,
    connections: Vec<Connection>,
    load: Summary,
}

/// What the rounds came to.
#[derive(Debug)]
pub(super) struct Rounds {
    /// CPU time of Envoy for each request in microseconds, by round and by side.
    spent: Vec<Vec<f64>>,
    /// What went wrong at any.
    pub(super) load: Summary,
}

impl Side {
    /// `site`, which serves version 1 or none, under `traffic` on `connections`.
    pub(super) fn new(site: Arc<Site>, connections: Vec<Connection>, traffic: Traffic) -> Self {
        Self { site, traffic, connections, load: Summary::default() }
    }

    /// Its part of a round: the CPU time of Envoy for each request that it answered in `time`, in microseconds.
    async fn round(&mut self, time: Duration) -> Result<f64, MeasureError> {
        let pid = self.site.envoy.pid();
        let gone = || MeasureError::Nothing("Envoy has ended");
        let before = cpu::precise(pid).ok_or_else(gone)?;
        let load = Load::start(std::mem::take(&mut self.connections), self.traffic, 1);
        tokio::time::sleep(time).await;
        let (summary, connections) = load.stop().await;
        let spent = cpu::precise(pid).ok_or_else(gone)?.saturating_sub(before);
        self.connections = connections;
        let answers: u64 = summary.answers.iter().sum();
        self.load = std::mem::take(&mut self.load).and(summary);
        if answers == 0 {
            let first = self.load.faults.first().map(ToString::to_string);
            return Err(MeasureError::Unanswered(first.unwrap_or_else(|| "no time".to_owned())));
        }
        Ok(spent.as_secs_f64() * 1e6 / answers as f64)
    }
}

/// Measures `sides` in `rounds` rounds of turns of `time`.
pub(super) async fn measure(
    mut sides: Vec<Side>,
    rounds: u32,
    time: Duration,
    progress: &Progress,
) -> Result<Rounds, MeasureError> {
    let spent = in_turns(&mut sides, rounds, progress, async |side| side.round(time).await).await?;
    let load = sides.into_iter().fold(Summary::default(), |load, side| load.and(side.load));
    Ok(Rounds { spent, load })
}

/// Gives each of `sides` a `turn` in each of `rounds` rounds, after one that warms up; the first turn is another's each round.
/// Returns what came of them, by round and by side.
pub(super) async fn in_turns<S, T>(
    sides: &mut [S],
    rounds: u32,
    progress: &Progress,
    mut turn: impl AsyncFnMut(&mut S) -> Result<T, MeasureError>,
) -> Result<Vec<Vec<T>>, MeasureError> {
    let mut all = Vec::new();
    for number in 0..=rounds {
        let first = number as usize % sides.len();
        let mut round = Vec::new();
        for place in (first..sides.len()).chain(0..first) {
            round.push(turn(&mut sides[place]).await?);
        }
        if number > 0 {
            round.rotate_right(first);
            all.push(round);
            progress.step();
        }
    }
    Ok(all)
}

/// How what `of` makes of a round is spread over `rounds`.
pub(super) fn spread<T>(rounds: &[Vec<T>], of: impl Fn(&[T]) -> f64) -> Result<Spread, MeasureError> {
    let values: Vec<f64> = rounds.iter().map(|round| of(round)).collect();
    Spread::of(&values).ok_or(MeasureError::Nothing("no round"))
}

impl Rounds {
    /// What a request cost at `side`, in microseconds.
    pub(super) fn micros(&self, side: usize) -> Result<Spread, MeasureError> {
        self.spread(|spent| spent[side])
    }

    /// What it cost more at `side` than at `base`.
    pub(super) fn added(&self, side: usize, base: usize) -> Result<Spread, MeasureError> {
        self.spread(|spent| spent[side] - spent[base])
    }

    /// What it cost at `side` over what it cost at `base`, of the same round.
    pub(super) fn ratio(&self, side: usize, base: usize) -> Result<Spread, MeasureError> {
        self.spread(|spent| spent[side] / spent[base])
    }

    /// The same, but for the middle: the ratio of the means of all rounds, where something that comes once in many rounds
    /// belongs to the cost.
    pub(super) fn mean_ratio(&self, side: usize, base: usize) -> Result<Spread, MeasureError> {
        let sum = |side: usize| self.spent.iter().map(|spent| spent[side]).sum::<f64>();
        Ok(Spread { median: sum(side) / sum(base), ..self.ratio(side, base)? })
    }

    /// What it cost more at the first of `sides` than at the second, over the same of `others`. The median is of the differences:
    /// those of one round may be near nothing, which nothing can be divided by; the quartiles are of the rounds.
    pub(super) fn added_ratio(&self, sides: (usize, usize), others: (usize, usize)) -> Result<Spread, MeasureError> {
        let more = |spent: &[f64], (side, base): (usize, usize)| spent[side] - spent[base];
        let rounds = self.spread(|spent| more(spent, sides) / more(spent, others))?;
        let median = self.added(sides.0, sides.1)?.median / self.added(others.0, others.1)?.median;
        Ok(Spread { median, ..rounds })
    }

    fn spread(&self, of: impl Fn(&[f64]) -> f64) -> Result<Spread, MeasureError> {
        spread(&self.spent, of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_round_but_the_first_is_told_by_side_and_begins_with_another() {
        let progress = Progress::begin("turns", 2);
        let mut sides = ["a", "b", "c"];
        let mut order = String::new();
        let turn = async |side: &mut &'static str| {
            order += side;
            Ok(*side)
        };
        let rounds = in_turns(&mut sides, 2, &progress, turn).await.unwrap();
        assert_eq!(order, "abcbcacab");
        assert_eq!(rounds, [["a", "b", "c"]; 2]);
    }
}
