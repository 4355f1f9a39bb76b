//! How far a group has come in one topic. What has never been delivered is a cursor, not a list: the cost of a
//! pull is that of the messages it takes, whatever waits behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::inspect::PartitionState;
use crate::ledger::{Entry, Totals};
use crate::message::Position;
use crate::names::{ConsumerId, LeaseId, Offset, PartitionId, TopicName};
use crate::storage::TopicLog;

/// A message of one of the group's topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The first offset that was never delivered.
    next: u64,
    /// Messages to be delivered again, with their `reconsumeTimes`. All are before `next`.
    again: BTreeMap<Offset, u32>,
    /// How many messages rest before they are to be delivered again.
    pub(crate) resting: u64,
    pub(crate) leases: BTreeSet<LeaseId>,
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
    /// A group's start: at the earliest message.
    pub(crate) fn new(topic: TopicName, log: Arc<dyn TopicLog>) -> Self {
        let partitions = (0..log.partitions()).map(|_| PartitionProgress::default()).collect();
        Self { topic, log, partitions, totals: Totals::default() }
    }

    pub(crate) fn owners(&self) -> Vec<Option<ConsumerId>> {
        self.partitions.iter().map(|partition| partition.owner).collect()
    }

    /// Whether the partition has a message to deliver.
    pub(crate) fn has_ready(&self, partition: PartitionId) -> bool {
        let progress = &self.partitions[partition.index()];
        !progress.again.is_empty() || progress.next < self.log.end(partition).0
    }

    /// Takes the partition's ready message with the lowest offset, if its size is within `room`.
    pub(crate) fn take(&mut self, partition: PartitionId, room: usize) -> Option<(Taken, usize)> {
        let progress = &mut self.partitions[partition.index()];
        let (offset, attempt) = match progress.again.first_key_value() {
            Some((&offset, &reconsume_times)) => (offset, Attempt::Again { reconsume_times }),
            None if progress.next < self.log.end(partition).0 => (Offset(progress.next), Attempt::First),
            None => return None,
        };
        let size = self.log.size(partition, offset);
        if size > room {
            return None;
        }
        match attempt {
            Attempt::Again { .. } => drop(progress.again.pop_first()),
            Attempt::First => progress.next += 1,
        }
        Some((Taken { position: Position { partition, offset }, attempt }, size))
    }

    /// Makes a message ready again.
    pub(crate) fn put_back(&mut self, position: Position, reconsume_times: u32) {
        self.partitions[position.partition.index()].again.insert(position.offset, reconsume_times);
    }

    /// What has become of everything published so far. Each partition's end is read once, so that the entry adds up
    /// while others publish.
    pub(crate) fn entry(&self) -> Entry {
        let mut entry = Entry { totals: self.totals, ..Entry::default() };
        for (partition, progress) in (0..).map(PartitionId).zip(&self.partitions) {
            let end = self.log.end(partition).0;
            entry.published += end;
            entry.ready += end - progress.next + progress.again.len() as u64 + progress.resting;
            entry.in_flight += progress.leases.len() as u64;
        }
        entry
    }

    /// Each partition's part of the account, in order.
    pub(crate) fn states(&self) -> impl Iterator<Item = PartitionState> {
        (0..).map(PartitionId).zip(&self.partitions).map(|(partition, progress)| PartitionState {
            partition,
            owner: progress.owner,
            ready: self.log.end(partition).0 - progress.next + progress.again.len() as u64 + progress.resting,
            in_flight: progress.leases.len() as u64,
        })
    }
}
