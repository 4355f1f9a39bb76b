//! The answer to a subscription: it names the consumer, whose pulls will not name their topic.

use crate::dialect::{Dialect, Route};
use crate::operation::{Group, Kind, Operation, Topic};
use crate::subscriptions::{self, Remembered};
use crate::telemetry::Counter;

use super::host::Host;

/// The largest answer that is read, in bytes; the protocol's has a few hundred.
const MAX_ANSWER: usize = 64 * 1024;

/// An answer that is on its way. It is copied as it passes and never held up.
pub(super) struct Subscription {
    dialect: Dialect,
    group: Group,
    topic: Topic,
    body: Vec<u8>,
}

impl Subscription {
    /// The answer to wait for, where the operation is a subscription.
    pub(super) fn awaited(dialect: Dialect, operation: Operation) -> Option<Self> {
        match operation {
            Operation { kind: Kind::Subscribe, group: Some(group), topic: Some(topic), .. } => {
                Some(Subscription { dialect, group, topic, body: Vec::new() })
            }
            _ => None,
        }
    }

    /// Takes the next piece of the body; gives up where it is not worth taking more.
    pub(super) fn take(mut self, host: Host, piece: &[u8]) -> Option<Self> {
        self.body.extend_from_slice(piece);
        if self.body.len() <= MAX_ANSWER {
            return Some(self);
        }
        self.give_up(host);
        None
    }

    /// Counts a consumer that will not be remembered, because its answer cannot be read.
    fn give_up(self, host: Host) {
        host.count(Counter::SubscriptionEvictions);
    }

    /// Remembers the consumer that the whole answer names. Counts one that cannot be read from it, be it compressed.
    pub(super) fn end(self, host: Host) {
        let Some(consumer) = self.dialect.subscribed(&self.body) else {
            return self.give_up(host);
        };
        match subscriptions::remember(&host, &self.group.0, &consumer.0, &self.topic.0) {
            Remembered::Whole => {}
            Remembered::Evicting | Remembered::Not => host.count(Counter::SubscriptionEvictions),
        }
    }
}

/// The topic that the consumer of a route subscribed to, where it is remembered.
pub(super) fn remembered_topic(host: Host, route: &Route) -> Option<Topic> {
    let (group, consumer) = (route.group.as_ref()?, route.consumer.as_ref()?);
    subscriptions::topic(&host, &group.0, &consumer.0).map(Topic)
}
