//! The operations of the protocol, as metrics and faults name them.

use serde::{Deserialize, Serialize};

macro_rules! operations {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// One operation of the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
        pub(crate) enum Operation {
            $(#[serde(rename = $name)] $variant),+
        }

        impl Operation {
            #[cfg(test)]
            pub(crate) const ALL: &[Operation] = &[$(Self::$variant),+];

            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }
    };
}

operations! {
    CreateTopic = "createTopic",
    Publish = "publish",
    Commit = "commit",
    Rollback = "rollback",
    Transaction = "transaction",
    Subscribe = "subscribe",
    Start = "start",
    Pause = "pause",
    Resume = "resume",
    Stop = "stop",
    Close = "close",
    Describe = "describe",
    Pull = "pull",
    Ack = "ack",
    Reject = "reject",
    Heartbeat = "heartbeat",
    Route = "route",
    // A request that is no operation.
    Unknown = "unknown",
}
