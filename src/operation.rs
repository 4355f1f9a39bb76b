//! What a request asks of a broker, in the terms that all brokers share.

use core::fmt;

use crate::hash::Hash;

/// The kinds of operation that a policy tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Joins a consumer group, with the settings of its deliveries.
    Subscribe,
    /// Sends messages.
    Publish,
    /// Asks for messages.
    Pull,
    /// Says that messages are done.
    Ack,
    /// Gives messages back.
    Reject,
    /// Asks for more time for messages in hand.
    Extend,
    /// Everything else that the wire defines: topics, routes, a consumer's life, transactions.
    Manage,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 7] =
        [Kind::Subscribe, Kind::Publish, Kind::Pull, Kind::Ack, Kind::Reject, Kind::Extend, Kind::Manage];

    /// The name in policies, metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Subscribe => "subscribe",
            Kind::Publish => "publish",
            Kind::Pull => "pull",
            Kind::Ack => "ack",
            Kind::Reject => "reject",
            Kind::Extend => "extend",
            Kind::Manage => "manage",
        }
    }
}

/// A span of time in whole milliseconds. Negative where a client wrote a negative number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub i64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub String);
    };
}

name! {
    /// A topic (or queue, or subscription) as the broker knows it.
    Topic
}
name! {
    /// A group of consumers that share a topic's messages.
    Group
}
name! {
    /// A consumer in its group.
    Consumer
}
name! {
    /// Who sends a request: an application, an account, a certificate's name.
    Tenant
}

/// What a request says of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting<T> {
    /// The operation has no such setting, or may leave it to an earlier one.
    NotAsked,
    /// The operation has it, the request does not set it; the broker would take `fallback`.
    Absent {
        /// The broker's own default.
        fallback: Option<T>,
    },
    /// The request sets it.
    Given(T),
}

/// The settings that a policy guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// How long a delivery may go unacknowledged.
    AckTimeout,
    /// Whether a delivery counts as acknowledged at once.
    AutoAck,
    /// How often a failed message is delivered again.
    MaxAttempts,
    /// Where a message goes when its attempts run out.
    DeadLetter,
    /// How many messages a group's consumers may hold at once; a pull asks for some of them.
    MaxInFlight,
}

impl Field {
    /// Every field.
    pub const ALL: [Field; 5] =
        [Field::AckTimeout, Field::AutoAck, Field::MaxAttempts, Field::DeadLetter, Field::MaxInFlight];

    /// The name in policies and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Field::AckTimeout => "ack_timeout",
            Field::AutoAck => "auto_ack",
            Field::MaxAttempts => "max_attempts",
            Field::DeadLetter => "dead_letter",
            Field::MaxInFlight => "max_in_flight",
        }
    }
}

/// The settings that one request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The ack timeout.
    pub ack_timeout: Setting<Millis>,
    /// Acknowledgement at delivery.
    pub auto_ack: Setting<bool>,
    /// The attempts.
    pub max_attempts: Setting<i64>,
    /// The dead-letter topic.
    pub dead_letter: Setting<Topic>,
}

impl Settings {
    /// A request that sets nothing.
    pub const NONE: Settings = Settings {
        ack_timeout: Setting::NotAsked,
        auto_ack: Setting::NotAsked,
        max_attempts: Setting::NotAsked,
        dead_letter: Setting::NotAsked,
    };
}

/// What a pull asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// How many messages at most: what the request says, or else the broker's own default. None are asked for by a
    /// negative number.
    pub messages: Result<u32, Unreadable>,
    /// How long the broker may wait for the first message. The longest there is, where that cannot be read.
    pub wait: Millis,
}

/// One request, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What it does.
    pub kind: Kind,
    /// The topic, where the request names it.
    pub topic: Option<Topic>,
    /// The consumer group, where the request names it.
    pub group: Option<Group>,
    /// What it asks for.
    pub settings: Settings,
    /// How much it asks for, where it is a pull.
    pub demand: Option<Demand>,
}

/// A receipt, as far as tables of bounded memory know it: by its hash. Brokers choose receipts, not clients, so nobody
/// can make two alike on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Receipt(u64);

impl Receipt {
    /// The receipt of this text.
    pub fn of(text: &str) -> Receipt {
        Receipt(Hash::default().with_text(text).finish())
    }

    /// The receipt of this hash.
    pub fn from_hash(hash: u64) -> Receipt {
        Receipt(hash)
    }

    /// Its hash.
    pub fn hash(self) -> u64 {
        self.0
    }
}

/// What a broker's answer says of one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// A message was delivered under it.
    Begun {
        /// The receipt.
        receipt: Receipt,
        /// How long it holds.
        ack_timeout: Millis,
    },
    /// It holds longer, or shorter, than before.
    Extended {
        /// The receipt.
        receipt: Receipt,
        /// Until when, in Unix milliseconds by the broker's clock.
        deadline: u64,
    },
    /// It is over: acknowledged, given back, or gone already.
    Ended {
        /// The receipt.
        receipt: Receipt,
    },
}

impl LeaseChange {
    /// The receipt of the lease.
    pub fn receipt(&self) -> Receipt {
        match *self {
            LeaseChange::Begun { receipt, .. }
            | LeaseChange::Extended { receipt, .. }
            | LeaseChange::Ended { receipt } => receipt,
        }
    }
}

/// Why a request that belongs to a dialect cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The wire's name of the field, or none where the body as a whole is at fault.
    pub field: Option<&'static str>,
    /// What kind of fault it is.
    pub reason: Reason,
    /// What was found and what was expected, for the client's developer.
    pub message: String,
}

impl Unreadable {
    /// The fault of a body that could not be `attempt`ed: read or edited.
    pub fn out_of_reach(attempt: &str) -> Unreadable {
        Unreadable {
            field: None,
            reason: Reason::Malformed,
            message: format!("the body could not be {attempt} at the gateway"),
        }
    }
}

/// The kinds of unreadable request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The body is not of its format.
    Malformed,
    /// The body, or a name in it, is larger than what is read.
    TooLarge,
    /// The body has an encoding that is not read.
    Encoding,
    /// A field's value is not of its type.
    Type,
    /// A field stands twice; which one counts depends on the reader.
    Duplicate,
}

impl Reason {
    /// The name in metrics, logs and headers.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::TooLarge => "too_large",
            Reason::Encoding => "encoding",
            Reason::Type => "type",
            Reason::Duplicate => "duplicate",
        }
    }
}
