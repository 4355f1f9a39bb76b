//! What AckGuard adds to messages of any size: Envoy's CPU for a pull that brings one, and for a publish of it.

use super::super::cells::{ACKGUARD, BARE, COUNTED, Cells, NOOP, common};
use super::super::exchange::Exchange;
use super::super::turns::Plan;
use super::super::{Figure, Goal, Options, Outcome};
use crate::measure::{MeasureError, Processors, Progress, Size};

/// What is measured, its key and what a reader is told of it.
const FIGURES: [(Exchange, &str, &str); 8] = [
    (Exchange::PullOf(Size::Kib1), "pull_1kib_vs_bare", "a pull that brings a message of 1 KiB, over bare"),
    (Exchange::PullOf(Size::Kib16), "pull_16kib_vs_bare", "· of 16 KiB"),
    (Exchange::PullOf(Size::Kib128), "pull_128kib_vs_bare", "· of 128 KiB"),
    (Exchange::PullOf(Size::Mib1), "pull_1mib_vs_bare", "· of 1 MiB"),
    (Exchange::PublishOf(Size::Kib1), "publish_1kib_vs_bare", "a publish of a message of 1 KiB, over bare"),
    (Exchange::PublishOf(Size::Kib16), "publish_16kib_vs_bare", "· of 16 KiB"),
    (Exchange::PublishOf(Size::Kib128), "publish_128kib_vs_bare", "· of 128 KiB"),
    (Exchange::PublishOf(Size::Mib1), "publish_1mib_vs_bare", "· of 1 MiB"),
];

/// Envoys at least, each of which has its part of the rounds.
const ENVOYS: u32 = 15;

/// Whole costs are compared, which takes fewer rounds than what is added.
pub(super) fn plan(options: &Options) -> Plan {
    Plan { rounds: options.turns.div_ceil(4), parts: ENVOYS, turn: options.turn, patience: options.patience }
}

pub(super) async fn measure(
    options: &Options,
    processors: Option<Processors>,
    progress: &Progress,
) -> Result<Outcome, MeasureError> {
    let at = FIGURES.map(|(exchange, ..)| (exchange, &[BARE, NOOP, ACKGUARD, COUNTED][..]));
    let (cells, load) = Cells::measure(common, &at, plan(options), figures, processors, progress).await?;
    let mut figures = figures(&cells)?;
    figures.extend([cells.count("sizes_rounds"), Figure::failed("sizes_failed", load.failed)]);
    Ok(Outcome { costs: cells.costs()?, ..Outcome::new(figures, &load) })
}

fn figures(cells: &Cells) -> Result<Vec<Figure>, MeasureError> {
    let mut figures = Vec::new();
    for (exchange, key, says) in FIGURES {
        let figure = cells.whole(key, says, exchange, ACKGUARD, BARE)?;
        // What need not be read as a whole is to cost no more the larger it is.
        let is_streamed = exchange == Exchange::PullOf(Size::Mib1);
        figures.push(if is_streamed { figure.goal(Goal::AtMost(1.1)) } else { figure });
    }
    Ok(figures)
}
