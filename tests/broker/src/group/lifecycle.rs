//! The states of a consumer and the five steps between them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Where a consumer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lifecycle {
    /// Subscribed, and with its share of the partitions; not yet pulling.
    Created,
    Started,
    /// Keeps its partitions and what it holds; may settle it, but not pull.
    Paused,
    /// Has left the group.
    Stopped,
    /// Has left for good.
    Closed,
}

/// A step that a consumer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    Start,
    Pause,
    Resume,
    Stop,
    Close,
}

impl Lifecycle {
    /// The state after `transition`, which the state must allow.
    pub(crate) fn after(self, transition: Transition) -> Result<Lifecycle, Error> {
        match (self, transition) {
            (Self::Created, Transition::Start) | (Self::Paused, Transition::Resume) => Ok(Self::Started),
            (Self::Started, Transition::Pause) => Ok(Self::Paused),
            (Self::Started, Transition::Stop) => Ok(Self::Stopped),
            (Self::Stopped, Transition::Close) => Ok(Self::Closed),
            (from, transition) => Err(Error::IllegalTransition { from, transition }),
        }
    }

    /// Whether a consumer in this state has a share of the partitions, as long as it is heard of.
    pub(crate) fn takes_part(self) -> bool {
        matches!(self, Self::Created | Self::Started | Self::Paused)
    }

    /// Refuses a pull by any but a started consumer.
    pub(crate) fn may_pull(self) -> Result<(), Error> {
        match self {
            Self::Started => Ok(()),
            other => Err(Error::NotStarted(other)),
        }
    }

    /// Refuses an ack, a reject or a heartbeat by a consumer that can hold nothing.
    pub(crate) fn may_settle(self) -> Result<(), Error> {
        match self {
            Self::Started | Self::Paused => Ok(()),
            other => Err(Error::NotStarted(other)),
        }
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
            Self::Close => "close",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Lifecycle::{Closed, Created, Paused, Started, Stopped};
    use super::Transition::{Close, Pause, Resume, Start, Stop};

    #[test]
    fn every_pair_of_state_and_transition() {
        let table = [
            //         start          pause         resume         stop           close
            (Created, [Some(Started), None, None, None, None]),
            (Started, [None, Some(Paused), None, Some(Stopped), None]),
            (Paused, [None, None, Some(Started), None, None]),
            (Stopped, [None, None, None, None, Some(Closed)]),
            (Closed, [None, None, None, None, None]),
        ];
        for (from, row) in table {
            for (transition, expected) in [Start, Pause, Resume, Stop, Close].into_iter().zip(row) {
                assert_eq!(from.after(transition).ok(), expected, "{from} {transition}");
            }
        }
    }

    #[test]
    fn only_the_started_pull_and_the_paused_settle() {
        for state in [Created, Started, Paused, Stopped, Closed] {
            assert_eq!(state.may_pull().is_ok(), state == Started, "{state}");
            assert_eq!(state.may_settle().is_ok(), matches!(state, Started | Paused), "{state}");
        }
    }
}
