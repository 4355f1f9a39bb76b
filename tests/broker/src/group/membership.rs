//! Who belongs to a group: subscribe, the lifecycle, silence, and the sharing out of partitions that follows.

use std::sync::Arc;

use super::assignment;
use super::change::{Change, Fate};
use super::lifecycle::{Lifecycle, Transition};
use super::progress::Progress;
use super::settings::{Semantics, Settings};
use super::verdicts::Verdict;
use super::{Group, PartitionId};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::limits::{MAX_CONSUMERS, MAX_TOPICS_PER_GROUP};
use crate::names::ConsumerId;
use crate::storage::TopicLog;

/// A consumer of the group.
pub(super) struct Consumer {
    pub(super) settings: Arc<Settings>,
    pub(super) topic: usize,
    pub(super) state: Lifecycle,
    pub(super) last_seen: Timestamp,
    pub(super) membership: Membership,
    /// Long polls that wait; while there is one, the consumer is not silent.
    pub(super) polls: u32,
    pub(super) partitions: Vec<PartitionId>,
    /// Where the next pull starts among `partitions`, so that each gets its turn.
    pub(super) turn: usize,
}

/// Whether a consumer has a share of the partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    /// It has; `order` counts the joins.
    Member { order: u64 },
    /// It was silent for too long, or it has stopped. A silent one joins again at its next operation.
    Away,
}

/// A consumer, as it is told of itself.
#[derive(Clone)]
pub(crate) struct Description {
    pub(crate) consumer: ConsumerId,
    pub(crate) state: Lifecycle,
    pub(crate) settings: Arc<Settings>,
    pub(crate) partitions: Vec<PartitionId>,
    pub(crate) in_flight: u64,
    pub(crate) waiting_pulls: u32,
    pub(crate) last_seen: Timestamp,
}

impl Consumer {
    /// One that has just subscribed and is to join.
    pub(super) fn new(settings: Settings, topic: usize, now: Timestamp) -> Self {
        Self {
            settings: Arc::new(settings),
            topic,
            state: Lifecycle::Created,
            last_seen: now,
            membership: Membership::Away,
            polls: 0,
            partitions: Vec::new(),
            turn: 0,
        }
    }
}

impl Group {
    /// Adds a consumer, which takes part at once: its share of the partitions is in the answer. `log` is that of the
    /// topic that the settings name.
    pub(crate) fn subscribe(
        &mut self,
        id: ConsumerId,
        settings: Settings,
        log: &Arc<dyn TopicLog>,
        now: Timestamp,
    ) -> Result<Description, Error> {
        self.advance(now);
        let known = self.topics.iter().position(|progress| progress.topic == settings.topic);
        if known.is_none() && self.topics.len() >= MAX_TOPICS_PER_GROUP {
            return Err(Error::throttled("topics of a group", MAX_TOPICS_PER_GROUP));
        }
        self.make_room()?;
        let topic = known.unwrap_or_else(|| {
            let progress = Progress::new(settings.topic.clone(), Arc::clone(log));
            let (topic, origins) = (progress.topic.clone(), progress.origins());
            self.effects.changes.push(Change::TopicAdded { topic, origins });
            self.topics.push(progress);
            self.topics.len() - 1
        });
        self.effects.changes.push(Change::Subscribed { consumer: id, settings: settings.stored() });
        self.consumers.insert(id, Consumer::new(settings, topic, self.now));
        self.touch(id)?;
        self.describe(id, self.now)
    }

    /// Takes a step of the consumer's lifecycle.
    pub(crate) fn step(&mut self, id: ConsumerId, step: Transition, now: Timestamp) -> Result<Lifecycle, Error> {
        self.advance(now);
        let consumer = self.consumers.get_mut(&id).ok_or(Error::ConsumerNotFound)?;
        let state = consumer.state.after(step)?;
        consumer.state = state;
        self.effects.changes.push(Change::Stepped { consumer: id, state });
        self.touch(id)?;
        if !state.takes_part() {
            self.leave(&[id]);
        }
        // An open poll must learn that it may not go on.
        self.wake(id);
        Ok(state)
    }

    /// A consumer's state, settings and share. Being looked at is not a sign of life.
    pub(crate) fn describe(&mut self, id: ConsumerId, now: Timestamp) -> Result<Description, Error> {
        self.advance(now);
        let consumer = self.consumer(id)?;
        let partitions = &self.topics[consumer.topic].partitions;
        Ok(Description {
            consumer: id,
            state: consumer.state,
            settings: Arc::clone(&consumer.settings),
            partitions: consumer.partitions.clone(),
            in_flight: consumer.partitions.iter().map(|id| partitions[id.index()].leases.len() as u64).sum(),
            waiting_pulls: consumer.polls,
            last_seen: consumer.last_seen,
        })
    }

    /// Notes that a long poll of the consumer waits.
    pub(crate) fn poll_opened(&mut self, id: ConsumerId) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.polls += 1;
        }
    }

    /// Notes that a long poll of the consumer has ended, by its answer or by its client.
    pub(crate) fn poll_closed(&mut self, id: ConsumerId, now: Timestamp) {
        self.advance(now);
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.polls -= 1;
            // Of one that has left it is no sign of life.
            if consumer.membership != Membership::Away {
                consumer.last_seen = self.now;
            }
        }
    }

    /// Notes a sign of life; one that was away joins again.
    pub(super) fn touch(&mut self, id: ConsumerId) -> Result<(), Error> {
        let consumer = self.consumers.get_mut(&id).ok_or(Error::ConsumerNotFound)?;
        consumer.last_seen = self.now;
        if consumer.state.takes_part() && consumer.membership == Membership::Away {
            let topic = consumer.topic;
            self.effects.changes.push(Change::Joined { consumer: id });
            self.join(id);
            self.share_out(topic);
        }
        Ok(())
    }

    /// Has a consumer take part from now on; it has no share yet.
    pub(super) fn join(&mut self, id: ConsumerId) {
        let Some(consumer) = self.consumers.get_mut(&id) else { return };
        self.joined += 1;
        consumer.membership = Membership::Member { order: self.joined };
        let due = self.now + self.rules.silence();
        self.silence_due = Some(self.silence_due.map_or(due, |earlier| earlier.min(due)));
    }

    /// Has the members leave that were silent for too long, and finds out who may be next.
    pub(super) fn drop_silent(&mut self) {
        let (now, silence) = (self.now, self.rules.silence());
        let mut silent = Vec::new();
        let mut next = None::<Timestamp>;
        for (id, consumer) in &mut self.consumers {
            if consumer.membership == Membership::Away {
                continue;
            }
            if consumer.polls > 0 {
                consumer.last_seen = now;
            }
            let due = consumer.last_seen + silence;
            if due <= now {
                silent.push(*id);
            } else {
                next = Some(next.map_or(due, |earlier| earlier.min(due)));
            }
        }
        self.silence_due = next;
        silent.sort_unstable();
        self.leave(&silent);
    }

    fn leave(&mut self, ids: &[ConsumerId]) {
        let mut topics = Vec::new();
        for id in ids {
            let member = |consumer: &&mut Consumer| consumer.membership != Membership::Away;
            if let Some(consumer) = self.consumers.get_mut(id).filter(member) {
                consumer.membership = Membership::Away;
                topics.push(consumer.topic);
                self.effects.changes.push(Change::Left { consumer: *id, last_seen: consumer.last_seen });
            }
        }
        topics.sort_unstable();
        topics.dedup();
        for topic in topics {
            self.share_out(topic);
        }
    }

    /// Shares a topic's partitions out among its members. The leases on a partition that changes hands end.
    fn share_out(&mut self, topic: usize) {
        let mut members: Vec<(u64, ConsumerId)> = self
            .consumers
            .iter()
            .filter(|(_, consumer)| consumer.topic == topic)
            .filter_map(|(id, consumer)| match consumer.membership {
                Membership::Member { order } => Some((order, *id)),
                Membership::Away => None,
            })
            .collect();
        members.sort_unstable();
        let members: Vec<ConsumerId> = members.into_iter().map(|(_, id)| id).collect();
        let before = self.topics[topic].owners();
        let after = assignment::share(&before, &members);
        let partitions = (0..).map(PartitionId).zip(before.iter().zip(after));
        let moved: Vec<(PartitionId, Option<ConsumerId>)> =
            partitions.filter(|(_, (was, is))| **was != *is).map(|(partition, (_, is))| (partition, is)).collect();
        if !moved.is_empty() {
            self.assign(topic, &moved);
            // A group has at most MAX_TOPICS_PER_GROUP topics.
            self.effects.changes.push(Change::Shared { topic: topic as u32, moved: moved.clone() });
        }
        for (partition, _) in moved {
            self.end_leases(topic, partition);
        }
        for id in members {
            self.wake(id);
        }
    }

    /// Gives partitions of a topic to new owners.
    pub(super) fn assign(&mut self, topic: usize, moved: &[(PartitionId, Option<ConsumerId>)]) {
        for (partition, owner) in moved {
            self.topics[topic].partitions[partition.index()].owner = *owner;
        }
        for consumer in self.consumers.values_mut().filter(|consumer| consumer.topic == topic) {
            consumer.partitions.clear();
            consumer.turn = 0;
        }
        for (partition, progress) in (0..).map(PartitionId).zip(&self.topics[topic].partitions) {
            if let Some(owner) = progress.owner.and_then(|owner| self.consumers.get_mut(&owner)) {
                owner.partitions.push(partition);
            }
        }
    }

    /// Ends the leases of a partition that is taken from its owner. What becomes of the messages follows the semantics
    /// that they were delivered under.
    fn end_leases(&mut self, topic: usize, partition: PartitionId) {
        for id in std::mem::take(&mut self.topics[topic].partitions[partition.index()].leases).into_values() {
            let Some(lease) = self.leases.remove(id) else { continue };
            match lease.settings.semantics {
                Semantics::Legacy => {
                    self.topics[topic].settle(lease.message.position, Verdict::Forgotten);
                    self.note(lease.message, Fate::Forgotten);
                }
                Semantics::Fixed => {
                    let reconsume_times = lease.reconsume_times;
                    self.note(lease.message, Fate::Ready { reconsume_times, at: self.now });
                    self.make_ready(lease.message, reconsume_times);
                }
            }
        }
    }

    /// Makes sure that one more consumer is within the limit: the one that has been away for longest is forgotten.
    fn make_room(&mut self) -> Result<(), Error> {
        if self.consumers.len() < MAX_CONSUMERS {
            return Ok(());
        }
        let away = self.consumers.iter().filter(|(_, consumer)| consumer.membership == Membership::Away);
        let longest = away.min_by_key(|(id, consumer)| (consumer.last_seen, **id)).map(|(id, _)| *id);
        let longest = longest.ok_or(Error::throttled("consumers of a group", MAX_CONSUMERS))?;
        self.consumers.remove(&longest);
        self.effects.changes.push(Change::Dropped { consumer: longest });
        Ok(())
    }
}
