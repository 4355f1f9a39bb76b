//! The account of every message: where it is, or what became of it.

use serde::{Deserialize, Serialize};

use crate::group::verdicts::Verdict;
use crate::names::{GroupName, TopicName};

/// What has happened to a group's messages of one topic so far. These figures only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Totals {
    pub(crate) acked: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) archived: u64,
    /// Lost at a rebalance, under the legacy semantics; or gone from the log before the group was done with them.
    pub(crate) forgotten: u64,
    /// Deliveries to consumers, redeliveries among them.
    pub(crate) deliveries: u64,
    /// Deliveries of messages that had been delivered before.
    pub(crate) redeliveries: u64,
}

impl Totals {
    /// The number of messages with a verdict.
    pub(crate) fn of(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::Acknowledged => &mut self.acked,
            Verdict::DeadLettered => &mut self.dead_lettered,
            Verdict::Archived => &mut self.archived,
            Verdict::Forgotten => &mut self.forgotten,
        }
    }
}

/// The account of one group in one topic at one moment:
/// `published = ready + in_flight + acked + dead_lettered + archived + forgotten`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// Messages since the group's start, which is the oldest one that the topic held at its first subscribe.
    pub(crate) published: u64,
    /// To be delivered, at once or after a rest.
    pub(crate) ready: u64,
    pub(crate) in_flight: u64,
    #[serde(flatten)]
    pub(crate) totals: Totals,
}

impl Entry {
    /// Adds another group's account.
    pub(crate) fn add(&mut self, other: &Entry) {
        self.published += other.published;
        self.ready += other.ready;
        self.in_flight += other.in_flight;
        let (totals, more) = (&mut self.totals, &other.totals);
        totals.acked += more.acked;
        totals.dead_lettered += more.dead_lettered;
        totals.archived += more.archived;
        totals.forgotten += more.forgotten;
        totals.deliveries += more.deliveries;
        totals.redeliveries += more.redeliveries;
    }

    /// Messages whose whereabouts the entry states; equal to `published` at every moment.
    #[cfg(test)]
    pub(crate) fn accounted(&self) -> u64 {
        let Totals { acked, dead_lettered, archived, forgotten, .. } = self.totals;
        self.ready + self.in_flight + acked + dead_lettered + archived + forgotten
    }
}

/// The account of one group in one topic, named.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GroupAccount {
    pub(crate) topic: TopicName,
    pub(crate) group: GroupName,
    #[serde(flatten)]
    pub(crate) entry: Entry,
}

/// A topic, for those that no group consumes as well.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TopicAccount {
    pub(crate) topic: TopicName,
    pub(crate) partitions: u32,
    pub(crate) published: u64,
}

/// The whole account. The entries of one group are one consistent snapshot.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ledger {
    pub(crate) topics: Vec<TopicAccount>,
    pub(crate) entries: Vec<GroupAccount>,
}
