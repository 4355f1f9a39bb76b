//! What a client must not see while a policy changes.

use std::fmt;

/// A request that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It got no whole answer.
    NoAnswer {
        /// Why.
        reason: String,
    },
    /// It was answered with another status than it must be.
    Status {
        /// The status.
        status: u16,
        /// What the answer said.
        body: String,
    },
    /// The answer does not tell by which version of the policy it was made.
    NoVersion {
        /// What the header says that is to tell it.
        told: Option<String>,
    },
    /// The answer is by an older version than one that the same worker had answered by before the request was sent.
    Older {
        /// The version.
        version: u64,
        /// The worker's.
        served: u64,
    },
    /// The answer is by a version that is not to be in force.
    Unknown {
        /// The version.
        version: u64,
        /// The newest that may be.
        newest: u64,
    },
}

impl Fault {
    /// Whether the connection is of no further use.
    pub(crate) fn ends_the_connection(&self) -> bool {
        matches!(self, Self::NoAnswer { .. })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer { reason } => write!(out, "no answer: {reason}"),
            Self::Status { status, body } => write!(out, "status {status}: {body}"),
            Self::NoVersion { told: Some(told) } => write!(out, "an answer that tells no version: {told}"),
            Self::NoVersion { told: None } => write!(out, "an answer that tells no version"),
            Self::Older { version, served } => {
                write!(out, "an answer by version {version} from a worker that served {served} before")
            }
            Self::Unknown { version, newest } => {
                write!(out, "an answer by version {version}, where {newest} is the newest")
            }
        }
    }
}
