//! Wires: how each message queue writes its operations in HTTP, and how it is answered.
//!
//! A dialect knows bytes and no policy. It reads in two steps, because the headers arrive before the body and most
//! bodies need no reading: [`Dialect::route`] tells from the head which operation a request is, [`Dialect::read`]
//! adds what the body says.

pub mod tmq;

use crate::http::{Reply, RequestHead};
use crate::json::{Malformed, Object, Span};
use crate::operation::{Consumer, Field, Group, Kind, LeaseChange, Operation, Topic, Unreadable};
use crate::policy::verdict::{Change, Refusal};

/// The longest name of a topic or group, in bytes, that is read. Real brokers stop between 80 (SQS) and 255
/// (RocketMQ); what is longer would only cost time in pattern matching.
pub const MAX_NAME: usize = 1024;

/// The wires that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// T-MQ over HTTP, version 1.
    Tmq,
}

/// What the head of a request tells of its operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What it does.
    pub kind: Kind,
    /// The topic, where the path names it.
    pub topic: Option<Topic>,
    /// The consumer group, where the path names it.
    pub group: Option<Group>,
    /// The consumer, where the path names it.
    pub consumer: Option<Consumer>,
    /// Whether the body holds settings that a policy guards.
    pub reads_body: bool,
}

impl Route {
    /// A route that names nothing and whose body needs no reading.
    pub fn bare(kind: Kind) -> Route {
        Route { kind, topic: None, group: None, consumer: None, reads_body: false }
    }
}

/// A request, read: what it asks for, and where in the body it does so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What is asked.
    pub operation: Operation,
    /// Where the settings stand.
    pub layout: Layout,
}

/// Where the settings stand in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// There is no body, or none that was read.
    Unread,
    /// Members of the JSON object that the body is.
    Object {
        /// The object.
        object: Object,
        /// The values that it holds.
        values: Vec<(Field, Span)>,
    },
}

impl Layout {
    /// Where the value of `field` stands, if it does.
    pub fn value(&self, field: Field) -> Option<&Span> {
        match self {
            Layout::Unread => None,
            Layout::Object { values, .. } => {
                let (_, span) = values.iter().find(|(held, _)| *held == field)?;
                Some(span)
            }
        }
    }
}

/// What an answer tells, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages that a pull brought.
    pub delivered: u64,
    /// Those of them that had been delivered before.
    pub redelivered: u64,
    /// Those of them that are not delivered again.
    pub last: u64,
    /// Receipts that were refused.
    pub refused: u64,
    /// Those of them whose lease was over.
    pub late: u64,
}

/// Reads what the answer to a pull, an ack, a reject or an extension says of messages and their leases, as it streams.
#[derive(Debug)]
pub enum AnswerReader {
    /// T-MQ's.
    Tmq(tmq::AnswerReader),
}

impl AnswerReader {
    /// Takes the next piece of the answer.
    ///
    /// # Errors
    /// Where it cannot be read, be it compressed. Nothing after that has a meaning.
    pub fn push(&mut self, piece: &[u8], told: &mut impl FnMut(LeaseChange)) -> Result<(), Malformed> {
        match self {
            AnswerReader::Tmq(reader) => reader.push(piece, told),
        }
    }

    /// What the answer has told so far, in numbers.
    pub fn tally(&self) -> Tally {
        match self {
            AnswerReader::Tmq(reader) => reader.tally(),
        }
    }

    /// Checks that the answer is whole.
    ///
    /// # Errors
    /// When it is not.
    pub fn end(&self) -> Result<(), Malformed> {
        match self {
            AnswerReader::Tmq(reader) => reader.end(),
        }
    }
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Dialect; 1] = [Dialect::Tmq];

    /// The name in policies, metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Tmq => "tmq",
        }
    }

    /// The dialect of a name.
    pub fn named(name: &str) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// The wire's own name of a field.
    pub fn field_name(self, field: Field) -> &'static str {
        match self {
            Dialect::Tmq => tmq::field_name(field),
        }
    }

    /// Which operation a request is. `None` where the wire does not define it: such a request passes untouched.
    pub fn route(self, head: &RequestHead) -> Option<Route> {
        match self {
            Dialect::Tmq => tmq::route(head),
        }
    }

    /// Reads the body of a routed request.
    pub fn read(self, route: &Route, body: &[u8]) -> Result<Reading, Unreadable> {
        match self {
            Dialect::Tmq => tmq::read(route, body),
        }
    }

    /// How many messages or receipts are in the body of a routed request.
    ///
    /// # Errors
    /// When the body cannot be read.
    pub fn messages(self, route: &Route, body: &[u8]) -> Result<u64, Unreadable> {
        match self {
            Dialect::Tmq => tmq::messages(route, body),
        }
    }

    /// The body with these changes made. `None` where `layout` is not of this body.
    pub fn write(self, body: &[u8], layout: &Layout, changes: &[Change]) -> Option<Vec<u8>> {
        match self {
            Dialect::Tmq => tmq::write(body, layout, changes),
        }
    }

    /// The consumer that the answer to a successful subscription names.
    pub fn subscribed(self, answer: &[u8]) -> Option<Consumer> {
        match self {
            Dialect::Tmq => tmq::subscribed(answer),
        }
    }

    /// A reader of an answer that tells of messages and their leases.
    pub fn answer_reader(self) -> AnswerReader {
        match self {
            Dialect::Tmq => AnswerReader::Tmq(tmq::AnswerReader::default()),
        }
    }

    /// The answer that makes the client's library raise its own error. `request_id` is the gateway's.
    pub fn refuse(self, refusal: &Refusal, request_id: Option<&str>) -> Reply {
        match self {
            Dialect::Tmq => tmq::refuse(refusal, request_id),
        }
    }
}
