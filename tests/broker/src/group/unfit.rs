//! Why something that was kept on disk does not fit the broker, or does not fit what else was kept.

use std::sync::Arc;

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
