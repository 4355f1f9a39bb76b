//! A figure and its goal.

use std::fmt;

use super::Row;
use super::quantiles::Spread;
use crate::steady::Summary;

const KIB: f64 = 1_024.0;
const MIB: f64 = KIB * KIB;

/// How far the ends of a ratio's interval may be from its middle, as a share of it, so that two runs seldom differ by twice that.
const KNOWN: f64 = 0.05;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// One figure over another.
    Ratio,
    /// Requests, renames.
    Count,
    /// Bytes, shown as KiB.
    KibiBytes,
    /// Bytes, shown as MiB.
    MebiBytes,
}

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// At most this.
    AtMost(f64),
    /// Less than this.
    Below(f64),
    /// At least this.
    AtLeast(f64),
    /// Between these.
    Within(f64, f64),
}

/// One figure of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// Its name in `result.json`.
    pub key: &'static str,
    /// What it says, for a reader of the table.
    pub says: &'static str,
    /// What was measured.
    pub value: f64,
    /// Between what half of the rounds lie, where it is the median of rounds.
    pub quartiles: Option<[f64; 2]>,
    /// Between what it lies in 95 of 100 cases, where there were rounds enough to tell.
    pub interval: Option<[f64; 2]>,
    /// What of.
    pub unit: Unit,
    /// What it is to be, where that is said of it.
    pub goal: Option<Goal>,
}

/// What an exchange costs Envoy at one of the listeners that are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// The exchange.
    pub exchange: &'static str,
    /// The listener's filter.
    pub way: &'static str,
    /// CPU time for a request, in microseconds.
    pub micros: Spread,
}

/// What came of one row, or of several.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// In the order of the table.
    pub figures: Vec<Figure>,
    /// What exchanges cost, where that was measured.
    pub costs: Vec<Cost>,
    /// Why the figures mean little, as far as the rows can tell: nothing where they are known well enough.
    pub unfit: Vec<String>,
    /// Requests that went wrong.
    pub failed: u64,
    /// The first of those, in words.
    pub faults: Vec<String>,
}

impl Figure {
    /// A figure without a goal.
    #[must_use]
    pub fn new(key: &'static str, says: &'static str, value: f64, unit: Unit) -> Self {
        Self { key, says, value, quartiles: None, interval: None, unit, goal: None }
    }

    /// The median of rounds, with its quartiles.
    #[must_use]
    pub fn of_rounds(key: &'static str, says: &'static str, spread: Spread, unit: Unit) -> Self {
        let Spread { median, quartiles, interval } = spread;
        Self { quartiles: Some(quartiles), interval, ..Self::new(key, says, median, unit) }
    }

    /// Gives it a goal.
    #[must_use]
    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    /// Requests that failed, of which there must be none.
    #[must_use]
    pub fn failed(key: &'static str, failed: u64) -> Self {
        Self::new(key, "· requests that failed", failed as f64, Unit::Count).goal(Goal::AtMost(0.0))
    }

    /// How many rounds the medians before it are of.
    #[must_use]
    pub fn rounds(key: &'static str, count: usize) -> Self {
        Self::new(key, "· rounds", count as f64, Unit::Count)
    }

    /// How far the ends of its interval are from its middle, as a share of it. `None` where it has none.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        self.interval.map(|[low, high]| (high - low) / 2.0 / self.value.abs())
    }

    /// Whether it is known well enough, as far as that is asked of it: a ratio that is the median of rounds is to be.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.unit != Unit::Ratio || self.quartiles.is_none() || self.precision().is_some_and(|share| share <= KNOWN)
    }

    /// Whether the goal is met. `None` where there is none.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        Some(match self.goal? {
            Goal::AtMost(bound) => self.value <= bound,
            Goal::Below(bound) => self.value < bound,
            Goal::AtLeast(bound) => self.value >= bound,
            Goal::Within(least, most) => (least..=most).contains(&self.value),
        })
    }
}

impl Goal {
    /// The same in what a reader counts in.
    pub(super) fn of(self, unit: Unit) -> Self {
        let shown = |bound: f64| match unit {
            Unit::KibiBytes => bound / KIB,
            Unit::MebiBytes => bound / MIB,
            _ => bound,
        };
        match self {
            Self::AtMost(bound) => Self::AtMost(shown(bound)),
            Self::Below(bound) => Self::Below(shown(bound)),
            Self::AtLeast(bound) => Self::AtLeast(shown(bound)),
            Self::Within(least, most) => Self::Within(shown(least), shown(most)),
        }
    }
}

impl Outcome {
    /// `figures`, and what went wrong while they were measured.
    #[must_use]
    pub fn new(figures: Vec<Figure>, load: &Summary) -> Self {
        let faults = load.faults.iter().map(ToString::to_string).collect();
        Self { figures, costs: Vec::new(), unfit: Vec::new(), failed: load.failed, faults }
    }

    /// This, whose figures mean little unless `is_fit`, because of `otherwise`.
    #[must_use]
    pub fn fit_if(mut self, is_fit: bool, otherwise: &str) -> Self {
        if !is_fit {
            self.unfit.push(otherwise.to_owned());
        }
        self
    }

    /// This as what came of `row`, which is unfit for each figure that is not known well enough, too: each reason says so.
    #[must_use]
    pub(super) fn of_row(mut self, row: Row) -> Self {
        for figure in self.figures.iter().filter(|figure| !figure.is_known()) {
            let (key, asked) = (figure.key, format!("± {:.0} %", KNOWN * 100.0));
            self.unfit.push(match figure.precision().filter(|share| share.is_finite()) {
                Some(share) => format!("{key} is known to ± {:.0} % only, expected {asked}", share * 100.0),
                None => format!("{key} has too few rounds to be known to {asked}"),
            });
        }
        for reason in &mut self.unfit {
            *reason = format!("{row}: {reason}");
        }
        self
    }

    /// This and what came of another row.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.figures.extend(other.figures);
        self.costs.extend(other.costs);
        self.unfit.extend(other.unfit);
        self.faults.extend(other.faults);
        Self { failed: self.failed + other.failed, ..self }
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Self::new(Vec::new(), &Summary::default())
    }
}

impl fmt::Display for Goal {
    /// Bounds to three places, as far as there are any.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = |bound: f64| (bound * 1_000.0).round() / 1_000.0;
        match *self {
            Self::AtMost(bound) => write!(out, "≤ {}", places(bound)),
            Self::Below(bound) => write!(out, "< {}", places(bound)),
            Self::AtLeast(bound) => write!(out, "≥ {}", places(bound)),
            Self::Within(least, most) => write!(out, "{} to {}", places(least), places(most)),
        }
    }
}

impl fmt::Display for Figure {
    /// The value with its unit.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Millis if self.value.abs() < 10.0 => write!(out, "{:.3} ms", self.value),
            Unit::Millis => write!(out, "{:.1} ms", self.value),
            Unit::Micros => write!(out, "{:.1} µs", self.value),
            Unit::Ratio => write!(out, "{:.2}", self.value),
            Unit::Count => write!(out, "{:.0}", self.value),
            Unit::KibiBytes => write!(out, "{:.0} KiB", self.value / KIB),
            Unit::MebiBytes => write!(out, "{:.1} MiB", self.value / MIB),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_of_rounds_is_known_where_its_interval_is_narrow_and_a_row_says_which_is_not() {
        let of_rounds = |key, interval, unit| {
            Figure::of_rounds(key, "", Spread { median: 2.0, quartiles: [1.0, 3.0], interval }, unit)
        };
        let figures = vec![
            of_rounds("narrow", Some([1.95, 2.1]), Unit::Ratio),
            of_rounds("wide", Some([1.9, 2.15]), Unit::Ratio),
            of_rounds("endless", Some([1.0, f64::INFINITY]), Unit::Ratio),
            of_rounds("few", None, Unit::Ratio),
            of_rounds("time", Some([1.0, 3.0]), Unit::Micros),
            Figure::new("single", "", 2.0, Unit::Ratio),
        ];
        let known: Vec<_> = figures.iter().filter(|figure| figure.is_known()).map(|figure| figure.key).collect();
        assert_eq!(known, ["narrow", "time", "single"]);
        let outcome = Outcome { figures, ..Outcome::default() }.fit_if(false, "two differ").of_row(Row::Cost);
        let expected = [
            "cost: two differ",
            "cost: wide is known to ± 6 % only, expected ± 5 %",
            "cost: endless has too few rounds to be known to ± 5 %",
            "cost: few has too few rounds to be known to ± 5 %",
        ];
        assert_eq!(outcome.unfit, expected);
    }

    #[test]
    fn a_bound_is_told_to_three_places() {
        let told = |goal: Goal| goal.to_string();
        assert_eq!(told(Goal::Within(-0.028_697_55, 0.028_697_55)), "-0.029 to 0.029");
        assert_eq!([Goal::AtMost(2.0), Goal::Below(100.0), Goal::AtLeast(0.98)].map(told), ["≤ 2", "< 100", "≥ 0.98"]);
    }

    #[test]
    fn a_goal_is_met_up_to_its_bound_or_below_it_or_from_it_on() {
        let figure = |value, goal| Figure { goal, ..Figure::new("key", "says", value, Unit::Ratio) };
        let cases = [
            (1.2, Some(Goal::AtMost(1.2)), Some(true)),
            (1.21, Some(Goal::AtMost(1.2)), Some(false)),
            (99.9, Some(Goal::Below(100.0)), Some(true)),
            (100.0, Some(Goal::Below(100.0)), Some(false)),
            (0.98, Some(Goal::AtLeast(0.98)), Some(true)),
            (0.97, Some(Goal::AtLeast(0.98)), Some(false)),
            (0.95, Some(Goal::Within(0.95, 1.05)), Some(true)),
            (1.06, Some(Goal::Within(0.95, 1.05)), Some(false)),
            (1.0, None, None),
        ];
        for (value, goal, met) in cases {
            assert_eq!(figure(value, goal).is_met(), met, "{value} {goal:?}");
        }
    }
}
