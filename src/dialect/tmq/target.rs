//! Which operation a request is, from its method and path.

use std::borrow::Cow;

use crate::dialect::Route;
use crate::http::{self, RequestHead};
use crate::operation::{Group, Kind, Topic};

/// The segments of the base path `/tmq/v1`.
const BASE: [&str; 3] = ["", "tmq", "v1"];

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
    Describe(String),
    /// `POST …/{id}:start`, `:pause`, `:resume`, `:stop`, `:close`
    Lifecycle(String),
    /// `POST …/{id}:pull`
    Pull(String),
    /// `POST …/{id}:ack`
    Ack(String),
    /// `POST …/{id}:reject`
    Reject(String),
    /// `POST …/{id}:heartbeat`
    Heartbeat(String),
}

impl Target {
    /// The operation of a method and a path without query. `None` where the protocol has none such.
    ///
    /// Segments are percent-decoded as a broker does, so that `%3Apull` is no way round a policy. Names that are not
    /// UTF-8 are no names.
    pub fn parse(method: &[u8], path: &[u8]) -> Option<Target> {
        let mut segments = path.split(|byte| *byte == b'/');
        for expected in BASE {
            if percent_decode(segments.next()?)? != *expected {
                return None;
            }
        }
        let collection = percent_decode(segments.next()?)?;
        let name = percent_decode(segments.next()?)?;
        if name.is_empty() {
            return None;
        }
        let tail: Vec<_> = segments.map(percent_decode).collect::<Option<_>>()?;
        let tail: Vec<&str> = tail.iter().map(|segment| segment.as_ref()).collect();
        let name = name.into_owned();
        match (method, collection.as_ref(), tail.as_slice()) {
            (b"PUT", "topics", []) => Some(Target::CreateTopic(name)),
            (b"POST", "topics", ["messages"]) => Some(Target::Publish(name)),
            (b"GET", "topics", ["route"]) => Some(Target::TopicRoute(name)),
            (b"POST", "transactions", []) => match name.rsplit_once(':')?.1 {
                "commit" | "rollback" => Some(Target::EndTransaction),
                _ => None,
            },
            (b"POST", "groups", ["consumers"]) => Some(Target::Subscribe(name)),
            (b"GET", "groups", ["consumers", _]) => Some(Target::Describe(name)),
            (b"POST", "groups", ["consumers", consumer]) => match consumer.rsplit_once(':')?.1 {
                "start" | "pause" | "resume" | "stop" | "close" => Some(Target::Lifecycle(name)),
                "pull" => Some(Target::Pull(name)),
                "ack" => Some(Target::Ack(name)),
                "reject" => Some(Target::Reject(name)),
                "heartbeat" => Some(Target::Heartbeat(name)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The route of a request; see [`Dialect::route`](crate::dialect::Dialect::route).
pub fn route(head: &RequestHead) -> Option<Route> {
    let target = Target::parse(head.method(), head.path())?;
    let (kind, topic, group, reads_body) = match target {
        Target::CreateTopic(topic) | Target::TopicRoute(topic) => (Kind::Manage, Some(topic), None, false),
        Target::Publish(topic) => (Kind::Publish, Some(topic), None, false),
        Target::EndTransaction => (Kind::Manage, None, None, false),
        Target::Subscribe(group) => (Kind::Subscribe, None, Some(group), true),
        Target::Describe(group) | Target::Lifecycle(group) => (Kind::Manage, None, Some(group), false),
        Target::Pull(group) => (Kind::Pull, None, Some(group), true),
        Target::Ack(group) => (Kind::Ack, None, Some(group), false),
        Target::Reject(group) => (Kind::Reject, None, Some(group), false),
        Target::Heartbeat(group) => (Kind::Extend, None, Some(group), true),
    };
    Some(Route { kind, topic: topic.map(Topic), group: group.map(Group), reads_body })
}

fn percent_decode(segment: &[u8]) -> Option<Cow<'_, str>> {
    match http::percent_decode(segment) {
        Cow::Borrowed(bytes) => core::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}
