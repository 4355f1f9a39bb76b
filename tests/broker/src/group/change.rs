//! What happened in a group, in order: what a journal of the group has to keep, and all that is needed to tell the
//! group's story again after a crash.
//!
//! A story tells all that a promise rests on. It does not tell which polls are open, when members were last heard of, or
//! whose turn among its partitions a consumer's next pull is: polls end with the process, members get a fresh time to
//! be heard of in the next, and turns start anew.

use serde::{Deserialize, Serialize};

use super::lifecycle::Lifecycle;
use super::settings::StoredSettings;
use crate::clock::{Millis, Timestamp};
use crate::message::Position;
use crate::names::{ConsumerId, GroupName, GroupTag, LeaseId, Offset, PartitionId, TopicName};
use crate::storage::Mark;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A topic became the group's, at the end of its list of topics; the group starts at these offsets.
    TopicAdded { topic: TopicName, origins: Vec<Offset> },
    /// A consumer subscribed to a topic of the group's.
    Subscribed { consumer: ConsumerId, settings: StoredSettings },
    /// A consumer took a step of its lifecycle.
    Stepped { consumer: ConsumerId, state: Lifecycle },
    /// A consumer takes part from now on.
    Joined { consumer: ConsumerId },
    /// A consumer takes part no more: it stopped, or was silent.
    Left { consumer: ConsumerId, last_seen: Timestamp },
    /// A consumer that had been away for long made room for another.
    Dropped { consumer: ConsumerId },
    /// Partitions of a topic, by its place in the group's list of topics, have these owners now. The fates of what was
    /// leased there follow.
    Shared { topic: u32, moved: Vec<(PartitionId, Option<ConsumerId>)> },
    /// What waited for its delivery in a partition is forgotten below an offset: the log has it no more.
    Removed { topic: u32, partition: PartitionId, below: Offset },
    /// A message of a topic, by its place in the group's list of topics, came to be this. Where it was not leased, it
    /// has been delivered, and was judged as that was done.
    Message { topic: u32, position: Position, fate: Fate },
    /// A lease got a new deadline.
    Extended { lease: LeaseId, deadline: Timestamp },
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fate {
    /// It is with a consumer.
    Leased {
        lease: LeaseId,
        consumer: ConsumerId,
        reconsume_times: u32,
        ack_timeout: Millis,
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

/// What happened in one group up to a moment: one unit, kept whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Story {
    pub(crate) group: GroupName,
    pub(crate) tag: GroupTag,
    /// The group's time after it.
    pub(crate) now: Timestamp,
    /// The first lease id that was not given out by then; deliveries that were settled as they were made count too.
    /// `None` where more of what happened follows in the next story.
    pub(crate) next_lease: Option<LeaseId>,
    pub(crate) changes: Vec<Change>,
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
