//! JSON over kept-alive HTTP/1.1 connections. Knows nothing of the protocol's operations.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use spans::{Spans, attribute};

use super::ANSWER_WITHIN;
use super::error::{ClientError, Refusal};

/// The header that names the tenant.
const APP_KEY: &str = "x-dingtalk-mq-appkey";

/// The value of `messaging.system`.
const SYSTEM: &str = "tmq";

/// A pool of connections to one address.
#[derive(Debug, Clone)]
pub(super) struct Http {
    pool: Pool<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    tenant: Arc<str>,
    /// What traces the requests, if they are.
    pub(super) spans: Option<Spans>,
}

/// A successful answer.
#[derive(Debug)]
pub(super) struct Answer {
    operation: &'static str,
    url: String,
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    /// From the first byte asked to the last byte answered, a new connection included.
    pub(super) took: Duration,
}

impl Http {
    pub(super) fn new(address: SocketAddr, tenant: &str) -> Self {
        let mut connector = HttpConnector::new();
        // Requests are small and complete: waiting to fill a packet would be measured as the gateway's latency.
        connector.set_nodelay(true);
        let pool = Pool::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Self { pool, address, tenant: tenant.into(), spans: None }
    }

    pub(super) async fn get(&self, operation: &'static str, path: &str) -> Result<Answer, ClientError> {
        self.exchange(operation, Method::GET, path, Bytes::new(), ANSWER_WITHIN).await
    }

    pub(super) async fn put<B: Serialize>(
        &self,
        operation: &'static str,
        path: &str,
        body: &B,
    ) -> Result<Answer, ClientError> {
        let body = self.encode(operation, path, body)?;
        self.exchange(operation, Method::PUT, path, body, ANSWER_WITHIN).await
    }

    pub(super) async fn post<B: Serialize>(
        &self,
        operation: &'static str,
        path: &str,
        body: &B,
        within: Duration,
    ) -> Result<Answer, ClientError> {
        let body = self.encode(operation, path, body)?;
        self.exchange(operation, Method::POST, path, body, within).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn encode<B: Serialize>(&self, operation: &'static str, path: &str, body: &B) -> Result<Bytes, ClientError> {
        serde_json::to_vec(body).map(Bytes::from).map_err(|source| ClientError::NoAnswer {
            operation,
            url: self.url(path),
            source: source.into(),
        })
    }

    async fn exchange(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Bytes,
        within: Duration,
    ) -> Result<Answer, ClientError> {
        let url = self.url(path);
        let no_answer = |source| ClientError::NoAnswer { operation, url: url.clone(), source };
        let mut request = Request::builder()
            .method(method)
            .uri(&url)
            .header(APP_KEY, &*self.tenant)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|source| no_answer(source.into()))?;

        let Some(spans) = &self.spans else { return self.send(operation, url, request, within).await };
        let mut span = spans.client(operation, request.headers_mut());
        span.set(attribute::MESSAGING_SYSTEM, SYSTEM);
        span.set(attribute::MESSAGING_OPERATION_NAME, operation);
        let answered = self.send(operation, url, request, within).await;
        match &answered {
            Ok(answer) => span.answered(answer.status),
            Err(error) => error.tell(&mut span),
        }
        answered
    }

    async fn send(
        &self,
        operation: &'static str,
        url: String,
        request: Request<Full<Bytes>>,
        within: Duration,
    ) -> Result<Answer, ClientError> {
        let no_answer = |source| ClientError::NoAnswer { operation, url: url.clone(), source };
        let sent = Instant::now();
        let answered = tokio::time::timeout(within, async {
            let response = self.pool.request(request).await.map_err(|source| no_answer(source.into()))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|source| no_answer(source.into()))?.to_bytes();
            Ok((head, body))
        })
        .await;
        let took = sent.elapsed();
        let (head, body) = match answered {
            Ok(answered) => answered?,
            Err(_elapsed) => return Err(ClientError::TimedOut { operation, url, within }),
        };
        if !head.status.is_success() {
            let (status, refusal) = (head.status.as_u16(), Refusal::read(&body));
            return Err(ClientError::Refused { operation, url, status, refusal });
        }
        Ok(Answer { operation, url, status: head.status.as_u16(), headers: head.headers, body, took })
    }
}

impl Answer {
    /// The body as JSON of type `T`.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|fault| self.unexpected(fault.to_string()))
    }

    /// The value of a header, where it is there and is text.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }

    /// The error for an answer whose JSON is not what the protocol says.
    pub(super) fn unexpected(&self, what: String) -> ClientError {
        ClientError::Malformed { operation: self.operation, url: self.url.clone(), what }
    }
}
