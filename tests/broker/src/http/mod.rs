//! The broker's port: one request in, one operation, one response out.

pub(crate) mod admin;
mod body;
mod delivered;
mod encoding;
mod error;
pub(crate) mod fault;
mod guard;
mod handler;
mod health;
pub(crate) mod metrics;
mod operation;
mod page;
mod publish;
mod route;
mod signature;
mod span;
mod version;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::clock::Millis;
use crate::connection::Connection;
use crate::error::Error;
use crate::storage::codec::Codec;
use fault::{Faults, Stage};
use metrics::Metrics;
use operation::Operation;
use route::Route;
pub use signature::Credentials;
use span::RequestSpan;
use spans::Spans;
use version::{VERSION, Version};

const REQUEST_ID: &str = "x-dingtalk-mq-request-id";

/// What the port needs beside the broker.
pub(crate) struct App {
    pub(crate) broker: Arc<Broker>,
    pub(crate) credentials: Credentials,
    pub(crate) faults: Faults,
    pub(crate) metrics: Metrics,
    /// Where requests are traced, if they are.
    pub(crate) spans: Option<Spans>,
    pub(crate) max_body_bytes: usize,
    pub(crate) default_partitions: u32,
    /// How long a request's body may take to arrive.
    pub(crate) body_timeout: Millis,
    /// How long a client of version 2.7 waits for an answer.
    pub(crate) fallback_timeout: Millis,
    /// What `route` tells of each partition's leader, as `host:port`.
    pub(crate) advertised: String,
    pub(crate) stopping: CancellationToken,
    pub(crate) request_ids: RequestIds,
}

/// What a request's head says beside its route.
struct Terms {
    /// The version it is served in.
    served: Version,
    /// When a long poll ends at the latest, whatever wait it asks for.
    answer_by: Option<Instant>,
    /// How the body came, and how the messages in it are kept.
    codec: Codec,
}

/// A request, and whom it came from.
struct Exchange<'a> {
    parts: Parts,
    body: Body,
    operation: Operation,
    connection: &'a Connection,
}

impl Terms {
    /// As much of a long poll's wait as the client's patience allows.
    fn within_patience(&self, wait: Millis) -> Millis {
        let Some(end) = self.answer_by else { return wait };
        let left = end.saturating_duration_since(Instant::now()).as_millis();
        wait.min(Millis(u64::try_from(left).unwrap_or(u64::MAX)))
    }
}

impl App {
    /// Answers one request. Whatever becomes of an operation, the answer has a request id, says which version of the
    /// protocol it is of, and is in the protocol's form.
    pub(crate) async fn serve(&self, request: Request<Body>, connection: &Connection) -> Response<Body> {
        if request.uri().path() == health::PATH {
            return self.health_check(request.method());
        }
        let arrived = Instant::now();
        let id = self.request_ids.next();
        let route = Route::parse(request.method(), request.uri().path());
        let operation = route.as_ref().map_or(Operation::Unknown, Route::operation);
        let mut span = RequestSpan::begin(self.spans.as_ref(), operation, request.headers());
        if let Ok(route) = &route {
            span.names(route, &self.broker);
        }
        let own = Version::of(self.broker.rules().semantics);
        let version = Version::stated(request.headers());
        let served = version.as_ref().map_or(own, |stated| own.min(*stated));
        let (parts, body) = request.into_parts();
        let admitted = self.admit(route, version, &parts).map(|(route, stated, codec)| {
            let answer_by = stated.answer_by(arrived, self.fallback_timeout);
            (route, Terms { served, answer_by, codec })
        });
        let exchange = Exchange { parts, body, operation, connection };
        let outcome = self.operate(admitted, exchange, &mut span).await;
        let mut response = outcome.unwrap_or_else(|error| {
            tracing::debug!(request = %id, operation = operation.as_str(), %error, "refused");
            span.refused(&error);
            error::response(&error)
        });
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response.headers_mut().insert(VERSION, HeaderValue::from_static(served.as_str()));
        self.metrics.answered(operation, response.status(), arrived.elapsed());
        span.answered(response.status());
        response
    }

    /// The response to a request of HTTP/1.1 whose head has not come in time, whole.
    pub(crate) fn late_head(&self) -> Vec<u8> {
        let version = Version::of(self.broker.rules().semantics);
        error::late_head(&self.request_ids.next(), version.as_str())
    }

    async fn operate(
        &self,
        admitted: Result<(Route, Terms), Error>,
        exchange: Exchange<'_>,
        span: &mut RequestSpan,
    ) -> Result<Response<Body>, Error> {
        let Exchange { parts, body, operation, connection } = exchange;
        let (route, terms) = match admitted {
            Ok(admitted) => admitted,
            Err(refused) => {
                body::discard_unread(body, &parts.headers).await;
                return Err(refused);
            }
        };
        let body = body::read_within(self.body_timeout, body, &parts.headers, self.max_body_bytes).await?;
        let body = encoding::decode(body, terms.codec, self.max_body_bytes)?;
        if let Some(response) = self.disturb(operation, Stage::Before, connection).await {
            span.disturbed();
            return Ok(response);
        }
        let response = self.handle(route, &terms, &body, span).await;
        if let Some(disturbed) = self.disturb(operation, Stage::After, connection).await {
            span.disturbed();
            return Ok(disturbed);
        }
        response
    }

    /// Whether the request may be read any further.
    fn admit(
        &self,
        route: Result<Route, Error>,
        version: Result<Version, Error>,
        parts: &Parts,
    ) -> Result<(Route, Version, Codec), Error> {
        let version = version?;
        self.credentials.verify(parts, self.broker.now())?;
        Ok((route?, version, encoding::stated(&parts.headers)?))
    }

    /// Lets a fault happen, if one is set for this operation; a response takes the place of the operation's.
    async fn disturb(&self, operation: Operation, stage: Stage, connection: &Connection) -> Option<Response<Body>> {
        let mut response = None;
        for effect in self.faults.draw(operation, stage) {
            match effect {
                fault::Effect::Latency(length) => tokio::time::sleep(length).await,
                fault::Effect::Status(status) => response = Some(error::injected(status)),
                fault::Effect::Reset => {
                    connection.reset();
                    std::future::pending::<()>().await;
                }
                fault::Effect::Blackhole => {
                    self.stopping.cancelled().await;
                    response = Some(error::injected(StatusCode::SERVICE_UNAVAILABLE));
                }
            }
        }
        response
    }
}

/// Numbers the requests of this run.
pub(crate) struct RequestIds {
    run: u32,
    count: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        Self { run: fastrand::u32(..), count: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        format!("{:08x}-{:x}", self.run, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

/// A response of JSON.
fn json<T: serde::Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    // Serialising fails only for maps without string keys and for failing writers: neither occurs here.
    json_bytes(status, serde_json::to_vec(value).unwrap_or_default())
}

fn json_bytes(status: StatusCode, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
