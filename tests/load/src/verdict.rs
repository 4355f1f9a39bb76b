//! Whether the figures show what the incident is to show: all messages lost without AckGuard, and none with it.

use std::fmt;

use crate::result::{IncidentResult, RunResult};

/// One of the incident's two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Without AckGuard.
    Bare,
    /// With AckGuard.
    Guarded,
}

impl Side {
    /// Both runs, in the order in which they are made.
    pub const BOTH: [Self; 2] = [Self::Bare, Self::Guarded];

    /// The name in figures, topics and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Guarded => "guarded",
        }
    }
}

/// A figure that is not what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deviation {
    /// The run.
    pub side: Side,
    /// The figure.
    pub figure: &'static str,
    /// What the ledger says.
    pub found: u64,
    /// What it must say.
    pub expected: u64,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is {}, expected {}", self.side.name(), self.figure, self.found, self.expected)
    }
}

/// Every figure of `result` that differs from the incident's truth; none where it holds.
#[must_use]
pub fn deviations(result: &IncidentResult) -> Vec<Deviation> {
    let messages = result.messages;
    let expected = |side, run: &RunResult, lost| {
        [
            Deviation { side, figure: "published", found: run.published, expected: messages },
            Deviation { side, figure: "lost", found: run.lost, expected: lost },
            // A ledger that does not add up proves nothing, whatever it says of the lost.
            Deviation { side, figure: "acked + deadLettered + lost", found: run.settled(), expected: messages },
        ]
    };
    let bare = expected(Side::Bare, &result.bare, messages);
    let guarded = expected(Side::Guarded, &result.guarded, 0);
    bare.into_iter().chain(guarded).filter(|figure| figure.found != figure.expected).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: u64 = 100;

    fn run(acked: u64, archived: u64, forgotten: u64, dead_lettered: u64) -> RunResult {
        RunResult {
            published: MESSAGES,
            acked,
            archived,
            forgotten,
            dead_lettered,
            lost: archived + forgotten,
            redeliveries_per_message: 0.0,
            p50_ms: None,
            p99_ms: None,
        }
    }

    #[test]
    fn only_all_lost_without_and_none_lost_with_is_the_truth() {
        let lost = run(0, MESSAGES, 0, 0);
        let kept = run(MESSAGES, 0, 0, 0);
        let short = RunResult { published: 99, ..run(99, 0, 0, 0) };
        let cases: [(&str, RunResult, RunResult, &[&str]); 9] = [
            ("all archived, all acked", lost, kept, &[]),
            ("a loss by forgetting is a loss", run(0, 60, 40, 0), kept, &[]),
            ("a dead letter is not lost", lost, run(98, 0, 0, 2), &[]),
            ("nothing lost without", kept, kept, &["bare: lost is 0, expected 100"]),
            ("all lost with", lost, lost, &["guarded: lost is 100, expected 0"]),
            ("one lost with", lost, run(99, 0, 1, 0), &["guarded: lost is 1, expected 0"]),
            ("one survived without", run(1, 99, 0, 0), kept, &["bare: lost is 99, expected 100"]),
            (
                "one never published",
                lost,
                short,
                &["guarded: published is 99, expected 100", "guarded: acked + deadLettered + lost is 99, expected 100"],
            ),
            (
                "one unaccounted for",
                lost,
                run(99, 0, 0, 0),
                &["guarded: acked + deadLettered + lost is 99, expected 100"],
            ),
        ];
        for (name, bare, guarded, expected) in cases {
            let result = IncidentResult { messages: MESSAGES, bare, guarded };
            let found: Vec<_> = deviations(&result).iter().map(Deviation::to_string).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}
