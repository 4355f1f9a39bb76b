//! Where messages and the progress of groups are kept: in memory, or on a disk that outlives the process.
//!
//! Writing is in two steps, so that one fsync can serve many requests: a call appends, in order and without waiting,
//! and returns a [`Mark`]; the HTTP edge sends the response after [`Storage::durable`] has reached that mark. All
//! writes have one order, so a mark that is reached vouches for everything before it, whoever wrote it.

pub(crate) mod codec;
pub(crate) mod disk;
pub(crate) mod durable;
mod memory;
mod numbered;
pub(crate) mod partition;
pub(crate) mod record;
pub(crate) mod wal;

use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use memory::MemoryStorage;

use crate::clock::Timestamp;
use crate::group::change::Story;
use crate::message::{Message, Position};
use crate::names::{MessageId, Offset, PartitionId, TopicName, TransactionId};
use codec::Codec;

/// A point in the order of everything that was written; later writes have greater marks. The first write has 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Mark(pub(crate) u64);

/// Resolves once a mark is reached.
pub(crate) type Reached = Pin<Box<dyn Future<Output = Result<(), StorageError>> + Send>>;

/// Why storage refused a write or a read.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StorageError {
    /// The memory for messages is used up; nothing of the batch was written.
    #[error("storage is full: the limit of {limit} bytes is reached")]
    Full { limit: usize },
    /// The disk takes no more for now. Storage tries again by itself, and serves again once there is room.
    #[error("the disk has no room: {reason}")]
    NoRoom { reason: Arc<str> },
    /// The disk refused one thing; others may go well.
    #[error("the disk refuses: {reason}")]
    Refused { reason: Arc<str> },
    /// More waits to be written than may: the disk is slower than what it is given.
    #[error("the disk does not keep up: more than {limit} bytes wait to be written")]
    Behind { limit: usize },
    /// A single entry is over what a record may have; nothing of it was written.
    #[error("an entry of {bytes} bytes is larger than the {limit} bytes that a log takes")]
    EntryTooLarge { bytes: usize, limit: usize },
    /// A write or a sync failed, so that what the disk holds is no longer known. Storage writes nothing more.
    #[error("storage has stopped writing: {reason}")]
    Stopped { reason: Arc<str> },
    /// The log holds no such message.
    #[error("partition {} has no message at offset {}", .partition.0, .offset.0)]
    Missing { partition: PartitionId, offset: Offset },
    /// What the log holds is not what was written.
    #[error("partition {} is damaged at offset {}: {reason}", .partition.0, .offset.0)]
    Damaged { partition: PartitionId, offset: Offset, reason: Arc<str> },
}

impl StorageError {
    /// What clients may read. The system's reasons stay in the log: they may name the broker's files.
    pub(crate) fn outline(&self) -> String {
        match self {
            Self::NoRoom { .. } => "the disk has no room".to_owned(),
            Self::Refused { .. } => "the disk refuses".to_owned(),
            Self::Stopped { .. } => "storage has stopped writing".to_owned(),
            Self::Damaged { partition, offset, .. } => {
                format!("partition {} is damaged at offset {}", partition.0, offset.0)
            }
            other => other.to_string(),
        }
    }
}

/// What the broker keeps its topics and groups in.
pub(crate) trait Storage: Send + Sync + 'static {
    /// Whether writes are taken at present. Asked before an operation changes anything: what has been appended
    /// without an error stays appended, whatever the disk does later.
    fn admit(&self) -> Result<(), StorageError>;

    /// Makes the log of a new topic. Called once for each topic.
    fn create_topic(&self, topic: &TopicName, partitions: u32) -> Result<(Arc<dyn TopicLog>, Mark), StorageError>;

    /// Appends what happened in a group. Called under the group's lock, so that the order is that of the events.
    fn record(&self, story: Story) -> Result<Mark, StorageError>;

    /// Appends what happened to a transaction, but for its commit, which is that of its messages.
    fn record_transaction(&self, step: &TransactionStep) -> Result<Mark, StorageError>;

    /// The mark of what was appended last.
    fn end(&self) -> Mark;

    /// What to wait for until everything up to `mark` is as durable as this storage makes it; `None` where it is.
    fn durable(&self, mark: Mark) -> Option<Reached>;
}

/// What happened to a transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum TransactionStep {
    Begun { id: TransactionId, topic: TopicName, deadline: Timestamp, codec: Codec, drafts: Vec<StoredDraft> },
    Compensated { id: TransactionId },
}

/// A message that a transaction holds back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredDraft {
    pub(crate) message: Message,
    pub(crate) token: Option<Box<str>>,
}

/// Messages to be appended, and why: one unit, kept whole or not at all.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) messages: Vec<(PartitionId, Arc<Message>)>,
    /// The present moment; retention by age counts from it.
    pub(crate) now: Timestamp,
    /// How the messages are compressed at rest.
    pub(crate) codec: Codec,
    pub(crate) cause: Cause,
}

/// What messages are appended for, and what is kept together with them.
#[derive(Debug)]
pub(crate) enum Cause {
    Publish {
        /// Idempotency tokens, each with the place of its message in the batch.
        tokens: Vec<(Arc<str>, usize)>,
        /// The partition of the last message without a key.
        turn: u32,
        /// The transaction that this commits.
        commits: Option<TransactionId>,
    },
    /// The messages died in a group; the story ends with their fate there.
    DeadLetter(Story),
}

/// A message that was published with an idempotency token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenResult {
    pub(crate) token: Box<str>,
    pub(crate) message_id: MessageId,
    pub(crate) position: Position,
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

    /// Appends the batch whole or not at all. Each partition must exist. On an error the cause is given back to the
    /// caller, whose story is not told.
    fn append(&self, batch: Batch) -> Result<Appended, (StorageError, Cause)>;

    /// The first offset that the log still holds; retention moves it on.
    fn start(&self, partition: PartitionId) -> Offset;

    /// The offset that the partition's next message will have: one past the last that consumers may see. It never
    /// goes back.
    fn end(&self, partition: PartitionId) -> Offset;

    /// One message.
    fn read(&self, partition: PartitionId, offset: Offset) -> Result<Arc<Message>, StorageError>;

    /// A bound on the size of one message in bytes, 0 where there is none. Asked under a group's lock: an index
    /// answers it.
    fn size(&self, partition: PartitionId, offset: Offset) -> usize;
}
