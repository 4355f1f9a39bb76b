//! How exactly a limit holds.

use super::super::{Figure, Goal, Options, Outcome, Unit};
use crate::limits::{self, HOT};
use crate::measure::MeasureError;
use crate::steady::Summary;

/// For how many rounds it is measured.
const ROUNDS: u32 = 4;

pub(super) async fn measure(options: &Options) -> Result<Outcome, MeasureError> {
    let accuracy = limits::measure(&HOT, options.round * ROUNDS).await?;
    let figures = vec![
        Figure::new(
            "limit_max_share",
            "let through in any window, of rate · t + burst, at 3 × the rate",
            accuracy.max_share,
            Unit::Ratio,
        )
        .goal(Goal::AtMost(1.0)),
        Figure::new(
            "limit_min_share",
            "let through in all, of rate · t, once the burst is used up",
            accuracy.min_share.ok_or(MeasureError::Nothing("no request was let through"))?,
            Unit::Ratio,
        )
        .goal(Goal::AtLeast(0.98)),
    ];
    Ok(Outcome::new(figures, &Summary::default()))
}
