//! What is compared has its turns side by side, in rounds, and the rounds go on until what is asked of them is known well enough:
//! so a machine that others share is measured for longer, not worse.

use std::time::Duration;

use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use tokio::time::Instant;

use super::quantiles::{Spread, interval, median};
use super::{Figure, Options};
use crate::measure::{MeasureError, Progress};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Rounds at least, besides those that warm up.
    pub(super) rounds: u32,
    /// Parts that share those rounds, of which each starts anew what it measures; or as many as there are rounds, where they are
    /// fewer.
    pub(super) parts: u32,
    /// How long each side has in each round.
    pub(super) turn: Duration,
    /// How long more parts may be measured, from the beginning on. The last may end later.
    pub(super) patience: Duration,
}

/// What came of the turns.
#[derive(Debug)]
pub(super) struct Rounds<T> {
    /// By part, by round of it, and by side.
    parts: Vec<Vec<Vec<T>>>,
}

impl Plan {
    /// So many `times` the rounds of a comparison of few sides, of a tenth of its turns.
    pub(super) fn of_short_turns(options: &Options, times: u32, parts: u32) -> Self {
        let turn = options.round / 10;
        Self { rounds: options.rounds * times, parts, turn, patience: options.patience }
    }

    /// How many parts there are at least.
    fn least(self) -> u32 {
        self.parts.min(self.rounds)
    }

    /// The rounds of each part: of those that share the rounds, and of any after them.
    fn parts(self) -> impl Iterator<Item = u32> {
        let least = self.least();
        let until = move |part: u32| (u64::from(self.rounds) * u64::from(part) / u64::from(least)) as u32;
        (0..least).map(move |part| until(part + 1) - until(part)).chain(std::iter::repeat(self.rounds.div_ceil(least)))
    }
}

/// Measures parts as planned, and then others until all the figures that `figures` makes of them are known, or the patience is
/// over. `part` measures one of so many rounds, and returns what came of it by round and by side.
///
/// # Errors
/// Those of `part` and of `figures`.
pub(super) async fn in_parts<T>(
    plan: Plan,
    mut part: impl AsyncFnMut(u32) -> Result<Vec<Vec<T>>, MeasureError>,
    figures: impl Fn(&Rounds<T>) -> Result<Vec<Figure>, MeasureError>,
) -> Result<Rounds<T>, MeasureError> {
    let begin = Instant::now();
    let mut measured = Rounds { parts: Vec::new() };
    for rounds in plan.parts() {
        measured.parts.push(part(rounds).await?);
        let is_least = measured.parts.len() >= plan.least() as usize;
        if is_least && (begin.elapsed() >= plan.patience || figures(&measured)?.iter().all(Figure::is_known)) {
            break;
        }
    }
    Ok(measured)
}

/// Gives each side of all `groups` a `turn` in each of `rounds` rounds, after one that warms up. The sides of a group have theirs
/// one after the other: how fast a machine is changes within tenths of a second, and they are to meet the same. Groups and
/// the sides of each come in another order each round, so that whatever one leaves behind meets all others. A turn is told which
/// round it is.
/// Returns what came of them, by round and by side, group by group.
///
/// # Errors
/// Those of a turn.
pub(super) async fn in_turns<S, T>(
    groups: &mut [Vec<S>],
    rounds: u32,
    progress: &Progress,
    mut turn: impl AsyncFnMut(&mut S, u32) -> Result<T, MeasureError>,
) -> Result<Vec<Vec<T>>, MeasureError> {
    let mut all = Vec::new();
    let mut order: Vec<(usize, Vec<usize>)> =
        groups.iter().map(|group| (0..group.len()).collect()).enumerate().collect();
    for number in 0..=rounds {
        let mut random = ChaCha8Rng::seed_from_u64(number.into());
        order.shuffle(&mut random);
        let mut round = Vec::new();
        for (group, places) in &mut order {
            places.shuffle(&mut random);
            for place in places {
                round.push(((*group, *place), turn(&mut groups[*group][*place], number).await?));
            }
        }
        if number > 0 {
            round.sort_unstable_by_key(|(place, _)| *place);
            all.push(round.into_iter().map(|(_, outcome)| outcome).collect());
            progress.step();
        }
    }
    Ok(all)
}

impl<T> Rounds<T> {
    /// Those that were measured in one part, by round and by side.
    pub(super) fn of_one_part(rounds: Vec<Vec<T>>) -> Self {
        Self { parts: vec![rounds] }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }

    /// How many there are, as the figure `key`.
    pub(super) fn count(&self, key: &'static str) -> Figure {
        Figure::rounds(key, self.len())
    }

    /// How what `of` makes of a round is spread over all of them.
    pub(super) fn spread(&self, of: impl Fn(&[T]) -> f64) -> Result<Spread, MeasureError> {
        let parts: Vec<Vec<f64>> = self.parts.iter().map(|part| part.iter().map(|round| of(round)).collect()).collect();
        let all = parts.concat();
        let interval = match parts.as_slice() {
            // Rounds of different parts differ by more than those of one: parts are what was drawn.
            [_, _, ..] => interval(&parts.iter().filter_map(|part| median(part)).collect::<Vec<_>>()),
            _ => interval(&all),
        };
        Spread::of(&all).map(|spread| Spread { interval, ..spread }).ok_or(MeasureError::Nothing("no round"))
    }
}

/// Sides of which each round has what a request cost there, in microseconds.
impl Rounds<f64> {
    /// These with fewer sides: `sides` says of each of the present ones to which it belongs, of which it then has the mean.
    pub(super) fn merge(&self, sides: &[usize]) -> Self {
        let mean = |side: usize, spent: &[f64]| {
            let of_it = || sides.iter().zip(spent).filter(|(of, _)| **of == side).map(|(_, spent)| spent);
            of_it().sum::<f64>() / of_it().count() as f64
        };
        let count = sides.iter().max().map_or(0, |last| last + 1);
        let merge = |spent: &Vec<f64>| (0..count).map(|side| mean(side, spent)).collect();
        Self { parts: self.parts.iter().map(|part| part.iter().map(merge).collect()).collect() }
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
        let of = |rounds: &mut dyn Iterator<Item = &Vec<f64>>| {
            let (side, base) =
                rounds.fold((0.0, 0.0), |(over, under), spent| (over + spent[side], under + spent[base]));
            side / base
        };
        let parts: Vec<f64> = self.parts.iter().map(|part| of(&mut part.iter())).collect();
        let median = of(&mut self.parts.iter().flatten());
        Ok(Spread { median, interval: interval(&parts), ..self.ratio(side, base)? })
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
}

#[cfg(test)]
mod tests {
    use super::super::Unit;
    use super::*;

    fn plan(rounds: u32, parts: u32) -> Plan {
        Plan { rounds, parts, turn: Duration::from_millis(1), patience: Duration::from_secs(60) }
    }

    /// Rounds of one part.
    fn rounds<const SIDES: usize>(spent: &[[f64; SIDES]]) -> Rounds<f64> {
        Rounds::of_one_part(spent.iter().map(|round| round.to_vec()).collect())
    }

    #[tokio::test]
    async fn each_round_but_the_first_is_told_by_side_and_sides_of_a_group_follow_one_another_in_any_order() {
        const ROUNDS: u32 = 120;
        let progress = Progress::begin("turns", ROUNDS.into());
        let mut groups = [vec!['a', 'b', 'c'], vec!['x', 'y']];
        let mut order = String::new();
        let turn = async |side: &mut char, number| {
            order.push(*side);
            Ok((*side, number))
        };
        let rounds = in_turns(&mut groups, ROUNDS, &progress, turn).await.unwrap();
        let expected: Vec<_> =
            (1..=ROUNDS).map(|number| ['a', 'b', 'c', 'x', 'y'].map(|side| (side, number)).to_vec()).collect();
        assert_eq!(rounds, expected);
        let orders: Vec<&[u8]> = order.as_bytes().chunks(5).collect();
        let is_together = |order: &&[u8]| {
            let of_other = |side: &u8| b"xy".contains(side);
            order[..2].iter().all(of_other) || order[3..].iter().all(of_other)
        };
        assert!(orders.iter().all(is_together), "another group's side comes between two in {order}");
        for one in ["abc", "acb", "bac", "bca", "cab", "cba"] {
            for other in ["xy", "yx"] {
                for possible in [format!("{one}{other}"), format!("{other}{one}")] {
                    assert!(orders.contains(&possible.as_bytes()), "{possible} never comes in {order}");
                }
            }
        }
    }

    #[tokio::test]
    async fn parts_share_the_rounds_and_others_follow_until_the_figures_are_known() {
        let figure = |rounds: &Rounds<f64>| {
            Ok(vec![Figure::of_rounds("ratio", "", rounds.ratio(0, 1)?, Unit::Ratio), rounds.count("rounds")])
        };
        // A part's ratio is 1.0 or 1.2 in turns, then ever 1.1: at first they are too far apart.
        let measured = async |plan| {
            let mut sizes = Vec::new();
            let part = async |rounds: u32| {
                sizes.push(rounds);
                let ratio = if sizes.len() > 6 { 1.1 } else { [1.0, 1.2][sizes.len() % 2] };
                Ok(vec![vec![ratio, 1.0]; rounds as usize])
            };
            let rounds = in_parts(plan, part, figure).await.unwrap();
            assert_eq!(rounds.len(), sizes.iter().sum::<u32>() as usize);
            sizes
        };
        // Of ten the second to the ninth, of fifteen the fourth to the twelfth.
        assert_eq!(measured(plan(17, 6)).await, [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]);
        assert_eq!(measured(plan(16, 16)).await, [1; 16]);
        assert_eq!(measured(Plan { patience: Duration::ZERO, ..plan(17, 6) }).await, [2, 3, 3, 3, 3, 3]);
        assert_eq!(measured(Plan { patience: Duration::ZERO, ..plan(2, 6) }).await, [1, 1]);
    }

    #[test]
    fn a_figure_is_known_by_how_far_parts_are_apart_and_one_part_by_its_rounds() {
        let parts = |parts: &[f64]| {
            let rounds = Rounds { parts: parts.iter().map(|part| vec![vec![*part, 1.0]; 9]).collect() };
            rounds.ratio(0, 1).unwrap()
        };
        let far = parts(&[1.0, 1.1, 1.2, 1.3, 1.4, 1.5]);
        assert_eq!((far.median, far.interval), (1.25, Some([1.0, 1.5])));
        assert_eq!(parts(&[1.0, 1.1, 1.2, 1.3, 1.4]).interval, None);
        assert_eq!(parts(&[1.1]).interval, Some([1.1, 1.1]));
    }

    #[test]
    fn sides_that_are_one_are_merged_into_their_mean() {
        let merged = rounds(&[[50.0, 80.0, 54.0, 10.0], [60.0, 90.0, 60.0, 20.0]]).merge(&[0, 1, 0, 2]);
        assert_eq!(merged.parts, [[[52.0, 80.0, 10.0], [60.0, 90.0, 20.0]]]);
    }

    #[test]
    fn a_ratio_of_means_has_what_comes_seldom() {
        let parts = [[10.0, 10.0], [10.0, 10.0], [40.0, 10.0]].map(|spent| vec![spent.to_vec()]).to_vec();
        let ratio = Rounds { parts }.mean_ratio(0, 1).unwrap();
        assert_eq!((ratio.median, ratio.quartiles), (2.0, [1.0, 4.0]));
    }

    #[test]
    fn what_is_added_over_what_is_added_is_of_the_same_round_and_endless_where_the_others_do_not_differ() {
        // Bare, another and ours: 4, 2 and 3 times as much is added, and one that cannot be told.
        let rounds = rounds(&[[50.0, 60.0, 90.0], [100.0, 110.0, 120.0], [50.0, 51.0, 53.0], [60.0, 59.0, 70.0]]);
        let ratio = rounds.added_ratio((2, 0), (1, 0)).unwrap();
        assert_eq!((ratio.median, ratio.quartiles), (3.5, [2.0, 4.0]));
        let none = rounds.added_ratio((2, 0), (0, 0)).unwrap();
        assert_eq!(none.median, f64::INFINITY);
    }
}
