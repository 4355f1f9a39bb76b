//! What happened in a group, in order: what a journal of the group has to keep.

use crate::clock::Timestamp;
use crate::message::Position;
use crate::names::{ConsumerId, LeaseId, TopicName};
use crate::storage::Mark;

use super::lifecycle::Lifecycle;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A consumer subscribed to a topic, which becomes the group's if it was not.
    Subscribed { consumer: ConsumerId, topic: TopicName },
    /// A consumer took a step of its lifecycle.
    Stepped { consumer: ConsumerId, state: Lifecycle },
    /// A message of a topic, by its place in the group's list of topics, came to be this.
    Message { topic: usize, position: Position, fate: Fate },
    /// A lease got a new deadline.
    Extended { lease: LeaseId, deadline: Timestamp },
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is with a consumer.
    Leased {
        lease: LeaseId,
        consumer: ConsumerId,
        deadline: Timestamp,
    },
    /// It is ready again from `at` on.
    Ready {
        reconsume_times: u32,
        at: Timestamp,
    },
    Acknowledged {
        lease: LeaseId,
    },
    DeadLettered,
    Archived,
    Forgotten,
}

/// What an operation leaves for the edge to do.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// To be recorded before the operation is answered.
    pub(crate) changes: Vec<Change>,
    /// How far the dead-letter topics were written.
    pub(crate) mark: Mark,
    /// Consumers with an open poll that may find something now.
    pub(crate) wake: Vec<ConsumerId>,
    /// Dead-letter topics that have new messages.
    pub(crate) dead_lettered: Vec<TopicName>,
}
