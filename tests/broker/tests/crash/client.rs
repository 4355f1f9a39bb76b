//! Requests to a broker that may end at any moment.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Far longer than any answer takes: a broker that is silent for so long hangs.
const ANSWER: Duration = Duration::from_secs(30);

/// Why a client stops for now.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The broker has ended before it answered: whether it did what it was asked is not known.
    Unanswered,
    /// What it answered cannot be.
    Violation(String),
}

impl From<String> for Halt {
    fn from(violation: String) -> Self {
        Self::Violation(violation)
    }
}

/// How a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Zstd,
}

/// An answer.
pub(crate) struct Reply {
    what: String,
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reply {
    /// The body of an answer that must be a success.
    pub(crate) fn ok(self) -> Result<Value, Halt> {
        match self.status {
            200..=299 => Ok(self.body),
            _ => Err(self.impossible("it must succeed").into()),
        }
    }

    /// A violation: this answer, and what is wrong with it.
    pub(crate) fn impossible(&self, why: impl fmt::Display) -> String {
        format!("{} was answered {} {}: {why}", self.what, self.status, self.body)
    }
}

/// A client of one broker process.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client<HttpConnector, Body>,
    listen: SocketAddr,
    admin: SocketAddr,
    /// Set before the broker is ended: from then on it may refuse, or be gone.
    ending: Arc<AtomicBool>,
}

impl Api {
    pub(crate) fn new(listen: SocketAddr, admin: SocketAddr) -> Self {
        // What is sent again is the business of those who check what came of it.
        let client = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http();
        Self { client, listen, admin, ending: Arc::default() }
    }

    /// To be called before the broker is ended.
    pub(crate) fn ends(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Result<Reply, Halt> {
        self.call(Method::PUT, path, body, Coding::Identity).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Reply, Halt> {
        self.call(Method::POST, path, body, Coding::Identity).await
    }

    pub(crate) async fn post_in(&self, coding: Coding, path: &str, body: Value) -> Result<Reply, Halt> {
        self.call(Method::POST, path, body, coding).await
    }

    /// The account of everything.
    pub(crate) async fn ledger(&self) -> Result<Reply, Halt> {
        let request = Request::get(format!("http://{}/admin/ledger", self.admin)).body(Body::empty());
        self.send("GET /admin/ledger".to_owned(), request.expect("a request")).await
    }

    async fn call(&self, method: Method, path: &str, body: Value, coding: Coding) -> Result<Reply, Halt> {
        let what = format!("{method} {path}");
        let request = Request::builder().method(method).uri(format!("http://{}/tmq/v1{path}", self.listen));
        let body = body.to_string();
        let request = match coding {
            Coding::Identity => request.body(Body::from(body)),
            Coding::Zstd => {
                let body = zstd::encode_all(body.as_bytes(), 0).expect("memory takes all");
                request.header(header::CONTENT_ENCODING, "zstd").body(Body::from(body))
            }
        };
        self.send(what, request.expect("a request")).await
    }

    async fn send(&self, what: String, request: Request<Body>) -> Result<Reply, Halt> {
        let answer = async {
            let (parts, body) = self.client.request(request).await.ok()?.into_parts();
            Some((parts.status.as_u16(), body.collect().await.ok()?.to_bytes()))
        };
        let answered = tokio::time::timeout(ANSWER, answer).await;
        let answered = answered.map_err(|_| format!("{what} was not answered within {ANSWER:?}"))?;
        let ending = self.ending.load(Ordering::Relaxed);
        let (status, bytes) = match answered {
            Some(answered) => answered,
            None if ending => return Err(Halt::Unanswered),
            None => return Err(format!("{what}: the connection broke, though nobody ended the broker").into()),
        };
        let body = serde_json::from_slice(&bytes)
            .map_err(|error| format!("{what} was answered {status} {bytes:?}: {error}"))?;
        let reply = Reply { what, status, body };
        match reply.status {
            503 if ending => Err(Halt::Unanswered),
            503 => Err(reply.impossible("the disk has room").into()),
            _ => Ok(reply),
        }
    }
}
