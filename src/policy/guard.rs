//! What a policy holds one operation to.

use std::rc::Rc;

use crate::operation::Millis;

/// The word for no bound. `off` would not do: Envoy reads it as `false` where it stands in YAML.
pub(super) const UNLIMITED: &str = "unlimited";

/// What becomes of a value outside of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// It is set to the nearest allowed one.
    Clamp,
    /// The request is refused.
    Reject,
    /// It passes.
    Allow,
}

/// What becomes of a request that leaves a setting out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The policy's value is set.
    Set,
    /// The request is refused.
    Reject,
    /// The broker's own default counts.
    Allow,
}

/// What becomes of `autoAck: true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoAck {
    /// The request is refused.
    Reject,
    /// It is set to false.
    Rewrite,
    /// It passes.
    Allow,
}

/// What becomes of a request that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecidable {
    /// It is refused.
    Reject,
    /// It passes as it came.
    Forward,
}

/// Bounds of the ack timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckTimeout {
    /// The shortest.
    pub min: Millis,
    /// The longest.
    pub max: Millis,
    /// What takes the place of zero and of a missing one.
    pub default: Millis,
    /// For zero and less, which clients mean as "no limit" and brokers read as "failed at once".
    pub zero: Outside,
    /// For what is over zero and under `min`.
    pub short: Outside,
    /// For what is over `max`.
    pub long: Outside,
    /// For a subscription without one.
    pub missing: Missing,
}

/// Bounds of a client's own renewal; they are those of [`AckTimeout`]. Zero gives the message back: always allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extend {
    /// For what is under `min`.
    pub short: Outside,
    /// For what is over `max`.
    pub long: Outside,
}

/// Bounds of the attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxAttempts {
    /// The fewest.
    pub min: i64,
    /// The most.
    pub max: i64,
    /// What is set where the request sets none and the broker's own default is out of bounds.
    pub default: i64,
    /// For what is out of bounds.
    pub outside: Outside,
}

/// The dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Whether a subscription must have one.
    pub required: bool,
    /// The topic to set; `{topic}` and `{group}` stand for the request's own.
    pub topic: Rc<str>,
    /// For a subscription without one.
    pub missing: Missing,
}

/// Everything that one rule, or `defaults`, holds an operation to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The ack timeout.
    pub ack_timeout: AckTimeout,
    /// A client's own renewals.
    pub extend: Extend,
    /// Acknowledgement at delivery.
    pub auto_ack: AutoAck,
    /// The attempts.
    pub max_attempts: MaxAttempts,
    /// The dead-letter topic.
    pub dead_letter: DeadLetter,
    /// The most messages that one consumer group may hold unsettled; none where it is unlimited.
    pub max_in_flight: Option<u32>,
    /// Requests that cannot be read.
    pub undecidable: Undecidable,
}

impl Default for Guard {
    /// The policy document's own defaults, version 1.
    fn default() -> Self {
        Guard {
            ack_timeout: AckTimeout {
                min: Millis(5_000),
                max: Millis(30_000),
                default: Millis(10_000),
                zero: Outside::Clamp,
                short: Outside::Clamp,
                long: Outside::Clamp,
                missing: Missing::Set,
            },
            extend: Extend { short: Outside::Allow, long: Outside::Clamp },
            auto_ack: AutoAck::Reject,
            max_attempts: MaxAttempts { min: 1, max: 16, default: 3, outside: Outside::Clamp },
            dead_letter: DeadLetter { required: true, topic: Rc::from("{topic}.dlq"), missing: Missing::Set },
            max_in_flight: None,
            undecidable: Undecidable::Reject,
        }
    }
}
