//! The account of every single message: where it is, or what became of it. Reconciliation asks for it, and retention.

use std::ops::Range;

use super::Group;
use super::progress::Progress;
use super::verdicts::Verdict;
use crate::message::{Message, Position};
use crate::names::{GroupName, Offset, PartitionId, TopicName};

impl Group {
    pub(crate) fn name(&self) -> &GroupName {
        &self.name
    }

    /// The topics that the group consumes.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.topics.iter().map(|progress| &progress.topic)
    }

    /// The offset below which the group is done with every message of a partition; `None` where it does not consume the
    /// topic.
    pub(crate) fn settled_below(&self, topic: &TopicName, partition: PartitionId) -> Option<Offset> {
        Some(self.progress(topic)?.partitions.get(partition.index())?.settled_below())
    }

    /// What does not add up in a partition whose log ends at `end`: messages without a place in the group, and messages
    /// with two. Neighbours that lack the same are one finding, under the offset of the first.
    pub(crate) fn unaccounted(&self, topic: &TopicName, partition: PartitionId, end: Offset) -> Vec<(Offset, String)> {
        let Some(progress) = self.progress(topic) else { return Vec::new() };
        let Some(of) = progress.partitions.get(partition.index()) else { return Vec::new() };
        let mut findings = Vec::new();
        let mut places: Vec<(Range<Offset>, &str)> = Vec::new();
        let one = |offset: &Offset, place| (*offset..Offset(offset.0 + 1), place);
        places.extend(of.again.keys().map(|offset| one(offset, "ready again")));
        places.extend(of.resting.keys().map(|offset| one(offset, "resting")));
        places.extend(of.leases.keys().map(|offset| one(offset, "leased")));
        places.extend(of.verdicts.runs().map(|(offsets, verdict)| (offsets, verdict.as_str())));
        places.extend((of.next < end).then_some((of.next..end, "to be delivered")));
        places.sort_by_key(|(offsets, _)| offsets.start);

        // What is below was settled and removed, or was there before the group.
        let mut next = of.origin.max(of.verdicts.trimmed()).max(progress.log.start(partition)).min(end);
        let mut last = "";
        for (Range { start, end: after }, place) in places {
            if start > next {
                findings.push((next, format!("nothing is known of it and what follows, up to {}", start.0)));
            } else if start < next && !last.is_empty() {
                findings.push((start, format!("it is {last} and {place}")));
            }
            if after > next {
                (next, last) = (after, place);
            }
        }
        if next < end {
            findings.push((next, format!("nothing is known of it and what follows, up to {}", end.0)));
        } else if next > end {
            findings.push((end, format!("the log ends here, but the group knows of messages up to {}", next.0)));
        }
        for (offset, id) in &of.leases {
            let of = self.leases.running(*id).map(|lease| (lease.message.position, &self.topics[lease.message.topic]));
            let position = Position { partition, offset: *offset };
            if of.is_none_or(|(leased, of)| leased != position || of.topic != *topic) {
                findings.push((*offset, "it is leased, but there is no such lease".to_owned()));
            }
        }
        findings
    }

    /// Where the figures of the ledger are not those of the single messages.
    pub(crate) fn miscounted(&self) -> Vec<String> {
        let mut miscounts = Vec::new();
        for Progress { topic, partitions, totals, .. } in &self.topics {
            let mut counts = [0; Verdict::ALL.len()];
            for partition in partitions {
                for (sum, count) in counts.iter_mut().zip(partition.verdicts.counts()) {
                    *sum += count;
                }
            }
            let mut totals = *totals;
            for (verdict, count) in Verdict::ALL.into_iter().zip(counts) {
                let total = *totals.of(verdict);
                if total != count {
                    let verdict = verdict.as_str();
                    miscounts.push(format!("{topic}: {total} messages are counted as {verdict}, and {count} are"));
                }
            }
        }
        let told: usize = self.topics.iter().flat_map(|of| &of.partitions).map(|of| of.leases.len()).sum();
        let running = self.leases.all().count();
        if told != running {
            miscounts.push(format!("{told} messages are leased, by {running} leases"));
        }
        miscounts
    }

    /// The messages of a partition that the group sent to a dead-letter topic, of those that the log still has.
    pub(crate) fn dead_lettered(&self, topic: &TopicName, partition: PartitionId) -> Vec<Offset> {
        let Some(progress) = self.progress(topic) else { return Vec::new() };
        let Some(of) = progress.partitions.get(partition.index()) else { return Vec::new() };
        let start = progress.log.start(partition).0;
        let dead = of.verdicts.runs().filter(|(_, verdict)| *verdict == Verdict::DeadLettered);
        dead.flat_map(|(run, _)| run.start.0.max(start)..run.end.0).map(Offset).collect()
    }

    /// Whether the dead letter of a message may have been removed since: the partition that it went to has lost its oldest.
    pub(crate) fn letter_may_be_removed(&self, died: &Message, from: PartitionId) -> bool {
        let mut topics = self.consumers.values().filter_map(|consumer| consumer.settings.dead_letter.as_ref());
        topics.any(|to| to.log.start(to.partition_for(died, from)) > Offset(0))
    }

    fn progress(&self, topic: &TopicName) -> Option<&Progress> {
        self.topics.iter().find(|progress| progress.topic == *topic)
    }
}
