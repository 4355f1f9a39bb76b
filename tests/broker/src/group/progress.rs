//! How far a group has come in one topic. What has never been delivered is a cursor, not a list: the cost of a
//! pull is that of the messages it takes, whatever waits behind them.
//!
//! Every message from the group's origin on has exactly one place: at or after the cursor, ready again, resting,
//! leased, or settled by a verdict.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::inspect::PartitionState;
use super::verdicts::{Verdict, Verdicts};
use crate::clock::Timestamp;
use crate::ledger::{Entry, Totals};
use crate::message::Position;
use crate::names::{ConsumerId, LeaseId, Offset, PartitionId, TopicName};
use crate::storage::TopicLog;

/// A message of one of the group's topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MessageRef {
    /// The place in the group's list of topics.
    pub(crate) topic: usize,
    pub(crate) position: Position,
}

/// One topic, as the group has consumed it.
pub(crate) struct Progress {
    pub(crate) topic: TopicName,
    pub(crate) log: Arc<dyn TopicLog>,
    pub(crate) partitions: Vec<PartitionProgress>,
    pub(crate) totals: Totals,
}

/// One partition, as the group has consumed it.
#[derive(Debug, Default)]
pub(crate) struct PartitionProgress {
    pub(crate) owner: Option<ConsumerId>,
    /// The group's first offset; it has nothing to do with what was before.
    pub(crate) origin: Offset,
    /// The cursor: the first offset that was never delivered.
    pub(crate) next: Offset,
    /// Messages to be delivered again, with their `reconsumeTimes`. All are before `next`.
    pub(crate) again: BTreeMap<Offset, u32>,
    /// Failed messages that rest before they are ready again.
    pub(crate) resting: BTreeMap<Offset, Rest>,
    pub(crate) leases: BTreeMap<Offset, LeaseId>,
    pub(crate) verdicts: Verdicts,
}

/// The back-off of a failed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    /// It is over at this moment.
    pub(crate) until: Timestamp,
    pub(crate) reconsume_times: u32,
}

/// A ready message that was taken to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) position: Position,
    pub(crate) attempt: Attempt,
}

/// Which delivery of a message this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    First,
    Again { reconsume_times: u32 },
}

impl Attempt {
    pub(crate) fn reconsume_times(self) -> u32 {
        match self {
            Self::First => 0,
            Self::Again { reconsume_times } => reconsume_times,
        }
    }
}

impl Progress {
    /// A group's start: at the earliest message that each partition holds.
    pub(crate) fn new(topic: TopicName, log: Arc<dyn TopicLog>) -> Self {
        let origins: Vec<Offset> = (0..log.partitions()).map(|partition| log.start(PartitionId(partition))).collect();
        Self::starting_at(topic, log, &origins)
    }

    /// A group's start, at these offsets of the partitions.
    pub(crate) fn starting_at(topic: TopicName, log: Arc<dyn TopicLog>, origins: &[Offset]) -> Self {
        let partition = |origin: &Offset| {
            let (origin, next) = (*origin, *origin);
            PartitionProgress { origin, next, ..PartitionProgress::default() }
        };
        Self { topic, log, partitions: origins.iter().map(partition).collect(), totals: Totals::default() }
    }

    pub(crate) fn origins(&self) -> Vec<Offset> {
        self.partitions.iter().map(|partition| partition.origin).collect()
    }

    pub(crate) fn owners(&self) -> Vec<Option<ConsumerId>> {
        self.partitions.iter().map(|partition| partition.owner).collect()
    }

    /// Whether the partition has a message to deliver.
    pub(crate) fn has_ready(&self, partition: PartitionId) -> bool {
        let progress = &self.partitions[partition.index()];
        !progress.again.is_empty() || progress.next < self.log.end(partition)
    }

    /// Takes the partition's ready message with the lowest offset, if its size is within `room`.
    pub(crate) fn take(&mut self, partition: PartitionId, room: usize) -> Option<(Taken, usize)> {
        let progress = &mut self.partitions[partition.index()];
        let (offset, attempt) = match progress.again.first_key_value() {
            Some((&offset, &reconsume_times)) => (offset, Attempt::Again { reconsume_times }),
            None if progress.next < self.log.end(partition) => (progress.next, Attempt::First),
            None => return None,
        };
        let size = self.log.size(partition, offset);
        if size > room {
            return None;
        }
        match attempt {
            Attempt::Again { .. } => drop(progress.again.pop_first()),
            Attempt::First => progress.next.0 += 1,
        }
        Some((Taken { position: Position { partition, offset }, attempt }, size))
    }

    /// Makes a message ready again.
    pub(crate) fn put_back(&mut self, position: Position, reconsume_times: u32) {
        self.partitions[position.partition.index()].again.insert(position.offset, reconsume_times);
    }

    /// Counts a delivery.
    pub(crate) fn count_delivery(&mut self, attempt: Attempt) {
        self.totals.deliveries += 1;
        self.totals.redeliveries += u64::from(attempt != Attempt::First);
    }

    /// Notes that the group is done with a message.
    pub(crate) fn settle(&mut self, position: Position, verdict: Verdict) {
        *self.totals.of(verdict) += 1;
        let Position { partition, offset } = position;
        self.partitions[partition.index()].verdicts.insert(offset..Offset(offset.0 + 1), verdict);
    }

    /// The `start` of a partition's log, if the messages before it that were removed had still to be delivered. Retention
    /// asks for what is settled first, so that it does not come to this.
    pub(crate) fn removed_below(&self, partition: PartitionId, start: Offset) -> Option<Offset> {
        let progress = &self.partitions[partition.index()];
        let waiting = progress.again.first_key_value().map_or(progress.next, |(offset, _)| progress.next.min(*offset));
        (waiting < start).then_some(start)
    }

    /// Forgets the messages below an offset that wait for their delivery, so that they do not wait for ever for what
    /// is not there any more. Returns those that rested.
    pub(crate) fn forget_below(&mut self, partition: PartitionId, below: Offset) -> Vec<(Offset, Rest)> {
        let progress = &mut self.partitions[partition.index()];
        let first = progress.next;
        progress.next = first.max(below);
        let ready = progress.again.split_off(&below);
        let resting = progress.resting.split_off(&below);
        let (ready, resting) =
            (std::mem::replace(&mut progress.again, ready), std::mem::replace(&mut progress.resting, resting));
        progress.verdicts.insert(first..progress.next, Verdict::Forgotten);
        self.totals.forgotten += progress.next.0 - first.0;
        for offset in ready.keys().chain(resting.keys()) {
            self.settle(Position { partition, offset: *offset }, Verdict::Forgotten);
        }
        resting.into_iter().collect()
    }

    /// What has become of everything published since the group's start. Each partition's end is read once, so that the
    /// entry adds up while others publish.
    pub(crate) fn entry(&self) -> Entry {
        let mut entry = Entry { totals: self.totals, ..Entry::default() };
        for (partition, progress) in (0..).map(PartitionId).zip(&self.partitions) {
            let end = self.log.end(partition);
            // While a broker recovers, the group may be ahead of a log that is still to be read.
            entry.published += end.max(progress.next).0 - progress.origin.0;
            entry.ready += progress.ready(end);
            entry.in_flight += progress.leases.len() as u64;
        }
        entry
    }

    /// Each partition's part of the account, in order.
    pub(crate) fn states(&self) -> impl Iterator<Item = PartitionState> {
        (0..).map(PartitionId).zip(&self.partitions).map(|(partition, progress)| PartitionState {
            partition,
            owner: progress.owner,
            ready: progress.ready(self.log.end(partition)),
            in_flight: progress.leases.len() as u64,
        })
    }
}

impl PartitionProgress {
    /// How many messages are to be delivered, at once or after a rest, where the log ends at `end`.
    fn ready(&self, end: Offset) -> u64 {
        end.0.saturating_sub(self.next.0) + (self.again.len() + self.resting.len()) as u64
    }

    /// The offset below which every message is settled.
    pub(crate) fn settled_below(&self) -> Offset {
        let again = self.again.first_key_value().map(|(offset, _)| *offset);
        let resting = self.resting.first_key_value().map(|(offset, _)| *offset);
        let leased = self.leases.first_key_value().map(|(offset, _)| *offset);
        [again, resting, leased].into_iter().flatten().fold(self.next, Offset::min)
    }
}
