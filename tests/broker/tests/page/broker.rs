//! A broker in this process, and a plain HTTP client for it.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tmq_broker::{BackOff, Config, Millis, Semantics, Server};

/// Sends a request and reads the answer whole.
pub(crate) async fn send(client: &Client<HttpConnector, Body>, request: Request<Body>) -> (StatusCode, String) {
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (parts.status, text)
}

/// A client that keeps connections open.
pub(crate) fn client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// A running broker.
pub(crate) struct Broker {
    pub(crate) server: Server,
    pub(crate) client: Client<HttpConnector, Body>,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts a broker whose failed messages do not rest, with `change` made to its configuration.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::local(Semantics::Fixed);
        config.back_off = BackOff { base: Millis(0) };
        // A browser may take its time to start; nobody is to be silent meanwhile.
        config.heartbeat_period = Millis(3_600_000);
        change(&mut config);
        Self { server: Server::start(config).await.unwrap(), client: client() }
    }

    /// The page's address.
    pub(crate) fn page(&self) -> String {
        format!("http://{}/", self.server.admin())
    }

    pub(crate) async fn request(&self, to: SocketAddr, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let uri = format!("http://{to}{path}");
        let request = Request::builder().method(method).uri(uri).body(Body::from(body.to_string())).unwrap();
        let (status, text) = send(&self.client, request).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// The status that an operation is answered with.
    pub(crate) async fn status(&self, path: &str, body: Value) -> u16 {
        self.request(self.server.listen(), Method::POST, &format!("/tmq/v1{path}"), body).await.0.as_u16()
    }

    /// An operation that must succeed.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.operate(Method::POST, path, body).await
    }

    async fn operate(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.request(self.server.listen(), method, &format!("/tmq/v1{path}"), body).await;
        assert!(status.is_success(), "{status} {answer}");
        answer
    }

    /// What the admin port answers to a GET.
    pub(crate) async fn admin(&self, path: &str) -> Value {
        let (status, answer) = self.request(self.server.admin(), Method::GET, path, Value::Null).await;
        assert!(status.is_success(), "{status} {answer}");
        answer
    }

    pub(crate) async fn topic(&self, name: &str, partitions: u32) {
        self.operate(Method::PUT, &format!("/topics/{name}"), json!({ "partitions": partitions })).await;
    }

    pub(crate) async fn publish(&self, topic: &str, messages: Value) {
        self.post(&format!("/topics/{topic}/messages"), json!({ "messages": messages })).await;
    }

    /// Subscribes and takes these steps; returns the consumer's path.
    pub(crate) async fn consumer(&self, group: &str, settings: Value, steps: &[&str]) -> String {
        let subscribed = self.post(&format!("/groups/{group}/consumers"), settings).await;
        let path = format!("/groups/{group}/consumers/{}", subscribed["consumerId"].as_str().unwrap());
        for step in steps {
            self.post(&format!("{path}:{step}"), json!({})).await;
        }
        path
    }

    /// Pulls at most `count` messages; returns their receipts.
    pub(crate) async fn pull(&self, consumer: &str, count: usize) -> Vec<String> {
        let pulled = self.post(&format!("{consumer}:pull"), json!({ "maxMessages": count })).await;
        let receipt = |message: &Value| message["receipt"].as_str().unwrap().to_owned();
        pulled["messages"].as_array().unwrap().iter().map(receipt).collect()
    }

    /// Settles leases by `verb`: ack or reject.
    pub(crate) async fn settle(&self, consumer: &str, verb: &str, receipts: &[String]) {
        let answer = self.post(&format!("{consumer}:{verb}"), json!({ "receipts": receipts })).await;
        assert_eq!(answer["failed"], json!([]));
    }

    /// Has messages die in the topic `orders`, which must be empty, and go to `orders.dlq`.
    pub(crate) async fn kill(&self, messages: Value) {
        let settings = json!({ "topic": "orders", "deadLetterTopic": "orders.dlq", "maxReconsumeTimes": 0 });
        let consumer = self.consumer("billing", settings, &["start"]).await;
        let count = messages.as_array().unwrap().len();
        self.publish("orders", messages).await;
        let receipts = self.pull(&consumer, count).await;
        assert_eq!(receipts.len(), count);
        self.settle(&consumer, "reject", &receipts).await;
    }
}
