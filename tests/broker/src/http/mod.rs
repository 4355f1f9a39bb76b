//! The broker's port: one request in, one operation, one response out.

pub(crate) mod admin;
mod body;
mod delivered;
mod error;
pub(crate) mod fault;
mod guard;
mod handler;
pub(crate) mod metrics;
mod operation;
mod page;
mod publish;
mod route;
mod signature;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::connection::Connection;
use crate::error::Error;
use fault::{Faults, Stage};
use metrics::Metrics;
use operation::Operation;
use route::Route;
pub use signature::Credentials;

const REQUEST_ID: &str = "x-dingtalk-mq-request-id";
const VERSION: &str = "x-dingtalk-mq-version";

/// What the port needs beside the broker.
pub(crate) struct App {
    pub(crate) broker: Arc<Broker>,
    pub(crate) credentials: Credentials,
    pub(crate) faults: Faults,
    pub(crate) metrics: Metrics,
    pub(crate) max_body_bytes: usize,
    pub(crate) default_partitions: u32,
    /// What `route` tells of each partition's leader, as `host:port`.
    pub(crate) advertised: String,
    pub(crate) stopping: CancellationToken,
    pub(crate) request_ids: RequestIds,
}

impl App {
    /// Answers one request. Whatever becomes of it, the answer has a request id and is in the protocol's form.
    pub(crate) async fn serve(&self, request: Request<Body>, connection: &Connection) -> Response<Body> {
        let started = Instant::now();
        let id = self.request_ids.next();
        let route = Route::parse(request.method(), request.uri().path());
        let operation = route.as_ref().map_or(Operation::Unknown, Route::operation);
        let outcome = self.operate(route, request, operation, connection).await;
        let mut response = outcome.unwrap_or_else(|error| {
            tracing::debug!(request = %id, operation = operation.as_str(), %error, "refused");
            error::response(&error)
        });
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        self.metrics.answered(operation, response.status(), started.elapsed());
        response
    }

    async fn operate(
        &self,
        route: Result<Route, Error>,
        request: Request<Body>,
        operation: Operation,
        connection: &Connection,
    ) -> Result<Response<Body>, Error> {
        let (parts, body) = request.into_parts();
        let route = match self.admit(route, &parts) {
            Ok(route) => route,
            Err(refused) => {
                body::discard_unread(body, &parts.headers).await;
                return Err(refused);
            }
        };
        let body = body::read(body, &parts.headers, self.max_body_bytes).await?;
        if let Some(response) = self.disturb(operation, Stage::Before, connection).await {
            return Ok(response);
        }
        let response = self.handle(route, &body).await;
        if let Some(disturbed) = self.disturb(operation, Stage::After, connection).await {
            return Ok(disturbed);
        }
        response
    }

    /// Whether the request may be read any further.
    fn admit(&self, route: Result<Route, Error>, parts: &Parts) -> Result<Route, Error> {
        let version = parts.headers.get(VERSION).map(HeaderValue::as_bytes);
        if !matches!(version, None | Some(b"2.7" | b"2.8")) {
            return Err(Error::invalid("X-DingTalk-MQ-Version", "the broker speaks 2.7 and 2.8"));
        }
        self.credentials.verify(parts, self.broker.now())?;
        route
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
