//! Which operation a request is, from its method and path.

use std::borrow::Cow;

use crate::dialect::Route;
use crate::http::{self, RequestHead};
use crate::operation::{Consumer, Group, Kind, Topic};

/// The segments of the base path `/tmq/v1`.
const BASE: [&str; 3] = ["", "tmq", "v1"];

/// A consumer as a path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerName {
    /// Its group.
    pub group: String,
    /// Its id in the group.
    pub consumer: String,
}

/// The operations of the protocol with the names in their paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `PUT /topics/{topic}`
    CreateTopic(String),
    /// `POST /topics/{topic}/messages`
    Publish(String),
    /// `GET /topics/{topic}/route`
    TopicRoute(String),
    /// `POST /transactions/{id}:commit` and `:rollback`
    EndTransaction,
    /// `POST /groups/{group}/consumers`
    Subscribe(String),
    /// `GET /groups/{group}/consumers/{id}`
    Describe(ConsumerName),
    /// `POST …/{id}:start`, `:pause`, `:resume`, `:stop`, `:close`
    Lifecycle(ConsumerName),
    /// `POST …/{id}:pull`
    Pull(ConsumerName),
    /// `POST …/{id}:ack`
    Ack(ConsumerName),
    /// `POST …/{id}:reject`
    Reject(ConsumerName),
    /// `POST …/{id}:heartbeat`
    Heartbeat(ConsumerName),
}

impl Target {
    /// The operation of a method and a path without query. `None` where the protocol has none such.
    ///
    /// Segments are percent-decoded as a broker does, so that `%3Apull` is no way round a policy. Nor is a name that is
    /// not UTF-8, nor a method in lower case, which HTTP/2 carries: some servers take both.
    pub fn parse(method: &[u8], path: &[u8]) -> Option<Target> {
        let mut segments = path.split(|byte| *byte == b'/');
        for expected in BASE {
            if percent_decode(segments.next()?) != *expected {
                return None;
            }
        }
        let mut segment = || segments.next().map(percent_decode);
        let (collection, name) = (segment()?, segment()?);
        let (under, item) = (segment(), segment());
        if name.is_empty() || segment().is_some() {
            return None;
        }
        let is = |expected: &str| method.eq_ignore_ascii_case(expected.as_bytes());
        match (collection.as_ref(), under.as_deref(), item.as_deref()) {
            ("topics", None, None) if is("PUT") => Some(Target::CreateTopic(name.into_owned())),
            ("topics", Some("messages"), None) if is("POST") => Some(Target::Publish(name.into_owned())),
            ("topics", Some("route"), None) if is("GET") => Some(Target::TopicRoute(name.into_owned())),
            ("transactions", None, None) if is("POST") => match name.rsplit_once(':')?.1 {
                "commit" | "rollback" => Some(Target::EndTransaction),
                _ => None,
            },
            ("groups", Some("consumers"), None) if is("POST") => Some(Target::Subscribe(name.into_owned())),
            ("groups", Some("consumers"), Some(consumer)) if is("GET") => {
                Some(Target::Describe(ConsumerName { group: name.into_owned(), consumer: consumer.to_owned() }))
            }
            ("groups", Some("consumers"), Some(call)) if is("POST") => {
                let (consumer, verb) = call.rsplit_once(':')?;
                let target = match verb {
                    "start" | "pause" | "resume" | "stop" | "close" => Target::Lifecycle,
                    "pull" => Target::Pull,
                    "ack" => Target::Ack,
                    "reject" => Target::Reject,
                    "heartbeat" => Target::Heartbeat,
                    _ => return None,
                };
                Some(target(ConsumerName { group: name.into_owned(), consumer: consumer.to_owned() }))
            }
            _ => None,
        }
    }
}

/// The route of a request; see [`Dialect::route`](crate::dialect::Dialect::route).
pub fn route(head: &RequestHead) -> Option<Route> {
    let target = Target::parse(head.method(), head.path())?;
    let of_topic = |kind, name| Route { topic: Some(Topic(name)), ..Route::bare(kind) };
    let of_consumer = |kind, name: ConsumerName| Route {
        group: Some(Group(name.group)),
        consumer: Some(Consumer(name.consumer)),
        ..Route::bare(kind)
    };
    Some(match target {
        Target::CreateTopic(topic) | Target::TopicRoute(topic) => of_topic(Kind::Manage, topic),
        Target::Publish(topic) => of_topic(Kind::Publish, topic),
        Target::EndTransaction => Route::bare(Kind::Manage),
        Target::Subscribe(group) => {
            Route { group: Some(Group(group)), reads_body: true, ..Route::bare(Kind::Subscribe) }
        }
        Target::Describe(name) | Target::Lifecycle(name) => of_consumer(Kind::Manage, name),
        Target::Pull(name) => Route { reads_body: true, ..of_consumer(Kind::Pull, name) },
        Target::Ack(name) => of_consumer(Kind::Ack, name),
        Target::Reject(name) => of_consumer(Kind::Reject, name),
        Target::Heartbeat(name) => Route { reads_body: true, ..of_consumer(Kind::Extend, name) },
    })
}

fn percent_decode(segment: &[u8]) -> Cow<'_, str> {
    match http::percent_decode(segment) {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}
