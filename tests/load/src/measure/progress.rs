//! Progress of a measurement: a bar on a terminal, a line every few seconds elsewhere. All of it goes to standard error.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two lines where there is no terminal: few enough for a log.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far a measurement is.
#[derive(Debug)]
pub struct Progress {
    name: &'static str,
    steps: u64,
    done: Cell<u64>,
    said: Cell<Instant>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins one of `steps` steps, or of more.
    #[must_use]
    pub fn begin(name: &'static str, steps: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{prefix:>12} {wide_bar} {pos} of {len}") {
                bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
            }
            bar.with_prefix(name)
        });
        let progress = Self { name, steps, done: Cell::new(0), said: Cell::new(Instant::now()), bar };
        progress.say();
        progress
    }

    /// One step more is done.
    pub fn step(&self) {
        self.done.set(self.done.get() + 1);
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                bar.set_length(self.steps.max(self.done.get()));
            }
            None if self.said.get().elapsed() >= LINE_EVERY => self.say(),
            None => {}
        }
    }

    /// It is at its end.
    pub fn end(self) {
        match &self.bar {
            Some(bar) => bar.abandon(),
            None => self.say(),
        }
    }

    fn say(&self) {
        if self.bar.is_none() {
            self.said.set(Instant::now());
            let (done, steps) = (self.done.get(), self.steps);
            let more = if done > steps { "more than " } else { "" };
            eprintln!("{:>12}  {} of {more}{}", self.name, HumanCount(done), HumanCount(steps));
        }
    }
}
