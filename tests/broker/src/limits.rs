//! The bounds of everything a client can make grow. A request over one is refused with the bound in its message.

use crate::clock::Millis;

/// The longest name of a topic or group, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 128;
/// The longest client id, key, tag or idempotency token, in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 256;
/// The most properties of one message.
pub(crate) const MAX_PROPERTIES: usize = 64;
/// The largest message: body, key, tag and properties together, in bytes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// The most messages of one publish.
pub(crate) const MAX_PUBLISH_MESSAGES: usize = 1_000;
/// The most messages of one pull.
pub(crate) const MAX_PULL_MESSAGES: u32 = 1_000;
/// A pull takes no further message once it holds this many bytes; it always takes one.
pub(crate) const MAX_PULL_BYTES: usize = 4 << 20;
/// What a pull takes when it does not say.
pub(crate) const DEFAULT_PULL_MESSAGES: u32 = 16;
/// The longest wait of a long poll.
pub(crate) const MAX_WAIT: Millis = Millis(60_000);
/// The most receipts of one ack, reject or heartbeat.
pub(crate) const MAX_RECEIPTS: usize = 10_000;
/// The longest ack timeout; the twelve hours that SQS allows a visibility timeout.
pub(crate) const MAX_ACK_TIMEOUT: Millis = Millis(12 * 60 * 60 * 1_000);
/// The most redeliveries that a consumer may ask for.
pub(crate) const MAX_RECONSUME_TIMES: u32 = 1_000;
/// The most partitions of a topic.
pub(crate) const MAX_PARTITIONS: u32 = 1_024;
/// The most topics of a broker.
pub(crate) const MAX_TOPICS: usize = 10_000;
/// The most groups of a broker.
pub(crate) const MAX_GROUPS: usize = 10_000;
/// The most topics that one group consumes.
pub(crate) const MAX_TOPICS_PER_GROUP: usize = 256;
/// The most consumers that a group remembers, closed and silent ones included; the longest gone make room.
pub(crate) const MAX_CONSUMERS: usize = 2_000;
/// The most transactions that are pending at once.
pub(crate) const MAX_PENDING_TRANSACTIONS: usize = 10_000;
/// The memory that the messages of pending transactions take together, in bytes.
pub(crate) const MAX_PENDING_TRANSACTION_BYTES: usize = 256 << 20;
/// The most resolved transactions that are remembered, so that a repeated commit is answered alike.
pub(crate) const MAX_RESOLVED_TRANSACTIONS: usize = 100_000;
/// The most idempotency tokens that a topic remembers, the newest ones.
pub(crate) const MAX_TOKENS_PER_TOPIC: usize = 1 << 18;
/// The most open connections; further ones wait to be accepted.
pub(crate) const MAX_CONNECTIONS: usize = 20_000;
/// The longest head of a request over HTTP/1.1, in bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 64 << 10;
/// The most faults that are set at once.
pub(crate) const MAX_FAULTS: usize = 100;
