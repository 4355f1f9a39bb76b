//! A client of T-MQ over HTTP: one method for each operation that a producer or a consumer needs.
//!
//! Connections are kept alive and shared. Every answered request is timed into [`Latencies`]; an answer that the
//! protocol does not name is an error, never an empty success.

mod admin;
mod error;
mod http;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use admin::{Admin, GroupLedger};
pub use error::{ClientError, Refusal};
use spans::Spans;
pub use wire::{AckAnswer, Delivery, FailedReceipt, Message, Subscribe, Subscription};

use crate::latency::{Latencies, Operation};
use http::{Answer, Http};
use wire::{Ack, CreateTopic, NoBody, Publish, Published, Pull, Pulled};

/// The tenant that a client calls itself where nothing else is said.
pub const TENANT: &str = "tmq-load";

/// How long the broker may take to answer, beyond the time that a long poll was asked to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A step of the consumer's lifecycle that the client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `Created → Started`: the consumer may pull.
    Start,
    /// `Started → Stopped`: the consumer pulls no more.
    Stop,
    /// `Stopped → Closed`: the consumer leaves its group.
    Close,
}

impl Step {
    fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Close => "close",
        }
    }
}

/// A consumer as the broker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerId {
    group: String,
    id: String,
}

/// A client of one gateway or broker. Clones share its connections and its latencies.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    latencies: Arc<Latencies>,
}

impl Client {
    /// A client of the T-MQ endpoint at `address`, with connections of its own, of the tenant [`TENANT`].
    #[must_use]
    pub fn new(address: SocketAddr, latencies: Arc<Latencies>) -> Self {
        Self::of_tenant(address, TENANT, latencies)
    }

    /// The same, of `tenant`, which must be fit for a header's value.
    #[must_use]
    pub fn of_tenant(address: SocketAddr, tenant: &str, latencies: Arc<Latencies>) -> Self {
        Self { http: Http::new(address, tenant), latencies }
    }

    /// The same with the requests traced by `spans`, where there are some: each that is sampled begins a trace.
    #[must_use]
    pub fn traced(mut self, spans: Option<Spans>) -> Self {
        self.http.spans = spans;
        self
    }

    /// Makes `topic` with `partitions` partitions; one that exists already is a success.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), ClientError> {
        let path = format!("/tmq/v1/topics/{topic}");
        self.http.put(Operation::CreateTopic.name(), &path, &CreateTopic { partitions }).await?;
        Ok(())
    }

    /// Publishes `messages` to `topic` in one request.
    ///
    /// # Errors
    /// See [`ClientError`]; an answer that does not name every message is [`ClientError::Malformed`].
    pub async fn publish(&self, topic: &str, messages: &[Message]) -> Result<(), ClientError> {
        let path = format!("/tmq/v1/topics/{topic}/messages");
        let answer = self.post(Operation::Publish, &path, &Publish { messages }, ANSWER_WITHIN).await?;
        self.latencies.record(Operation::Publish, answer.took);
        let published: Published = answer.read()?;
        if published.results.len() != messages.len() {
            return Err(answer.unexpected(format!("{} results, expected {}", published.results.len(), messages.len())));
        }
        Ok(())
    }

    /// Joins `group` with the settings of `request`.
    ///
    /// # Errors
    /// See [`ClientError`]; a broker or a gateway that does not accept the settings answers [`ClientError::Refused`].
    pub async fn subscribe(&self, group: &str, request: &Subscribe) -> Result<(ConsumerId, Subscription), ClientError> {
        let path = format!("/tmq/v1/groups/{group}/consumers");
        let answer = self.post(Operation::Subscribe, &path, request, ANSWER_WITHIN).await?;
        self.latencies.record(Operation::Subscribe, answer.took);
        let mut subscription: Subscription = answer.read()?;
        subscription.ackguard = answer.header("x-ackguard");
        let id = ConsumerId { group: group.to_owned(), id: subscription.consumer_id.clone() };
        Ok((id, subscription))
    }

    /// Takes the consumer one step along its lifecycle.
    ///
    /// # Errors
    /// See [`ClientError`]; a step out of order is refused with 409 `IllegalStateTransition`.
    pub async fn step(&self, consumer: &ConsumerId, step: Step) -> Result<(), ClientError> {
        let path = consumer.path(step.verb());
        let answer = self.post(Operation::Lifecycle, &path, &NoBody {}, ANSWER_WITHIN).await?;
        self.latencies.record(Operation::Lifecycle, answer.took);
        Ok(())
    }

    /// Takes up to `max_messages` messages; where none is ready, the broker holds the answer for up to `wait`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn pull(
        &self,
        consumer: &ConsumerId,
        max_messages: usize,
        wait: Duration,
    ) -> Result<Vec<Delivery>, ClientError> {
        let path = consumer.path("pull");
        let request = Pull { max_messages, wait };
        let answer = self.post(Operation::Pull, &path, &request, ANSWER_WITHIN + wait).await?;
        let pulled: Pulled = answer.read()?;
        let operation = if pulled.messages.is_empty() { Operation::EmptyPull } else { Operation::Pull };
        self.latencies.record(operation, answer.took);
        Ok(pulled.messages)
    }

    /// Acknowledges the leases of `receipts`. A receipt that is no longer good is in the answer's `failed`, which is
    /// not an error of the request.
    ///
    /// # Errors
    /// See [`ClientError`]; an answer that does not account for every receipt is [`ClientError::Malformed`].
    pub async fn ack(&self, consumer: &ConsumerId, receipts: &[String]) -> Result<AckAnswer, ClientError> {
        let answer = self.post(Operation::Ack, &consumer.path("ack"), &Ack { receipts }, ANSWER_WITHIN).await?;
        self.latencies.record(Operation::Ack, answer.took);
        let acked: AckAnswer = answer.read()?;
        let accounted = acked.acked.len() + acked.failed.len();
        if accounted != receipts.len() {
            return Err(answer.unexpected(format!("{accounted} receipts, expected {}", receipts.len())));
        }
        Ok(acked)
    }

    async fn post<B: serde::Serialize>(
        &self,
        operation: Operation,
        path: &str,
        body: &B,
        within: Duration,
    ) -> Result<Answer, ClientError> {
        self.http.post(operation.name(), path, body, within).await
    }
}

impl ConsumerId {
    fn path(&self, verb: &str) -> String {
        format!("/tmq/v1/groups/{}/consumers/{}:{verb}", self.group, self.id)
    }
}
