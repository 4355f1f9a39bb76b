//! The limits of a policy: what may pass in which time.

use std::rc::Rc;

use crate::operation::{Kind, Millis};

use super::Mode;

/// The name that the bound of leases has among the limits, in metrics, logs and answers. No limit may have it.
pub const IN_FLIGHT: &str = "max_in_flight";
/// The most limits: each request is asked about every one that is for its operation.
pub const MAX_LIMITS: usize = 32;
/// The greatest `rate`, in tokens a second: one comes in each nanosecond, which a bucket counts in 65,536 parts.
pub const MAX_RATE: u64 = 1_000_000_000;
/// The longest time that a bucket may take to fill: `burst` at `rate`.
pub const MAX_FILL: Millis = Millis(24 * 3_600_000);
/// The longest name of a rate limit service's cluster or domain, in bytes. Envoy is told the cluster in a message that must
/// be text, which it is while its lengths are below 128.
pub const MAX_SERVICE_NAME: usize = 120;

/// A set of kinds of operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations(u8);

impl Operations {
    /// Every kind that a limit may name: `any`.
    pub const ANY: Operations = Operations(0b0011_1111);

    /// Those whose requests name their consumer and not its topic.
    pub const WITHOUT_TOPIC: Operations = Operations(0b0011_1100);

    /// The set with one more kind in it. [`Kind::Manage`] is in none: what manages queues carries no messages.
    #[must_use]
    pub fn with(self, kind: Kind) -> Operations {
        Operations((self.0 | bit(kind)) & Operations::ANY.0)
    }

    /// Whether a kind is in it.
    pub fn has(self, kind: Kind) -> bool {
        self.0 & bit(kind) != 0
    }

    /// Whether two sets have a kind in common.
    pub fn meets(self, other: Operations) -> bool {
        self.0 & other.0 != 0
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Operations) -> Operations {
        Operations(self.0 | other.0)
    }
}

fn bit(kind: Kind) -> u8 {
    match kind {
        Kind::Subscribe => 1,
        Kind::Publish => 1 << 1,
        Kind::Pull => 1 << 2,
        Kind::Ack => 1 << 3,
        Kind::Reject => 1 << 4,
        Kind::Extend => 1 << 5,
        Kind::Manage => 1 << 6,
    }
}

/// What a limit counts apart: each value has a bucket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Who sends the request.
    Tenant,
    /// The topic, where the request names it or the consumer's subscription is remembered.
    Topic,
    /// The consumer group.
    Group,
    /// The address that the request comes from, without its port; of an IPv6 address its /64.
    Client,
}

impl Key {
    /// Every key.
    pub const ALL: [Key; 4] = [Key::Tenant, Key::Topic, Key::Group, Key::Client];

    /// The name in policies and logs, and the key of a descriptor for Envoy's RateLimitService.
    pub fn name(self) -> &'static str {
        match self {
            Key::Tenant => "tenant",
            Key::Topic => "topic",
            Key::Group => "group",
            Key::Client => "client",
        }
    }
}

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cost {
    /// One.
    Requests,
    /// As many as there are messages in it: those of a publish, the receipts of an ack, reject or extend. A pull costs
    /// what it brings; a subscription one.
    Messages,
    /// As many as its body has bytes. A pull costs those of its answer.
    Bytes,
}

impl Cost {
    /// Every cost.
    pub const ALL: [Cost; 3] = [Cost::Requests, Cost::Messages, Cost::Bytes];

    /// The name in policies.
    pub fn name(self) -> &'static str {
        match self {
            Cost::Requests => "requests",
            Cost::Messages => "messages",
            Cost::Bytes => "bytes",
        }
    }
}

/// So many tokens in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The tokens; at least one.
    pub tokens: u64,
    /// The time: a second, a minute or an hour.
    pub period: Millis,
}

/// What becomes of a request when the rate limit service gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// It goes on.
    Allow,
    /// It is refused.
    Reject,
}

/// Envoy's RateLimitService, which one fleet of gateways asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Envoy's cluster of it.
    pub cluster: Rc<str>,
    /// The domain of its configuration.
    pub domain: Rc<str>,
    /// How long an answer may take.
    pub timeout: Millis,
    /// What holds without an answer.
    pub on_error: OnError,
}

/// Who counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This Envoy, with all of its workers.
    Local {
        /// How fast the bucket fills.
        rate: Rate,
        /// How many tokens it holds.
        burst: u64,
    },
    /// A service that many Envoys ask.
    Fleet(Service),
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: Rc<str>,
    /// What it is for.
    pub operations: Operations,
    /// What it counts apart; with none, everything goes into one bucket.
    pub key: Vec<Key>,
    /// What a request costs.
    pub cost: Cost,
    /// Whether a request over it is refused, or counted only.
    pub over: Mode,
    /// Who counts.
    pub reach: Reach,
}
