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
        let collection = percent_decode(segments.next()?);
        let name = percent_decode(segments.next()?);
        if name.is_empty() {
            return None;
        }
        let tail: Vec<_> = segments.map(percent_decode).collect();
        let tail: Vec<&str> = tail.iter().map(|segment| segment.as_ref()).collect();
        let name = name.into_owned();
        let member = |consumer: &str| ConsumerName { group: name.clone(), consumer: consumer.to_owned() };
        match (method.to_ascii_uppercase().as_slice(), collection.as_ref(), tail.as_slice()) {
            (b"PUT", "topics", []) => Some(Target::CreateTopic(name)),
            (b"POST", "topics", ["messages"]) => Some(Target::Publish(name)),
            (b"GET", "topics", ["route"]) => Some(Target::TopicRoute(name)),
            (b"POST", "transactions", []) => match name.rsplit_once(':')?.1 {
                "commit" | "rollback" => Some(Target::EndTransaction),
                _ => None,
            },
            (b"POST", "groups", ["consumers"]) => Some(Target::Subscribe(name)),
            (b"GET", "groups", ["consumers", consumer]) => Some(Target::Describe(member(consumer))),
            (b"POST", "groups", ["consumers", call]) => {
                let (consumer, verb) = call.rsplit_once(':')?;
                match verb {
                    "start" | "pause" | "resume" | "stop" | "close" => Some(Target::Lifecycle(member(consumer))),
                    "pull" => Some(Target::Pull(member(consumer))),
                    "ack" => Some(Target::Ack(member(consumer))),
                    "reject" => Some(Target::Reject(member(consumer))),
                    "heartbeat" => Some(Target::Heartbeat(member(consumer))),
                    _ => None,
                }
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
