//! Why something that was kept on disk does not fit the broker, or does not fit what else was kept.

use std::sync::Arc;

use super::Group;
use super::membership::{Consumer, Membership};
use super::progress::{MessageRef, Progress};
use super::settings::{Settings, StoredSettings};
use crate::limits::MAX_CONSUMERS;
use crate::message::Position;
use crate::names::{ConsumerId, GroupName, LeaseId, Offset, PartitionId, TopicName};
use crate::storage::TopicLog;

/// Finds the log of a topic.
pub(crate) type Logs<'a> = &'a dyn Fn(&TopicName) -> Option<Arc<dyn TopicLog>>;

/// The state of a group, or a part of its story, is not used: it names what is not there, or cannot have happened. The
/// group must not be used any more.
#[derive(Debug, thiserror::Error)]
#[error("group {group}: {misfit}")]
pub(crate) struct Unfit {
    pub(crate) group: GroupName,
    pub(crate) misfit: Misfit,
}

/// What does not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misfit {
    #[error("it is told as the story of another group of that name")]
    Tag,
    #[error("there is no topic {0}")]
    NoTopic(TopicName),
    #[error("it consumes the topic {0} twice")]
    TopicTwice(TopicName),
    #[error("it has no topic at place {0}")]
    NoTopicAt(u32),
    #[error("topic {topic} has {actual} partitions, not {told}")]
    Partitions { topic: TopicName, actual: usize, told: usize },
    #[error("topic {topic} has no partition {}", .partition.0)]
    NoPartition { topic: TopicName, partition: PartitionId },
    #[error("it has no consumer {0}")]
    NoConsumer(ConsumerId),
    #[error("it has the consumer {0} already")]
    ConsumerTwice(ConsumerId),
    #[error("consumer {consumer} takes part in topic {topic} or is to, which it does not consume")]
    WrongTopic { consumer: ConsumerId, topic: TopicName },
    #[error("consumer {0} owns partitions and takes no part")]
    OwnerAway(ConsumerId),
    #[error("consumer {0} takes part already, or was removed while it did")]
    Member(ConsumerId),
    #[error("it has more {0} than there may be")]
    TooMany(&'static str),
    #[error("an ack timeout of 0 is of the legacy semantics alone")]
    ZeroAckTimeout,
    #[error("no lease {} runs", .0.0)]
    NoLease(LeaseId),
    #[error("lease {} was given out before, or was not yet", .0.0)]
    LeaseId(LeaseId),
    #[error("the message at offset {} of {topic}/{} is {actual}", .offset.0, .partition.0)]
    Place { topic: TopicName, partition: PartitionId, offset: Offset, actual: &'static str },
    #[error("{0} is larger than anything that is counted")]
    Count(u64),
}

/// No count of messages, deliveries or leases gets there, and sums of several of them stay within 64 bits.
const MOST: u64 = 1 << 56;

/// A count from the disk, if it can be one.
pub(super) fn counted(count: u64) -> Result<u64, Misfit> {
    if count < MOST { Ok(count) } else { Err(Misfit::Count(count)) }
}

/// What is told of a group is taken over through these, which see to it that it fits.
impl Group {
    /// Adds a consumer that takes no part yet.
    pub(super) fn add_consumer(
        &mut self,
        id: ConsumerId,
        settings: StoredSettings,
        logs: Logs<'_>,
    ) -> Result<(), Misfit> {
        let settings = Settings::restore(settings, logs)?;
        if self.consumers.contains_key(&id) {
            return Err(Misfit::ConsumerTwice(id));
        }
        if self.consumers.len() >= MAX_CONSUMERS {
            return Err(Misfit::TooMany("consumers"));
        }
        let Some(topic) = self.topics.iter().position(|progress| progress.topic == settings.topic) else {
            return Err(Misfit::WrongTopic { consumer: id, topic: settings.topic });
        };
        self.consumers.insert(id, Consumer::new(settings, topic, self.now));
        Ok(())
    }

    /// Whether these can be owners of partitions of a topic.
    pub(super) fn check_owners(
        &self,
        topic: usize,
        owners: &[(PartitionId, Option<ConsumerId>)],
    ) -> Result<(), Misfit> {
        let progress = &self.topics[topic];
        for (partition, owner) in owners {
            if partition.index() >= progress.partitions.len() {
                return Err(Misfit::NoPartition { topic: progress.topic.clone(), partition: *partition });
            }
            let Some(owner) = owner else { continue };
            let consumer = self.consumers.get(owner).ok_or(Misfit::NoConsumer(*owner))?;
            if consumer.topic != topic {
                return Err(Misfit::WrongTopic { consumer: *owner, topic: progress.topic.clone() });
            }
            if consumer.membership == Membership::Away {
                return Err(Misfit::OwnerAway(*owner));
            }
        }
        Ok(())
    }

    /// The message of one of the group's topics, by the topic's place, if there can be one.
    pub(super) fn message(&self, topic: u32, position: Position) -> Result<MessageRef, Misfit> {
        let progress = self.topics.get(topic as usize).ok_or(Misfit::NoTopicAt(topic))?;
        if position.partition.index() >= progress.partitions.len() {
            return Err(Misfit::NoPartition { topic: progress.topic.clone(), partition: position.partition });
        }
        Ok(MessageRef { topic: topic as usize, position })
    }

    /// A message that is not where it is told to be.
    pub(super) fn misplaced(&self, message: MessageRef, actual: &'static str) -> Misfit {
        let Position { partition, offset } = message.position;
        Misfit::Place { topic: self.topics[message.topic].topic.clone(), partition, offset, actual }
    }

    /// A topic that is to become the group's, with its log.
    pub(super) fn new_topic(&self, topic: TopicName, origins: &[Offset], logs: Logs<'_>) -> Result<Progress, Misfit> {
        if self.topics.iter().any(|progress| progress.topic == topic) {
            return Err(Misfit::TopicTwice(topic));
        }
        let Some(log) = logs(&topic) else { return Err(Misfit::NoTopic(topic)) };
        let (actual, told) = (log.partitions() as usize, origins.len());
        if actual != told {
            return Err(Misfit::Partitions { topic, actual, told });
        }
        origins.iter().try_for_each(|origin| counted(origin.0).map(|_| ()))?;
        Ok(Progress::starting_at(topic, log, origins))
    }
}
