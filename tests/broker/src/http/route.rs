//! From a method and a path to an operation and what it is about.

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::operation::Operation;
use crate::broker::Resolution;
use crate::error::Error;
use crate::group::lifecycle::Transition;
use crate::names::{GroupName, TopicName};

const BASE: &str = "/tmq/v1/";

/// An operation and the names in its path. Ids stay text: a malformed one is one that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    CreateTopic(TopicName),
    Publish(TopicName),
    Locate(TopicName),
    Transaction(String),
    Resolve { transaction: String, resolution: Resolution },
    Subscribe(GroupName),
    Consumer { group: GroupName, consumer: String, action: Action },
}

/// What a consumer asks of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Describe,
    Step(Transition),
    Pull,
    Ack,
    Reject,
    Heartbeat,
}

impl Route {
    /// Reads a request's method and path.
    pub(super) fn parse(method: &Method, path: &str) -> Result<Self, Error> {
        let segments = path
            .strip_prefix(BASE)
            .ok_or(Error::NoRoute)?
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8().map_err(|_| Error::NoRoute))
            .collect::<Result<Vec<_>, _>>()?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match segments[..] {
            ["topics", topic] => {
                require(method, &Method::PUT, "PUT")?;
                Ok(Self::CreateTopic(TopicName::parse(topic, "topic")?))
            }
            ["topics", topic, "messages"] => {
                require(method, &Method::POST, "POST")?;
                Ok(Self::Publish(TopicName::parse(topic, "topic")?))
            }
            ["topics", topic, "route"] => {
                require(method, &Method::GET, "GET")?;
                Ok(Self::Locate(TopicName::parse(topic, "topic")?))
            }
            ["transactions", target] => {
                let Some((transaction, verb)) = target.rsplit_once(':') else {
                    require(method, &Method::GET, "GET")?;
                    return Ok(Self::Transaction(target.to_owned()));
                };
                let resolution = match verb {
                    "commit" => Resolution::Committed,
                    "rollback" => Resolution::Compensated,
                    _ => return Err(Error::NoRoute),
                };
                require(method, &Method::POST, "POST")?;
                Ok(Self::Resolve { transaction: transaction.to_owned(), resolution })
            }
            ["groups", group, "consumers"] => {
                require(method, &Method::POST, "POST")?;
                Ok(Self::Subscribe(GroupName::parse(group, "group")?))
            }
            ["groups", group, "consumers", target] => {
                let (consumer, action) = match target.rsplit_once(':') {
                    Some((consumer, verb)) => (consumer, Action::parse(verb).ok_or(Error::NoRoute)?),
                    None => (target, Action::Describe),
                };
                match action {
                    Action::Describe => require(method, &Method::GET, "GET")?,
                    _ => require(method, &Method::POST, "POST")?,
                }
                let group = GroupName::parse(group, "group")?;
                Ok(Self::Consumer { group, consumer: consumer.to_owned(), action })
            }
            _ => Err(Error::NoRoute),
        }
    }

    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::CreateTopic(_) => Operation::CreateTopic,
            Self::Publish(_) => Operation::Publish,
            Self::Locate(_) => Operation::Route,
            Self::Transaction(_) => Operation::Transaction,
            Self::Resolve { resolution: Resolution::Committed, .. } => Operation::Commit,
            Self::Resolve { resolution: Resolution::Compensated, .. } => Operation::Rollback,
            Self::Subscribe(_) => Operation::Subscribe,
            Self::Consumer { action, .. } => match action {
                Action::Describe => Operation::Describe,
                Action::Step(Transition::Start) => Operation::Start,
                Action::Step(Transition::Pause) => Operation::Pause,
                Action::Step(Transition::Resume) => Operation::Resume,
                Action::Step(Transition::Stop) => Operation::Stop,
                Action::Step(Transition::Close) => Operation::Close,
                Action::Pull => Operation::Pull,
                Action::Ack => Operation::Ack,
                Action::Reject => Operation::Reject,
                Action::Heartbeat => Operation::Heartbeat,
            },
        }
    }
}

impl Action {
    fn parse(verb: &str) -> Option<Self> {
        Some(match verb {
            "start" => Self::Step(Transition::Start),
            "pause" => Self::Step(Transition::Pause),
            "resume" => Self::Step(Transition::Resume),
            "stop" => Self::Step(Transition::Stop),
            "close" => Self::Step(Transition::Close),
            "pull" => Self::Pull,
            "ack" => Self::Ack,
            "reject" => Self::Reject,
            "heartbeat" => Self::Heartbeat,
            _ => return None,
        })
    }
}

fn require(method: &Method, expected: &Method, allowed: &'static str) -> Result<(), Error> {
    if method == expected {
        return Ok(());
    }
    Err(Error::Method { method: method.to_string(), allowed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_path() {
        let table = [
            ("PUT", "/tmq/v1/topics/orders", Operation::CreateTopic),
            ("POST", "/tmq/v1/topics/orders.dlq/messages", Operation::Publish),
            ("GET", "/tmq/v1/topics/orders/route", Operation::Route),
            ("GET", "/tmq/v1/transactions/x", Operation::Transaction),
            ("POST", "/tmq/v1/transactions/ab:commit", Operation::Commit),
            ("POST", "/tmq/v1/transactions/ab:rollback", Operation::Rollback),
            ("POST", "/tmq/v1/groups/g/consumers", Operation::Subscribe),
            ("GET", "/tmq/v1/groups/g/consumers/c", Operation::Describe),
            ("POST", "/tmq/v1/groups/g/consumers/c:start", Operation::Start),
            ("POST", "/tmq/v1/groups/g/consumers/c:pause", Operation::Pause),
            ("POST", "/tmq/v1/groups/g/consumers/c:resume", Operation::Resume),
            ("POST", "/tmq/v1/groups/g/consumers/c:stop", Operation::Stop),
            ("POST", "/tmq/v1/groups/g/consumers/c:close", Operation::Close),
            ("POST", "/tmq/v1/groups/g/consumers/c:pull", Operation::Pull),
            ("POST", "/tmq/v1/groups/g/consumers/c%3Aack", Operation::Ack),
            ("POST", "/tmq/v1/groups/g/consumers/c:reject", Operation::Reject),
            ("POST", "/tmq/v1/groups/g/consumers/c:heartbeat", Operation::Heartbeat),
        ];
        for (method, path, operation) in table {
            let method = method.parse::<Method>().unwrap();
            assert_eq!(Route::parse(&method, path).unwrap().operation(), operation, "{path}");
            assert!(matches!(Route::parse(&Method::PATCH, path), Err(Error::Method { .. })), "{path}");
        }
        assert_eq!(table.len() + 1, Operation::ALL.len(), "all but the unknown one");
    }

    #[test]
    fn other_paths_are_nothing() {
        for path in [
            "/",
            "/tmq/v1",
            "/tmq/v1/",
            "/tmq/v2/topics/a",
            "/tmq/v1/topics/a/",
            "/tmq/v1/topics/a/b",
            "/tmq/v1//topics/a",
            "/tmq/v1/transactions/x:abort",
            "/tmq/v1/topics/%ff",
            "/tmq/v1/groups/g/consumers/c:shout",
            "/TMQ/V1/topics/a",
        ] {
            assert!(matches!(Route::parse(&Method::POST, path), Err(Error::NoRoute)), "{path}");
        }
    }

    #[test]
    fn a_path_trick_is_a_bad_name() {
        for name in ["..", "%2e%2e", "a%2Fb", "a%00", "%20", ""] {
            let route = Route::parse(&Method::PUT, &format!("/tmq/v1/topics/{name}"));
            assert!(matches!(route, Err(Error::Invalid { ref field, .. }) if field == "topic"), "{name} {route:?}");
        }
    }
}
