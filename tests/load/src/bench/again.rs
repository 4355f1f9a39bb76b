//! Rows that are measured once more: who slows a machine for minutes on end does it to some rows of a run, and seldom to the same
//! ones a while later.

use std::time::Duration;

use super::{Options, Outcome, Row};
use crate::measure::{MeasureError, Pace, is_near};

/// Measures `rows` as `options` say, then those that are unfit once more, and so up to `again` times while there are any, each
/// time with twice the patience: what is to be waited for is a number of undisturbed turns, all of one measurement. `measure` is
/// told how fast the processors can be, as far as is known by then; `keep` is handed what came of the rows until then, in their
/// order.
///
/// A row that is unfit has another chance whatever its figures are, and keeps the first where the other is unfit as well. One
/// whose requests failed has none: its failures stay what came of it.
///
/// # Errors
/// Those of `measure` and of `keep`.
pub async fn measure_again(
    rows: &[Row],
    again: u32,
    mut options: Options,
    mut measure: impl AsyncFnMut(Row, &Options, Option<Duration>) -> Result<Outcome, MeasureError>,
    mut keep: impl FnMut(&Outcome) -> Result<(), MeasureError>,
) -> Result<Outcome, MeasureError> {
    let mut measured = Measured::default();
    for row in rows {
        let outcome = measure(*row, &options, measured.best).await?;
        measured.put(*row, outcome);
        keep(&measured.whole())?;
    }
    for _ in 0..again {
        options.patience = options.patience.saturating_mul(2);
        for (place, row) in rows.iter().enumerate() {
            if measured.is_wanted_again(place) {
                let outcome = measure(*row, &options, measured.best).await?;
                measured.put_again(place, outcome);
                keep(&measured.whole())?;
            }
        }
    }
    Ok(measured.whole())
}

/// What came of rows.
#[derive(Default)]
struct Measured {
    outcomes: Vec<(Row, Outcome)>,
    /// How fast the processors were at best.
    best: Option<Duration>,
}

impl Measured {
    fn put(&mut self, row: Row, outcome: Outcome) {
        self.look_at(&outcome);
        self.outcomes.push((row, outcome));
    }

    /// The outcome in `place`, or the `other` of the same row where that one is to be told.
    fn put_again(&mut self, place: usize, other: Outcome) {
        self.look_at(&other);
        let is_told = other.failed > 0 || self.is_fit(&other);
        let (_, outcome) = &mut self.outcomes[place];
        let again = outcome.again + 1;
        if is_told {
            *outcome = other;
        }
        outcome.again = again;
    }

    fn look_at(&mut self, outcome: &Outcome) {
        self.best = self.best.into_iter().chain(outcome.best).min();
    }

    fn is_wanted_again(&self, place: usize) -> bool {
        let (_, outcome) = &self.outcomes[place];
        outcome.failed == 0 && !self.is_fit(outcome)
    }

    fn is_fit(&self, outcome: &Outcome) -> bool {
        outcome.unfit.is_empty() && self.is_at_best(outcome)
    }

    /// Whether the processors were as fast at its row as they have been at any. Where they were not, all of it was disturbed, and
    /// it did not know.
    fn is_at_best(&self, outcome: &Outcome) -> bool {
        outcome.best.zip(self.best).is_none_or(|(took, best)| is_near(took, best))
    }

    /// What came of all, each reason with its row.
    fn whole(&self) -> Outcome {
        let told = |(row, outcome): &(Row, Outcome)| {
            let mut outcome = outcome.clone();
            if outcome.unfit.is_empty() {
                let is_at_best = self.is_at_best(&outcome);
                outcome = outcome.fit_if(is_at_best, Pace::UNFIT);
            }
            for reason in &mut outcome.unfit {
                *reason = format!("{row}: {reason}");
            }
            outcome
        };
        self.outcomes.iter().map(told).fold(Outcome::default(), Outcome::and)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Figure, Unit};
    use super::*;

    /// What came of the `times`th measurement of a row: its figure is that number.
    fn outcome(times: usize, is_fit: bool, failed: u64) -> Outcome {
        let figures = vec![Figure::new("times", "", times as f64, Unit::Count)];
        Outcome { figures, failed, ..Outcome::default() }.fit_if(is_fit, "disturbed")
    }

    /// Which rows were measured, and what came of them, where a row is fit and has failed requests at such of its measurements.
    async fn measured(
        again: u32,
        is_fit: impl Fn(Row, usize) -> bool,
        failed: impl Fn(Row, usize) -> u64,
    ) -> (Vec<Row>, Outcome, Vec<usize>) {
        let (mut order, mut kept) = (Vec::new(), Vec::new());
        let measure = async |row, _: &_, _| {
            order.push(row);
            let times = order.iter().filter(|other| **other == row).count();
            Ok(outcome(times, is_fit(row, times), failed(row, times)))
        };
        let keep = |outcome: &Outcome| {
            kept.push(outcome.figures.len());
            Ok(())
        };
        let outcome = measure_again(&[Row::Cost, Row::Latency, Row::Sizes], again, Options::default(), measure, keep)
            .await
            .unwrap();
        (order, outcome, kept)
    }

    fn figures(outcome: &Outcome) -> Vec<f64> {
        outcome.figures.iter().map(|figure| figure.value).collect()
    }

    #[tokio::test]
    async fn rows_that_are_unfit_are_measured_again_after_all_others_and_stand_where_they_stood() {
        let is_fit = |row, times| match row {
            Row::Cost => times == 2,
            Row::Latency => true,
            _ => times == 3,
        };
        let (order, outcome, kept) = measured(5, is_fit, |_, _| 0).await;
        assert_eq!(order, [Row::Cost, Row::Latency, Row::Sizes, Row::Cost, Row::Sizes, Row::Sizes]);
        assert_eq!((figures(&outcome), outcome.again), (vec![2.0, 1.0, 3.0], 3));
        assert!(outcome.unfit.is_empty());
        assert_eq!(kept, [1, 2, 3, 3, 3, 3]);
    }

    #[tokio::test]
    async fn one_that_stays_unfit_keeps_its_first_figures_and_says_so() {
        let (order, outcome, _) = measured(2, |row, _| row != Row::Sizes, |_, _| 0).await;
        assert_eq!(order, [Row::Cost, Row::Latency, Row::Sizes, Row::Sizes, Row::Sizes]);
        assert_eq!((figures(&outcome), outcome.again), (vec![1.0; 3], 2));
        assert_eq!(outcome.unfit, ["sizes: disturbed"]);
        let (order, outcome, _) = measured(0, |_, _| false, |_, _| 0).await;
        assert_eq!((order.len(), outcome.again, outcome.unfit.len()), (3, 0, 3));
    }

    #[tokio::test]
    async fn requests_that_failed_are_told_whenever_they_did() {
        let (order, outcome, _) = measured(2, |_, _| false, |row, _| u64::from(row == Row::Cost)).await;
        assert_eq!(order.iter().filter(|row| **row == Row::Cost).count(), 1);
        assert_eq!((outcome.failed, outcome.unfit.len()), (1, 3));
        let (order, outcome, _) =
            measured(2, |_, _| false, |row, times| u64::from(row == Row::Cost && times == 2)).await;
        assert_eq!(order.iter().filter(|row| **row == Row::Cost).count(), 2);
        assert_eq!((outcome.failed, figures(&outcome)), (1, vec![2.0, 1.0, 1.0]));
    }

    #[tokio::test]
    async fn a_row_is_measured_again_with_more_patience_where_later_ones_find_that_the_processors_can_be_faster() {
        const FAST: Duration = Duration::from_micros(50);
        const PATIENCE: Duration = Duration::from_secs(1);
        let options = Options { patience: PATIENCE, ..Options::default() };
        let mut knew = Vec::new();
        let measure = async |row, options: &Options, known| {
            knew.push((row, options.patience, known));
            let best = if knew.len() == 1 { FAST * 2 } else { FAST };
            Ok(Outcome { best: Some(best), ..outcome(knew.len(), true, 0) })
        };
        let mut said = Vec::new();
        let keep = |outcome: &Outcome| {
            said.push(outcome.unfit.clone());
            Ok(())
        };
        let outcome = measure_again(&[Row::Cost, Row::ReloadLarge], 2, options, measure, keep).await.unwrap();
        let expected = [
            (Row::Cost, PATIENCE, None),
            (Row::ReloadLarge, PATIENCE, Some(FAST * 2)),
            (Row::Cost, PATIENCE * 2, Some(FAST)),
        ];
        assert_eq!(knew, expected);
        assert_eq!((figures(&outcome), outcome.again), (vec![3.0, 2.0], 1));
        let late = vec![format!("cost: {}", Pace::UNFIT)];
        assert_eq!(said, [vec![], late, vec![]]);
    }
}
