//! What a trace is told of a request: never a body, a receipt or a header's value.

use axum::http::{HeaderMap, StatusCode};
use spans::{Span, Spans, attribute};

use super::error;
use super::operation::Operation;
use super::route::Route;
use crate::broker::Broker;
use crate::error::Error;
use crate::group::Settled;
use crate::names::{ConsumerId, TopicName};

/// The value of `messaging.system`.
const SYSTEM: &str = "tmq";
/// How many of the receipts of a request nothing was done for. The conventions have no name for it.
const FAILED_RECEIPTS: &str = "tmq.receipts.failed";

/// The span of a request; nothing, where it is not traced. It ends when this is dropped, which is also when the client
/// leaves.
pub(super) struct RequestSpan(Option<Span>);

impl RequestSpan {
    /// The span of a request that came with `headers`.
    pub(super) fn begin(spans: Option<&Spans>, operation: Operation, headers: &HeaderMap) -> Self {
        let mut span = spans.map(|spans| spans.server(operation.as_str(), headers)).filter(Span::is_recording);
        if let Some(span) = &mut span {
            span.set(attribute::MESSAGING_SYSTEM, SYSTEM);
            span.set(attribute::MESSAGING_OPERATION_NAME, operation.as_str());
            if let Some(kind) = operation_type(operation) {
                span.set(attribute::MESSAGING_OPERATION_TYPE, kind);
            }
        }
        Self(span)
    }

    /// What the path says, and the topic that a consumer's subscription is to.
    pub(super) fn names(&mut self, route: &Route, broker: &Broker) {
        let Some(span) = &mut self.0 else { return };
        match route {
            Route::CreateTopic(topic) | Route::Publish(topic) | Route::Locate(topic) => self.topic(topic),
            Route::Subscribe(group) => span.set(attribute::MESSAGING_CONSUMER_GROUP_NAME, group.as_str().to_owned()),
            Route::Consumer { group, consumer, .. } => {
                span.set(attribute::MESSAGING_CONSUMER_GROUP_NAME, group.as_str().to_owned());
                // One that does not exist is the client's own text.
                if let Ok(description) = broker.describe(group, consumer) {
                    span.set(attribute::MESSAGING_CLIENT_ID, consumer.clone());
                    self.topic(&description.settings.topic);
                }
            }
            Route::Transaction(_) | Route::Resolve { .. } => {}
        }
    }

    pub(super) fn topic(&mut self, topic: &TopicName) {
        if let Some(span) = &mut self.0 {
            span.set(attribute::MESSAGING_DESTINATION_NAME, topic.as_str().to_owned());
        }
    }

    /// How many messages were published or delivered.
    pub(super) fn messages(&mut self, count: usize) {
        if let Some(span) = &mut self.0 {
            span.set(attribute::MESSAGING_BATCH_MESSAGE_COUNT, i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// What became of a request's receipts, each of which stands for a message.
    pub(super) fn settled<T>(&mut self, settled: &Settled<T>) {
        self.messages(settled.done.len() + settled.failed.len());
        if let Some(span) = &mut self.0
            && !settled.failed.is_empty()
        {
            span.set(FAILED_RECEIPTS, i64::try_from(settled.failed.len()).unwrap_or(i64::MAX));
        }
    }

    /// Why the operation was refused.
    pub(super) fn refused(&mut self, refused: &Error) {
        if let Some(span) = &mut self.0 {
            span.fail(error::code(refused));
        }
    }

    /// A fault that is set answered in the operation's place.
    pub(super) fn disturbed(&mut self) {
        if let Some(span) = &mut self.0 {
            span.fail("injected");
        }
    }

    /// The consumer that a subscribe made.
    pub(super) fn consumer(&mut self, consumer: ConsumerId) {
        if let Some(span) = &mut self.0 {
            span.set(attribute::MESSAGING_CLIENT_ID, consumer.to_string());
        }
    }

    /// How the request is answered.
    pub(super) fn answered(&mut self, status: StatusCode) {
        if let Some(span) = &mut self.0 {
            span.answered(status.as_u16());
        }
    }
}

/// The convention's word for what an operation does with messages.
fn operation_type(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::Publish => Some("send"),
        Operation::Pull => Some("receive"),
        Operation::Ack | Operation::Reject => Some("settle"),
        _ => None,
    }
}
