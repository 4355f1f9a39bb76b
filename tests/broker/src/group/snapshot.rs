//! A group's state as a snapshot has it, and the way back.
//!
//! Everything is in one order, so that two groups in the same state have equal snapshots. Polls that are open and turns
//! among partitions are left out, as in a [`Story`](super::change::Story).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Group;
use super::change::Effects;
use super::lease::{Lease, Leases};
use super::lifecycle::Lifecycle;
use super::membership::{Consumer, Membership};
use super::progress::{MessageRef, PartitionProgress, Progress, Rest};
use super::settings::{Rules, StoredSettings};
use super::unfit::{Logs, Misfit, Unfit, counted};
use super::verdicts::{StoredVerdicts, Verdicts};
use crate::clock::{Millis, Timestamp};
use crate::ledger::Totals;
use crate::limits::MAX_TOPICS_PER_GROUP;
use crate::message::Position;
use crate::names::{ConsumerId, GroupName, GroupTag, LeaseId, Offset, PartitionId, TopicName};

/// A group's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupSnapshot {
    name: GroupName,
    tag: GroupTag,
    now: Timestamp,
    joined: u64,
    silence_due: Option<Timestamp>,
    /// By id.
    consumers: Vec<StoredConsumer>,
    topics: Vec<StoredProgress>,
    next_lease: LeaseId,
    acknowledged: Vec<u64>,
    /// By id.
    leases: Vec<StoredLease>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredConsumer {
    id: ConsumerId,
    settings: StoredSettings,
    state: Lifecycle,
    last_seen: Timestamp,
    /// Of one that takes part, the place in the order of the joins.
    joined: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredProgress {
    topic: TopicName,
    totals: Totals,
    partitions: Vec<StoredPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredPartition {
    owner: Option<ConsumerId>,
    origin: Offset,
    next: Offset,
    again: Vec<(Offset, u32)>,
    resting: Vec<(Offset, Timestamp, u32)>,
    verdicts: StoredVerdicts,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredLease {
    id: LeaseId,
    topic: u32,
    position: Position,
    consumer: ConsumerId,
    reconsume_times: u32,
    ack_timeout: Millis,
    deadline: Timestamp,
}

impl Group {
    /// The state as it is now. To be taken when no effects wait to be carried out: a snapshot holds none.
    pub(crate) fn snapshot(&self) -> GroupSnapshot {
        let mut consumers: Vec<StoredConsumer> =
            self.consumers.iter().map(|(id, consumer)| StoredConsumer::of(*id, consumer)).collect();
        consumers.sort_unstable_by_key(|consumer| consumer.id);
        let mut leases: Vec<StoredLease> = self.leases.all().map(|(id, lease)| StoredLease::of(id, lease)).collect();
        leases.sort_unstable_by_key(|lease| lease.id);
        GroupSnapshot {
            name: self.name.clone(),
            tag: self.tag,
            now: self.now,
            joined: self.joined,
            silence_due: self.silence_due,
            consumers,
            topics: self.topics.iter().map(StoredProgress::of).collect(),
            next_lease: self.leases.next_unused(),
            acknowledged: self.leases.acknowledged().to_vec(),
            leases,
        }
    }

    /// The group that a snapshot was taken of. A log may still end before what the group has consumed: the snapshot's
    /// logs are older than its groups, and the journal makes up for that.
    pub(crate) fn restore(rules: Rules, snapshot: GroupSnapshot, logs: Logs<'_>) -> Result<Self, Unfit> {
        let group = snapshot.name.clone();
        Self::restored(rules, snapshot, logs).map_err(|misfit| Unfit { group, misfit })
    }

    fn restored(rules: Rules, snapshot: GroupSnapshot, logs: Logs<'_>) -> Result<Self, Misfit> {
        let GroupSnapshot { name, tag, now, joined, silence_due, consumers, topics, next_lease, acknowledged, leases } =
            snapshot;
        let mut group = Self::new(name, rules, tag);
        (group.now, group.joined, group.silence_due) = (now, counted(joined)?, silence_due);
        group.leases = Leases::restore(next_lease, acknowledged)?;
        if topics.len() > MAX_TOPICS_PER_GROUP {
            return Err(Misfit::TooMany("topics"));
        }
        for stored in topics {
            let topic = group.topics.len();
            let progress = stored.restore(&group, logs)?;
            for (partition, of) in (0..).map(PartitionId).zip(&progress.partitions) {
                let message = |offset| MessageRef { topic, position: Position { partition, offset } };
                group.resting.extend(of.resting.iter().map(|(offset, rest)| (rest.until, message(*offset))));
            }
            group.topics.push(progress);
        }
        for StoredConsumer { id, settings, state, last_seen, joined } in consumers {
            group.add_consumer(id, settings, logs)?;
            let Some(consumer) = group.consumers.get_mut(&id) else { continue };
            consumer.state = state;
            consumer.last_seen = last_seen;
            if let Some(order) = joined {
                consumer.membership = Membership::Member { order };
            }
        }
        for topic in 0..group.topics.len() {
            let owners = (0..).map(PartitionId).zip(group.topics[topic].owners()).collect::<Vec<_>>();
            group.check_owners(topic, &owners)?;
            group.assign(topic, &owners);
        }
        for lease in leases {
            group.restore_lease(lease)?;
        }
        group.effects = Effects::default();
        Ok(group)
    }

    fn restore_lease(&mut self, stored: StoredLease) -> Result<(), Misfit> {
        let StoredLease { id, topic, position, consumer, reconsume_times, ack_timeout, deadline } = stored;
        if !self.leases.is_known(id) || self.leases.running(id).is_some() {
            return Err(Misfit::LeaseId(id));
        }
        let message = self.message(topic, position)?;
        let settings = Arc::clone(&self.consumers.get(&consumer).ok_or(Misfit::NoConsumer(consumer))?.settings);
        let progress = self.partition(message);
        if position.offset >= progress.next || progress.leases.insert(position.offset, id).is_some() {
            return Err(self.misplaced(message, "not leased, or twice"));
        }
        self.leases.insert(id, Lease { message, consumer, settings, reconsume_times, ack_timeout, deadline });
        Ok(())
    }
}

#[cfg(test)]
impl GroupSnapshot {
    /// What stories tell of this: when members were last heard of is left out, and so are the single verdicts on what
    /// the log of the topics has removed.
    pub(super) fn told(mut self, log: &dyn crate::storage::TopicLog) -> Self {
        self.silence_due = None;
        for (partition, stored) in self.topics.iter_mut().flat_map(|of| (0..).map(PartitionId).zip(&mut of.partitions))
        {
            let mut verdicts = Verdicts::restore(stored.verdicts.clone()).unwrap();
            verdicts.trim(log.start(partition));
            stored.verdicts = verdicts.stored();
        }
        for member in self.consumers.iter_mut().filter(|consumer| consumer.joined.is_some()) {
            member.last_seen = Timestamp::default();
        }
        self
    }
}

impl StoredConsumer {
    fn of(id: ConsumerId, consumer: &Consumer) -> Self {
        let joined = match consumer.membership {
            Membership::Member { order } => Some(order),
            Membership::Away => None,
        };
        let (settings, state, last_seen) = (consumer.settings.stored(), consumer.state, consumer.last_seen);
        Self { id, settings, state, last_seen, joined }
    }
}

impl StoredLease {
    fn of(id: LeaseId, lease: &Lease) -> Self {
        let Lease { message: MessageRef { topic, position }, consumer, reconsume_times, ack_timeout, deadline, .. } =
            *lease;
        // A group has at most MAX_TOPICS_PER_GROUP topics.
        Self { id, topic: topic as u32, position, consumer, reconsume_times, ack_timeout, deadline }
    }
}

impl StoredProgress {
    fn of(progress: &Progress) -> Self {
        let partitions = progress.partitions.iter().map(StoredPartition::of).collect();
        Self { topic: progress.topic.clone(), totals: progress.totals, partitions }
    }

    fn restore(self, group: &Group, logs: Logs<'_>) -> Result<Progress, Misfit> {
        let Self { topic, totals, partitions } = self;
        let origins: Vec<Offset> = partitions.iter().map(|stored| stored.origin).collect();
        let mut progress = group.new_topic(topic, &origins, logs)?;
        let Totals { acked, dead_lettered, archived, forgotten, deliveries, redeliveries } = totals;
        for total in [acked, dead_lettered, archived, forgotten, deliveries, redeliveries] {
            counted(total)?;
        }
        progress.totals = totals;
        for (index, stored) in partitions.into_iter().enumerate() {
            let partition = PartitionId(u32::try_from(index).unwrap_or(u32::MAX));
            let misplaced = |offset| Misfit::Place {
                topic: progress.topic.clone(),
                partition,
                offset,
                actual: "outside of what the group has consumed",
            };
            let consumed = stored.origin..stored.next;
            let again = stored.again.iter().map(|(offset, _)| offset);
            let mut unsettled = again.chain(stored.resting.iter().map(|(offset, ..)| offset));
            if let Some(offset) = unsettled.find(|offset| !consumed.contains(offset)) {
                return Err(misplaced(*offset));
            }
            if stored.next < stored.origin || counted(stored.next.0).is_err() {
                return Err(misplaced(stored.next));
            }
            progress.partitions[index] = stored.restore()?;
        }
        Ok(progress)
    }
}

impl StoredPartition {
    fn of(progress: &PartitionProgress) -> Self {
        let rest = |(offset, rest): (&Offset, &Rest)| (*offset, rest.until, rest.reconsume_times);
        Self {
            owner: progress.owner,
            origin: progress.origin,
            next: progress.next,
            again: progress.again.iter().map(|(offset, times)| (*offset, *times)).collect(),
            resting: progress.resting.iter().map(rest).collect(),
            verdicts: progress.verdicts.stored(),
        }
    }

    fn restore(self) -> Result<PartitionProgress, Misfit> {
        let rest = |(offset, until, reconsume_times)| (offset, Rest { until, reconsume_times });
        Ok(PartitionProgress {
            owner: self.owner,
            origin: self.origin,
            next: self.next,
            again: self.again.into_iter().collect(),
            resting: self.resting.into_iter().map(rest).collect(),
            verdicts: Verdicts::restore(self.verdicts)?,
            ..PartitionProgress::default()
        })
    }
}
