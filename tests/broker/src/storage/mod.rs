//! Where messages and the progress of groups are kept, behind traits that a durable log can stand behind as well.
//!
//! Writing is in two steps, so that one fsync can serve many requests: a call appends, in order and without waiting,
//! and returns a [`Mark`]; the HTTP edge sends the response after [`Storage::durable`] has reached that mark.

mod memory;

use std::pin::Pin;
use std::sync::Arc;

pub(crate) use memory::MemoryStorage;

use crate::group::change::Change;
use crate::message::{Message, Position};
use crate::names::{GroupName, Offset, PartitionId, TopicName};

/// A point in the order of everything that was written; later writes have greater marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(pub(crate) u64);

/// Resolves once a mark is reached.
pub(crate) type Reached = Pin<Box<dyn Future<Output = Result<(), StorageError>> + Send>>;

/// Why storage refused a write or a read.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StorageError {
    /// There is no room; nothing of the batch was written.
    #[error("storage is full: the limit of {limit} bytes is reached")]
    Full { limit: usize },
    /// The log holds no such message.
    #[error("partition {} has no message at offset {}", .partition.0, .offset.0)]
    Missing { partition: PartitionId, offset: Offset },
}

/// What the broker keeps its topics and groups in.
pub(crate) trait Storage: Send + Sync + 'static {
    /// Makes the log of a new topic. Called once for each topic.
    fn create_topic(&self, topic: &TopicName, partitions: u32) -> Result<Arc<dyn TopicLog>, StorageError>;

    /// Appends what happened in a group. Called under the group's lock, so that the order is that of the events.
    fn record(&self, group: &GroupName, changes: Vec<Change>) -> Result<Mark, StorageError>;

    /// What to wait for until everything up to `mark` is as durable as this storage makes it; `None` where it is.
    fn durable(&self, mark: Mark) -> Option<Reached>;
}

/// A batch that has been appended: where each message went, in the batch's order.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) positions: Vec<Position>,
    pub(crate) mark: Mark,
}

/// The messages of one topic, by partition and offset.
pub(crate) trait TopicLog: Send + Sync + 'static {
    /// How many partitions the topic has; fixed for its life.
    fn partitions(&self) -> u32;

    /// Appends the batch whole or not at all. Each partition must exist.
    fn append(&self, batch: Vec<(PartitionId, Arc<Message>)>) -> Result<Appended, StorageError>;

    /// The offset that the partition's next message will have: one past the last that consumers may see. It never
    /// goes back.
    fn end(&self, partition: PartitionId) -> Offset;

    /// One message.
    fn read(&self, partition: PartitionId, offset: Offset) -> Result<Arc<Message>, StorageError>;

    /// The size of one message in bytes, 0 where there is none. Asked under a group's lock: an index answers it.
    fn size(&self, partition: PartitionId, offset: Offset) -> usize;
}
