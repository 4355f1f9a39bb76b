//! What became of every message that a group is done with, one partition at a time.
//!
//! Neighbours with the same verdict are one run, so that a partition whose messages were acknowledged takes as much
//! memory as its first ack, however many there were. The worst case is verdicts that alternate: a run for each
//! message, 24 bytes in a B-tree, some 40 with the tree's own. Retention bounds the number of messages, and with it
//! that of the runs: what is below the log's start is only counted.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::unfit::{Misfit, counted};
use crate::names::Offset;

/// How a message ended for a group. Nothing comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    Acknowledged,
    DeadLettered,
    Archived,
    /// Lost at a rebalance under the legacy semantics, or removed from the log before it was settled.
    Forgotten,
}

impl Verdict {
    pub(super) const ALL: [Self; 4] = [Self::Acknowledged, Self::DeadLettered, Self::Archived, Self::Forgotten];

    /// The word that the ledger has for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acked",
            Self::DeadLettered => "dead-lettered",
            Self::Archived => "archived",
            Self::Forgotten => "forgotten",
        }
    }
}

/// The verdicts on the messages of one partition.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    /// The runs by their first offset. They do not overlap, and no two that touch have the same verdict.
    runs: BTreeMap<u64, Run>,
    /// Messages below this are no longer told apart.
    trimmed: u64,
    /// How many of those had each verdict, in the order of [`Verdict::ALL`].
    below: [u64; 4],
}

#[derive(Clone, Copy, Debug)]
struct Run {
    end: u64,
    verdict: Verdict,
}

/// The verdicts as they are kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredVerdicts {
    trimmed: u64,
    below: [u64; 4],
    /// For each run the distance from the end of the one before (the first: from `trimmed`), its length, its verdict.
    runs: Vec<(u64, u64, Verdict)>,
}

impl Verdicts {
    /// Notes the verdict on the messages of a range. A message keeps its first verdict: where there is one already,
    /// nothing is noted, and the counts tell that a message was judged twice.
    pub(crate) fn insert(&mut self, offsets: Range<Offset>, verdict: Verdict) {
        let Range { start: Offset(start), end: Offset(end) } = offsets;
        // Who is late for its own message's removal is counted alone.
        let kept = start.max(self.trimmed);
        self.below[verdict as usize] += kept.min(end).saturating_sub(start);
        let before = self.runs.range(..=kept).next_back().map(|(first, run)| (*first, *run));
        if kept >= end || before.is_some_and(|(_, run)| run.end > kept) {
            return;
        }
        let mut joined = kept..end;
        if let Some((first, _)) = before.filter(|(_, run)| run.end == kept && run.verdict == verdict) {
            self.runs.remove(&first);
            joined.start = first;
        }
        if let Some(run) = self.runs.get(&end).copied().filter(|run| run.verdict == verdict) {
            self.runs.remove(&end);
            joined.end = run.end;
        }
        self.runs.insert(joined.start, Run { end: joined.end, verdict });
    }

    /// Lets go of what is known of single messages below an offset.
    pub(crate) fn trim(&mut self, Offset(below): Offset) {
        while let Some(run) = self.runs.first_entry().filter(|run| *run.key() < below) {
            let (first, Run { end, verdict }) = run.remove_entry();
            self.below[verdict as usize] += end.min(below) - first;
            if end > below {
                self.runs.insert(below, Run { end, verdict });
            }
        }
        self.trimmed = self.trimmed.max(below);
    }

    /// The offset from which on messages are told apart.
    pub(crate) fn trimmed(&self) -> Offset {
        Offset(self.trimmed)
    }

    /// The runs in their order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (Range<Offset>, Verdict)> {
        self.runs.iter().map(|(first, run)| (Offset(*first)..Offset(run.end), run.verdict))
    }

    /// How many messages have each verdict, in the order of [`Verdict::ALL`].
    pub(crate) fn counts(&self) -> [u64; 4] {
        let mut counts = self.below;
        for (first, Run { end, verdict }) in &self.runs {
            counts[*verdict as usize] += end - first;
        }
        counts
    }

    pub(crate) fn stored(&self) -> StoredVerdicts {
        let mut last = self.trimmed;
        let run = |(first, run): (&u64, &Run)| {
            let gap = first - std::mem::replace(&mut last, run.end);
            (gap, run.end - first, run.verdict)
        };
        StoredVerdicts { trimmed: self.trimmed, below: self.below, runs: self.runs.iter().map(run).collect() }
    }

    pub(crate) fn restore(stored: StoredVerdicts) -> Result<Self, Misfit> {
        let mut verdicts = Self { trimmed: counted(stored.trimmed)?, ..Self::default() };
        for (count, stored) in verdicts.below.iter_mut().zip(stored.below) {
            *count = counted(stored)?;
        }
        let mut last = verdicts.trimmed;
        for (gap, length, verdict) in stored.runs {
            let first = counted(last.saturating_add(gap))?;
            last = counted(first.saturating_add(length))?;
            verdicts.insert(Offset(first)..Offset(last), verdict);
        }
        Ok(verdicts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn insert(verdicts: &mut Verdicts, offset: u64, verdict: Verdict) {
        verdicts.insert(Offset(offset)..Offset(offset + 1), verdict);
    }

    #[test]
    fn messages_acknowledged_out_of_order_end_as_one_run() {
        let mut verdicts = Verdicts::default();
        for block in 0..1_000 {
            for offset in [3, 1, 0, 2] {
                insert(&mut verdicts, block * 4 + offset, Verdict::Acknowledged);
            }
            assert_eq!(verdicts.runs().count(), 1);
        }
        assert_eq!(verdicts.counts(), [4_000, 0, 0, 0]);
    }

    #[test]
    fn a_message_is_judged_once() {
        let mut verdicts = Verdicts::default();
        insert(&mut verdicts, 7, Verdict::Archived);
        insert(&mut verdicts, 7, Verdict::Acknowledged);
        assert_eq!(verdicts.counts(), [0, 0, 1, 0]);
    }

    proptest! {
        #[test]
        fn every_verdict_is_kept_and_counted(
            order in Just((0_u64..60).collect::<Vec<_>>()).prop_shuffle(),
            judged in prop::collection::vec(prop::sample::select(Verdict::ALL.to_vec()), 0..60),
            trims in prop::collection::vec((0_usize..60, 0_u64..70), 0..4),
        ) {
            let (mut verdicts, mut expected) = (Verdicts::default(), BTreeMap::new());
            for (step, (offset, verdict)) in order.iter().zip(judged).enumerate() {
                insert(&mut verdicts, *offset, verdict);
                expected.insert(*offset, verdict);
                for (_, below) in trims.iter().filter(|(at, _)| *at == step) {
                    verdicts.trim(Offset(*below));
                }
                let counts = Verdict::ALL.map(|verdict| expected.values().filter(|of| **of == verdict).count() as u64);
                prop_assert_eq!(verdicts.counts(), counts);
                let mut last: Option<(u64, Verdict)> = None;
                let mut told = BTreeMap::new();
                for (Range { start, end }, verdict) in verdicts.runs() {
                    prop_assert!(last.is_none_or(|last| last.0 < start.0 || last.0 == start.0 && last.1 != verdict));
                    told.extend((start.0..end.0).map(|offset| (offset, verdict)));
                    last = Some((end.0, verdict));
                }
                let kept = expected.range(verdicts.trimmed().0..).map(|(offset, verdict)| (*offset, *verdict));
                prop_assert_eq!(told, kept.collect());
                let restored = Verdicts::restore(verdicts.stored()).map(|restored| restored.stored());
                prop_assert_eq!(restored.ok(), Some(verdicts.stored()));
            }
        }
    }
}
