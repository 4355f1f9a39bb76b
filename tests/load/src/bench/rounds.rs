//! Sides that are measured in turns.

use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::quantiles::Spread;
use super::{Figure, Options};
use crate::cpu;
use crate::measure::{MeasureError, Pace, Progress, Site};
use crate::open_loop::{Lanes, at_once};
use crate::steady::{Connection, Load, Summary, Traffic};

/// What is said where the control differs from what it is a copy of.
pub(super) const ALIKE: &str = "two listeners that are alike differ by more than what is looked for";

/// How long Envoy has to come to rest after the last answer. The kernel adds up a thread's time when the thread leaves the
/// processor, or at a tick of some milliseconds: that of one which is at work is too little.
const SETTLE: Duration = Duration::from_millis(1);

/// The part of its rounds, a third, that a row has whatever others do to the processors. Those beyond it are left out once the
/// row has waited as long as it may: fewer rounds tell more than many that were disturbed.
const LEAST: u32 = 3;

/// How many there are, besides the one that warms up, and how long each side has in each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) rounds: u32,
    pub(super) turn: Duration,
}

impl Plan {
    /// So many `times` the rounds of a comparison of few sides, of a tenth of its turns: a processor is seldom left alone for long.
    pub(super) fn of_short_turns(options: &Options, times: u32) -> Self {
        Self { rounds: options.rounds * times, turn: options.round / 10 }
    }

    /// It in `count` parts that are alike, or in as many as it has rounds, where they are fewer.
    fn parts(self, count: u32) -> impl ExactSizeIterator<Item = Self> {
        let count = count.min(self.rounds);
        let until = move |part: u32| (u64::from(self.rounds) * u64::from(part) / u64::from(count)) as u32;
        (0..count).map(move |part| Self { rounds: until(part + 1) - until(part), ..self })
    }
}

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

/// What the rounds came to.
#[derive(Debug)]
pub(super) struct Rounds {
    /// CPU time of Envoy for each request in microseconds, by round and by side.
    spent: Vec<Vec<f64>>,
    /// What went wrong at any.
    pub(super) load: Summary,
}

impl Side {
    /// `site`, which serves version 1 or none, and to which `sender` sends.
    pub(super) fn new(site: Arc<Site>, sender: Sender) -> Self {
        Self { site, sender, load: Summary::default() }
    }

    /// Its part of a round: the CPU time of Envoy for each request that it answered in `time`, in microseconds.
    async fn round(&mut self, time: Duration) -> Result<f64, MeasureError> {
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

/// Measures what `sides` starts, as planned, in `parts` that each start it anew: an Envoy may be dearer than another that is alike,
/// by a twentieth and more, for as long as it lives, as if it were a matter of what it has put where in memory.
pub(super) async fn measure_anew(
    parts: u32,
    sides: impl AsyncFn() -> Result<Vec<Side>, MeasureError>,
    plan: Plan,
    pace: &mut Pace,
    progress: &Progress,
) -> Result<Rounds, MeasureError> {
    let mut load = Summary::default();
    let part = async |part, pace: &mut Pace| {
        let rounds = measure(sides().await?, part, pace, progress).await?;
        load = std::mem::take(&mut load).and(rounds.load);
        Ok(rounds.spent)
    };
    let spent = in_parts(parts, plan, pace, part).await?;
    Ok(Rounds { spent, load })
}

/// The rounds of all `parts` of the plan, which share the patience; `measure` has those of one.
pub(super) async fn in_parts<T>(
    parts: u32,
    plan: Plan,
    pace: &mut Pace,
    mut measure: impl AsyncFnMut(Plan, &mut Pace) -> Result<Vec<T>, MeasureError>,
) -> Result<Vec<T>, MeasureError> {
    let mut rounds = Vec::new();
    let mut parts = plan.parts(parts);
    while let Some(part) = parts.next() {
        pace.begin_part(parts.len() + 1);
        rounds.extend(measure(part, pace).await?);
    }
    Ok(rounds)
}

/// Measures `sides` as planned.
pub(super) async fn measure(
    mut sides: Vec<Side>,
    plan: Plan,
    pace: &mut Pace,
    progress: &Progress,
) -> Result<Rounds, MeasureError> {
    let spent = in_turns(&mut sides, plan.rounds, pace, progress, async |side, _| side.round(plan.turn).await).await?;
    let load = sides.into_iter().fold(Summary::default(), |load, side| load.and(side.load));
    Ok(Rounds { spent, load })
}

/// Gives each of `sides` a `turn` in each of `rounds` rounds, after one that warms up, in an order that is another each round:
/// whatever a side leaves behind meets all others. A turn is told which round it is, and is taken again where the processors were
/// disturbed. Once that may be no more, there are no more rounds, as long as there is a third of them.
/// Returns what came of them, by round and by side.
pub(super) async fn in_turns<S, T>(
    sides: &mut [S],
    rounds: u32,
    pace: &mut Pace,
    progress: &Progress,
    mut turn: impl AsyncFnMut(&mut S, u32) -> Result<T, MeasureError>,
) -> Result<Vec<Vec<T>>, MeasureError> {
    let mut all = Vec::new();
    let mut order: Vec<usize> = (0..sides.len()).collect();
    for number in 0..=rounds {
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(number.into()));
        let mut round = Vec::new();
        for place in &order {
            if pace.is_over() && number > rounds.div_ceil(LEAST) {
                return Ok(all);
            }
            let side = &mut sides[*place];
            round.push((*place, pace.undisturbed(async || turn(side, number).await).await?));
        }
        if number > 0 {
            round.sort_unstable_by_key(|(place, _)| *place);
            all.push(round.into_iter().map(|(_, outcome)| outcome).collect());
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
    /// These with fewer sides: `sides` says of each of the present ones to which it belongs, of which it then has the mean.
    pub(super) fn merge(self, sides: &[usize]) -> Self {
        let mean = |side: usize, spent: &[f64]| {
            let of_it = || sides.iter().zip(spent).filter(|(of, _)| **of == side).map(|(_, spent)| spent);
            of_it().sum::<f64>() / of_it().count() as f64
        };
        let count = sides.iter().max().map_or(0, |last| last + 1);
        let merge = |spent: Vec<f64>| (0..count).map(|side| mean(side, &spent)).collect();
        Self { spent: self.spent.into_iter().map(merge).collect(), load: self.load }
    }

    /// How many there are, as the figure `key`.
    pub(super) fn count(&self, key: &'static str) -> Figure {
        Figure::rounds(key, self.spent.len())
    }

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

    /// What it cost more at the first of `sides` than at the second, over the same of `others`, of the same round. It is more than
    /// anything where `others` do not differ as they should: the median does not change with how little they differ.
    pub(super) fn added_ratio(&self, sides: (usize, usize), others: (usize, usize)) -> Result<Spread, MeasureError> {
        let more = |spent: &[f64], (side, base): (usize, usize)| spent[side] - spent[base];
        self.spread(|spent| match more(spent, others) {
            added if added > 0.0 => more(spent, sides) / added,
            _ => f64::INFINITY,
        })
    }

    fn spread(&self, of: impl Fn(&[f64]) -> f64) -> Result<Spread, MeasureError> {
        spread(&self.spent, of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_round_but_the_first_is_told_by_side_and_has_an_order_of_its_own() {
        const ROUNDS: u32 = 60;
        let progress = Progress::begin("turns", ROUNDS.into());
        let mut sides = ['a', 'b', 'c'];
        let mut order = String::new();
        let turn = async |side: &mut char, number| {
            order.push(*side);
            Ok((*side, number))
        };
        let mut pace = Pace::find(Duration::ZERO, None).await;
        let rounds = in_turns(&mut sides, ROUNDS, &mut pace, &progress, turn).await.unwrap();
        let expected: Vec<_> = (1..=ROUNDS).map(|number| sides.map(|side| (side, number)).to_vec()).collect();
        assert_eq!(rounds, expected);
        for possible in ["abc", "acb", "bac", "bca", "cab", "cba"] {
            let times = order.as_bytes().chunks(sides.len()).filter(|round| *round == possible.as_bytes()).count();
            assert!(times >= 3, "{possible} comes {times} times in {order}");
        }
    }

    #[tokio::test]
    async fn whether_somebody_disturbs_is_asked_at_each_turn() {
        let progress = Progress::begin("turns", 1);
        let Some(mut pace) = Pace::always_disturbed(Duration::from_millis(50)).await else { return };
        let turn = async |(): &mut (), _| Ok(());
        assert_eq!(in_turns(&mut [()], 1, &mut pace, &progress, turn).await.unwrap(), [[()]]);
        assert!(!pace.is_fit());
    }

    #[tokio::test]
    async fn a_third_of_the_rounds_is_measured_where_somebody_disturbs_for_longer_than_turns_may_wait() {
        let progress = Progress::begin("turns", 7);
        let Some(mut pace) = Pace::always_disturbed(Duration::from_millis(50)).await else { return };
        let turn = async |(): &mut (), number| Ok(number);
        assert_eq!(in_turns(&mut [()], 7, &mut pace, &progress, turn).await.unwrap(), [[1], [2], [3]]);
        let mut unwatched = Pace::find(Duration::ZERO, None).await;
        assert_eq!(in_turns(&mut [()], 7, &mut unwatched, &progress, turn).await.unwrap().len(), 7);
    }

    #[tokio::test]
    async fn each_part_has_its_rounds_and_may_wait_though_the_ones_before_it_waited_as_long_as_they_might() {
        let progress = Progress::begin("turns", 6);
        let Some(mut pace) = Pace::always_disturbed(Duration::from_millis(60)).await else { return };
        let plan = Plan { rounds: 6, turn: Duration::from_millis(1) };
        let part = async |part: Plan, pace: &mut Pace| {
            let may_wait = !pace.is_over();
            in_turns(&mut [()], part.rounds, pace, &progress, async |(): &mut (), number| Ok((may_wait, number))).await
        };
        let rounds = in_parts(3, plan, &mut pace, part).await.unwrap();
        assert_eq!(rounds, [[(true, 1)]; 3]);
        assert!(pace.is_over());
    }

    #[test]
    fn parts_of_a_plan_are_alike_and_as_many_rounds_as_it() {
        let rounds = |rounds, count| -> Vec<u32> {
            let plan = Plan { rounds, turn: Duration::from_millis(1) };
            plan.parts(count).map(|part| part.rounds).collect()
        };
        assert_eq!(rounds(300, 10), [30; 10]);
        assert_eq!(rounds(75, 10), [7, 8, 7, 8, 7, 8, 7, 8, 7, 8]);
        assert_eq!(rounds(3, 10), [1; 3]);
    }

    #[test]
    fn sides_that_are_one_are_merged_into_their_mean() {
        let spent = vec![vec![50.0, 80.0, 54.0, 10.0], vec![60.0, 90.0, 60.0, 20.0]];
        let rounds = Rounds { spent, load: Summary::default() }.merge(&[0, 1, 0, 2]);
        assert_eq!(rounds.spent, [[52.0, 80.0, 10.0], [60.0, 90.0, 20.0]]);
    }

    #[test]
    fn what_is_added_over_what_is_added_is_of_the_same_round_and_endless_where_the_others_do_not_differ() {
        // Bare, another and ours: 4, 2 and 3 times as much is added, and one that cannot be told.
        let spent = [[50.0, 60.0, 90.0], [100.0, 110.0, 120.0], [50.0, 51.0, 53.0], [60.0, 59.0, 70.0]];
        let rounds = Rounds { spent: spent.map(Vec::from).to_vec(), load: Summary::default() };
        let ratio = rounds.added_ratio((2, 0), (1, 0)).unwrap();
        assert_eq!((ratio.median, ratio.quartiles), (3.5, [2.0, 4.0]));
        let none = rounds.added_ratio((2, 0), (0, 0)).unwrap();
        assert_eq!(none.median, f64::INFINITY);
    }
}
