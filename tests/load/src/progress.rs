//! Progress of a run: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::run::Sample;
use crate::verdict::Side;

/// Between two lines where there is no terminal: few enough for a log.
const LINE_EVERY: Duration = Duration::from_secs(3);

/// Shows how far the runs are, one after the other. Writes to standard error, so that standard output holds the
/// table alone.
#[derive(Debug)]
pub struct Progress {
    messages: u64,
    shown: Option<(Side, Display)>,
}

#[derive(Debug)]
enum Display {
    Bar(ProgressBar),
    Lines { next: Duration },
    Finished,
}

impl Progress {
    /// Progress of runs over `messages` messages each.
    #[must_use]
    pub fn new(messages: u64) -> Self {
        Self { messages, shown: None }
    }

    /// Shows one sample of the ledger of the run `side`. The first that has nothing left to do is its last.
    pub fn observe(&mut self, side: Side, sample: &Sample) {
        let display = match self.shown.take() {
            Some((shown, display)) if shown == side => display,
            _ => Display::begin(side, self.messages),
        };
        self.shown = Some((side, display.advance(side, self.messages, sample)));
    }
}

impl Display {
    fn begin(side: Side, messages: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { next: Duration::ZERO };
        }
        let bar = ProgressBar::with_draw_target(Some(messages), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{prefix:>8} {wide_bar} {percent:>3}%  {msg}") {
            bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
        }
        bar.set_prefix(side.name());
        Self::Bar(bar)
    }

    fn advance(self, side: Side, messages: u64, sample: &Sample) -> Self {
        let last = sample.ledger.is_drained(messages);
        let advanced = match self {
            Self::Bar(bar) => {
                bar.set_message(figures(sample));
                bar.set_position(sample.ledger.settled());
                if last {
                    bar.abandon();
                }
                Self::Bar(bar)
            }
            Self::Lines { next } if last || sample.at >= next => {
                let (side, messages, settled) =
                    (side.name(), HumanCount(messages), HumanCount(sample.ledger.settled()));
                eprintln!("{side:>8}  {settled} of {messages} settled  {}", figures(sample));
                Self::Lines { next: sample.at + LINE_EVERY }
            }
            unchanged => unchanged,
        };
        if last { Self::Finished } else { advanced }
    }
}

fn figures(sample: &Sample) -> String {
    let ledger = &sample.ledger;
    format!(
        "{:5.1} s  ready {}  in flight {}  acked {}  lost {}",
        sample.at.as_secs_f64(),
        HumanCount(ledger.ready),
        HumanCount(ledger.in_flight),
        HumanCount(ledger.acked),
        HumanCount(ledger.lost())
    )
}
