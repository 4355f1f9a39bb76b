//! Each operation: its body read, the broker asked, its answer written.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde::Serialize;

use super::body::parse;
use super::delivered::PullResponse;
use super::publish::{PublishRequest, PublishResponse, TransactionResponse, Visibility};
use super::route::{Action, Route};
use super::span::RequestSpan;
use super::wire::{
    AckResponse, ConsumerResponse, CreateTopicRequest, CreateTopicResponse, Extended, HeartbeatResponse,
    PartitionRoute, PullBody, ReceiptsRequest, RejectResponse, RouteResponse, StateResponse, SubscribeRequest,
};
use super::{App, Terms, json, json_bytes};
use crate::broker::{Creation, Resolution};
use crate::clock::Millis;
use crate::error::Error;
use crate::group::settings::Semantics;
use crate::names::{GroupName, PartitionId, TopicName, TransactionId};

/// How long a route may be kept, from the protocol.
const ROUTE_TTL: Millis = Millis(30_000);

impl App {
    /// Does one operation.
    pub(super) async fn handle(
        &self,
        route: Route,
        terms: &Terms,
        body: &[u8],
        span: &mut RequestSpan,
    ) -> Result<Response<Body>, Error> {
        match route {
            Route::CreateTopic(topic) => self.create_topic(&topic, body).await,
            Route::Publish(topic) => self.publish(&topic, terms, body, span).await,
            Route::Locate(topic) => self.locate(&topic),
            Route::Transaction(transaction) => self.transaction(&transaction).await,
            Route::Resolve { transaction, resolution } => self.resolve(&transaction, resolution).await,
            Route::Subscribe(group) => self.subscribe(&group, terms, body, span).await,
            Route::Consumer { group, consumer, action } => {
                self.consumer(&group, &consumer, action, terms, body, span).await
            }
        }
    }

    async fn create_topic(&self, topic: &TopicName, body: &[u8]) -> Result<Response<Body>, Error> {
        let asked = parse::<CreateTopicRequest>(body)?.partitions()?;
        let (creation, partitions) = self.broker.create_topic(topic, asked, self.default_partitions).await?;
        let status = match creation {
            Creation::New => StatusCode::CREATED,
            Creation::Existing => StatusCode::OK,
        };
        Ok(json(status, &CreateTopicResponse { topic, partitions }))
    }

    async fn publish(
        &self,
        topic: &TopicName,
        terms: &Terms,
        body: &[u8],
        span: &mut RequestSpan,
    ) -> Result<Response<Body>, Error> {
        let codec = terms.codec;
        let (drafts, visibility) = parse::<PublishRequest>(body)?.check(|| self.broker.next_message_id())?;
        span.messages(drafts.len());
        match visibility {
            Visibility::AtOnce => ok(&PublishResponse::new(&self.broker.publish(topic, drafts, codec).await?)),
            Visibility::AtCommit => {
                let transaction_id = self.broker.publish_half(topic, drafts, codec).await?;
                ok(&TransactionResponse { transaction_id, state: "pending" })
            }
        }
    }

    async fn resolve(&self, transaction: &str, resolution: Resolution) -> Result<Response<Body>, Error> {
        let transaction_id: TransactionId = transaction.parse().map_err(|()| Error::TransactionNotFound)?;
        self.broker.resolve(transaction_id, resolution).await?;
        ok(&TransactionResponse { transaction_id, state: resolution.as_str() })
    }

    async fn transaction(&self, transaction: &str) -> Result<Response<Body>, Error> {
        let transaction_id: TransactionId = transaction.parse().map_err(|()| Error::TransactionNotFound)?;
        let state = self.broker.transaction(transaction_id).await?;
        ok(&TransactionResponse { transaction_id, state: state.as_str() })
    }

    fn locate(&self, topic: &TopicName) -> Result<Response<Body>, Error> {
        let partitions = self.broker.partitions(topic)?;
        let route = |id| PartitionRoute { id: PartitionId(id), leader: &self.advertised };
        ok(&RouteResponse { topic, ttl_ms: ROUTE_TTL, partitions: (0..partitions).map(route).collect() })
    }

    async fn subscribe(
        &self,
        group: &GroupName,
        terms: &Terms,
        body: &[u8],
        span: &mut RequestSpan,
    ) -> Result<Response<Body>, Error> {
        let asked = parse::<SubscribeRequest>(body)?.check(terms.served.semantics())?;
        span.topic(&asked.topic);
        let description = self.broker.subscribe(group, asked).await?;
        span.consumer(description.consumer);
        Ok(json(StatusCode::CREATED, &ConsumerResponse::new(group, &description)))
    }

    async fn consumer(
        &self,
        group: &GroupName,
        consumer: &str,
        action: Action,
        terms: &Terms,
        body: &[u8],
        span: &mut RequestSpan,
    ) -> Result<Response<Body>, Error> {
        match action {
            Action::Describe => {
                let description = self.broker.describe(group, consumer)?;
                ok(&ConsumerResponse::new(group, &description))
            }
            Action::Step(step) => ok(&StateResponse { state: self.broker.step(group, consumer, step).await? }),
            Action::Pull => {
                let asked = parse::<PullBody>(body)?;
                let (request, wait) = asked.check(self.semantics(group, consumer, asked.ack_timeout)?)?;
                let wait = terms.within_patience(wait);
                let response = PullResponse(self.broker.pull(group, consumer, &request, wait).await?);
                span.messages(response.0.messages.len());
                let mut bytes = Vec::with_capacity(response.size_hint());
                serde_json::to_writer(&mut bytes, &response)
                    .map_err(|error| Error::Unreadable(format!("the messages cannot be written: {error}")))?;
                Ok(json_bytes(StatusCode::OK, bytes))
            }
            Action::Ack => {
                let settled = self.broker.ack(group, consumer, parse::<ReceiptsRequest>(body)?.receipts()?).await?;
                span.settled(&settled);
                ok(&AckResponse { acked: settled.done, failed: settled.failed })
            }
            Action::Reject => {
                let settled = self.broker.reject(group, consumer, parse::<ReceiptsRequest>(body)?.receipts()?).await?;
                span.settled(&settled);
                ok(&RejectResponse { rejected: settled.done, failed: settled.failed })
            }
            Action::Heartbeat => {
                let asked = parse::<ReceiptsRequest>(body)?;
                let semantics = self.semantics(group, consumer, asked.ack_timeout)?;
                let (receipts, ack_timeout) = asked.heartbeat(semantics)?;
                let settled = self.broker.heartbeat(group, consumer, receipts, ack_timeout).await?;
                span.settled(&settled);
                let extended = |(receipt, ack_deadline)| Extended { receipt, ack_deadline };
                let extended = settled.done.into_iter().map(extended).collect();
                ok(&HeartbeatResponse { extended, failed: settled.failed })
            }
        }
    }

    /// The semantics by which to judge an ack timeout: those that the consumer subscribed in, whatever the version of
    /// this request. They matter for 0 alone, so nothing else is looked up for.
    fn semantics(&self, group: &GroupName, consumer: &str, ack_timeout: Option<u64>) -> Result<Semantics, Error> {
        match ack_timeout {
            Some(0) => Ok(self.broker.describe(group, consumer)?.settings.semantics),
            Some(_) | None => Ok(Semantics::Fixed),
        }
    }
}

fn ok<T: Serialize>(value: &T) -> Result<Response<Body>, Error> {
    Ok(json(StatusCode::OK, value))
}
