//! What a request costs with many of something, over what it costs with few.

use super::turns::Rounds;
use super::{Figure, Goal, Unit};
use crate::measure::MeasureError;

/// How much more it may cost.
const BOUND: f64 = 1.2;

/// What is told of two sides: the first has few, the second has many. Each has its key and what a reader is told.
pub(super) struct Scaling {
    pub(super) many_over_few: (&'static str, &'static str),
    pub(super) few: (&'static str, &'static str),
    pub(super) many: (&'static str, &'static str),
}

impl Scaling {
    pub(super) fn figures(&self, spent: &Rounds<f64>) -> Result<Vec<Figure>, MeasureError> {
        let of = |(key, says), spread, unit| Figure::of_rounds(key, says, spread, unit);
        Ok(vec![
            of(self.many_over_few, spent.ratio(1, 0)?, Unit::Ratio).goal(Goal::AtMost(BOUND)),
            of(self.few, spent.micros(0)?, Unit::Micros),
            of(self.many, spent.micros(1)?, Unit::Micros),
        ])
    }
}
