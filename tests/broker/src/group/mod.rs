//! A consumer group as a state machine: consumers, their share of the partitions, and what became of each message.
//!
//! It is synchronous and knows neither sockets nor clocks: an operation is called with the present moment, changes
//! the state, and leaves what the edge has to do in [`Effects`]. Time passes in [`Group::advance`], which takes every
//! due event in the order of its moment, so that the state depends on the history alone and not on how often anyone
//! looked.

mod account;
pub(crate) mod assignment;
pub(crate) mod change;
mod delivery;
mod inspect;
mod lease;
pub(crate) mod lifecycle;
mod membership;
#[cfg(test)]
mod model;
mod progress;
mod replay;
pub(crate) mod settings;
mod settlement;
mod snapshot;
mod unfit;
pub(crate) mod verdicts;

use std::collections::{BTreeSet, HashMap};

use change::{Change, Effects, Fate, Story};
pub(crate) use delivery::{Delivery, PullRequest, Pulled};
pub(crate) use inspect::PartitionState;
pub(crate) use lease::LeaseAges;
use lease::Leases;
use membership::Consumer;
pub(crate) use membership::Description;
use progress::{MessageRef, Progress, Rest};
use settings::Rules;
pub(crate) use settlement::{FailedReceipt, Settled};
pub(crate) use snapshot::GroupSnapshot;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::ledger::Entry;
use crate::names::{ConsumerId, GroupName, GroupTag, PartitionId, TopicName};

/// One consumer group.
pub(crate) struct Group {
    name: GroupName,
    rules: Rules,
    tag: GroupTag,
    now: Timestamp,
    consumers: HashMap<ConsumerId, Consumer>,
    joined: u64,
    topics: Vec<Progress>,
    leases: Leases,
    /// Failed messages by the moment at which they are ready again.
    resting: BTreeSet<(Timestamp, MessageRef)>,
    /// No member is silent for too long before this moment; `None` where there is no member.
    silence_due: Option<Timestamp>,
    effects: Effects,
}

impl Group {
    /// A group without consumers. `tag` marks its receipts.
    pub(crate) fn new(name: GroupName, rules: Rules, tag: GroupTag) -> Self {
        Self {
            name,
            rules,
            tag,
            now: Timestamp::default(),
            consumers: HashMap::new(),
            joined: 0,
            topics: Vec::new(),
            leases: Leases::default(),
            resting: BTreeSet::new(),
            silence_due: None,
            effects: Effects::default(),
        }
    }

    /// What the operations since the last call leave to be done.
    pub(crate) fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    /// These changes, as what happened up to now.
    pub(crate) fn story(&self, changes: Vec<Change>) -> Story {
        let (group, tag) = (self.name.clone(), self.tag);
        Story { group, tag, now: self.now, next_lease: Some(self.leases.next_unused()), changes }
    }

    /// The moment of what happened last.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// The next moment at which something happens by itself.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let rested = self.resting.first().map(|(at, _)| *at);
        [self.leases.next_deadline(), rested, self.silence_due].into_iter().flatten().min()
    }

    /// Lets time pass until `now`: leases expire, rests end, silent consumers leave.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        while let Some(due) = self.next_due().filter(|due| *due <= now) {
            self.now = self.now.max(due);
            if let Some(lease) = self.leases.pop_expired(due) {
                self.lease_expired(lease);
            } else if let Some((message, rest)) = self.rest_over(due) {
                self.make_ready(message, rest.reconsume_times);
            } else {
                self.drop_silent();
            }
        }
        self.now = self.now.max(now);
    }

    /// Tells the group that partitions of a topic have new messages.
    pub(crate) fn published(&mut self, topic: &TopicName, partitions: impl IntoIterator<Item = PartitionId>) {
        if let Some(index) = self.topics.iter().position(|progress| progress.topic == *topic) {
            for partition in partitions {
                self.wake_owner(index, partition);
            }
        }
    }

    /// The account of each topic that the group consumes.
    pub(crate) fn ledger(&self) -> impl Iterator<Item = (&TopicName, Entry)> {
        self.topics.iter().map(|progress| (&progress.topic, progress.entry()))
    }

    /// Has the owner of a partition look again, if it waits.
    fn wake_owner(&mut self, topic: usize, partition: PartitionId) {
        if let Some(owner) = self.topics[topic].partitions[partition.index()].owner {
            self.wake(owner);
        }
    }

    fn wake(&mut self, consumer: ConsumerId) {
        let waits = self.consumers.get(&consumer).is_some_and(|consumer| consumer.polls > 0);
        if waits && !self.effects.wake.contains(&consumer) {
            self.effects.wake.push(consumer);
        }
    }

    /// Puts a message back among those to deliver.
    fn make_ready(&mut self, message: MessageRef, reconsume_times: u32) {
        self.topics[message.topic].put_back(message.position, reconsume_times);
        self.wake_owner(message.topic, message.position.partition);
    }

    fn rest(&mut self, message: MessageRef, rest: Rest) {
        self.resting.insert((rest.until, message));
        self.partition(message).resting.insert(message.position.offset, rest);
    }

    /// Ends the rest that is over first, if its moment has come.
    fn rest_over(&mut self, now: Timestamp) -> Option<(MessageRef, Rest)> {
        let (until, message) = *self.resting.first().filter(|(until, _)| *until <= now)?;
        self.resting.remove(&(until, message));
        let rest = self.partition(message).resting.remove(&message.position.offset)?;
        Some((message, rest))
    }

    fn partition(&mut self, message: MessageRef) -> &mut progress::PartitionProgress {
        &mut self.topics[message.topic].partitions[message.position.partition.index()]
    }

    fn note(&mut self, message: MessageRef, fate: Fate) {
        let MessageRef { topic, position } = message;
        // A group has at most MAX_TOPICS_PER_GROUP topics.
        self.effects.changes.push(Change::Message { topic: topic as u32, position, fate });
    }

    fn consumer(&self, id: ConsumerId) -> Result<&Consumer, Error> {
        self.consumers.get(&id).ok_or(Error::ConsumerNotFound)
    }
}
