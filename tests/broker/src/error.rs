//! What an operation can be refused for. The HTTP edge turns it into a status and the protocol's error form.

use crate::clock::Millis;
use crate::group::lifecycle::{Lifecycle, Transition};
use crate::names::{GroupName, TopicName};
use crate::storage::StorageError;

/// Why an operation was refused. Nothing of a refused operation has happened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A value of the request is not acceptable.
    #[error("{field}: {reason}")]
    Invalid { field: String, reason: String },
    /// The request as a whole cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The body is compressed in a way that the broker does not read.
    #[error("the broker reads a body in one of the encodings zstd, snappy and identity")]
    Encoding,
    /// The client took too long to send the request.
    #[error("the request's body did not arrive within {} ms", .0.0)]
    BodyTimeout(Millis),
    /// A body or a message is over its limit.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge { what: String, limit: usize },
    #[error("there is no topic {0}")]
    TopicNotFound(TopicName),
    #[error("there is no group {0}")]
    GroupNotFound(GroupName),
    #[error("the group has no such consumer")]
    ConsumerNotFound,
    #[error("there is no such transaction")]
    TransactionNotFound,
    /// The consumer's state does not allow the operation.
    #[error("the consumer is {0}")]
    NotStarted(Lifecycle),
    /// The consumer's state has no such transition.
    #[error("a consumer that is {from} cannot {transition}")]
    IllegalTransition { from: Lifecycle, transition: Transition },
    /// A transaction that is resolved one way cannot be resolved the other way.
    #[error("the transaction is already {0}")]
    TransactionResolved(&'static str),
    /// A bound on something that clients make grow is reached.
    #[error("{what}: the limit of {limit} is reached")]
    Throttled { what: &'static str, limit: usize, retry_after: Millis },
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{header}: {reason}")]
    Signature { header: &'static str, reason: &'static str },
    #[error("there is nothing at this path")]
    NoRoute,
    #[error("this path does not take the method {method}; it takes {allowed}")]
    Method { method: String, allowed: &'static str },
}

impl Error {
    /// An unacceptable value; `reason` says what would be acceptable.
    pub(crate) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }

    /// A bound that is reached. The wait asked of the client is short: what frees the room is another client.
    pub(crate) fn throttled(what: &'static str, limit: usize) -> Self {
        Self::Throttled { what, limit, retry_after: Millis(1_000) }
    }
}
