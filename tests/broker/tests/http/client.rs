//! A plain HTTP client for a broker, in this process or in another.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tmq_broker::{BackOff, Config, Millis, Semantics, Server};

/// Between two looks at a condition that is awaited, and how long it is awaited.
const POLL: Duration = Duration::from_millis(2);
const DEADLINE: Duration = Duration::from_secs(10);

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The body of an answer that must be a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.json()
    }

    /// Checks that this is an error of the protocol's form.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str, field: Option<&str>) {
        let body = self.json();
        assert_eq!((self.status.as_u16(), body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(body["field"].as_str(), field, "{self:?}");
        assert!(!body["message"].as_str().unwrap_or_default().is_empty(), "{self:?}");
        assert!(self.headers.contains_key("x-dingtalk-mq-request-id"), "{self:?}");
    }
}

/// A running broker, wherever it runs.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) client: Client<HttpConnector, Body>,
}

/// A broker in this process.
pub(crate) struct Broker {
    pub(crate) server: Server,
    remote: Remote,
}

impl Deref for Broker {
    type Target = Remote;

    fn deref(&self) -> &Remote {
        &self.remote
    }
}

impl Broker {
    pub(crate) async fn start(semantics: Semantics) -> Self {
        Self::start_with(semantics, |_| {}).await
    }

    /// Starts a broker whose failed messages do not rest, with `change` made to its configuration.
    pub(crate) async fn start_with(semantics: Semantics, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::local(semantics);
        config.back_off = BackOff { base: Millis(0) };
        change(&mut config);
        let server = Server::start(config).await.unwrap();
        let remote = Remote::new(server.listen(), server.admin());
        Self { server, remote }
    }
}

impl Remote {
    pub(crate) fn new(listen: SocketAddr, admin: SocketAddr) -> Self {
        Self { listen, admin, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub(crate) async fn send(&self, to: SocketAddr, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(format!("http://{to}{path}")).body(body.into()).unwrap();
        self.send_request(request).await
    }

    pub(crate) async fn send_request(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.client.request(request).await.unwrap().into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.listen, Method::GET, &format!("/tmq/v1{path}"), Body::empty()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.listen, Method::PUT, &format!("/tmq/v1{path}"), body.to_string()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_text(path, body.to_string()).await
    }

    pub(crate) async fn post_text(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(self.listen, Method::POST, &format!("/tmq/v1{path}"), body).await
    }

    /// A request to the broker's port with headers of its own.
    pub(crate) async fn send_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let uri = format!("http://{}/tmq/v1{path}", self.listen);
        let request = headers
            .iter()
            .fold(Request::builder().method(method).uri(uri), |request, (name, value)| request.header(*name, *value));
        self.send_request(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn admin(&self, method: Method, path: &str, body: &str) -> Answer {
        self.send(self.admin, method, path, body.to_owned()).await
    }

    /// Makes the topic `orders` and publishes `count` messages with the bodies `m0`, `m1` and so on.
    pub(crate) async fn orders(&self, partitions: u32, count: usize) {
        self.put("/topics/orders", json!({ "partitions": partitions })).await.ok();
        if count > 0 {
            self.publish(count).await;
        }
    }

    pub(crate) async fn publish(&self, count: usize) -> Value {
        let messages: Vec<Value> = (0..count).map(|number| json!({ "body": format!("m{number}") })).collect();
        self.post("/topics/orders/messages", json!({ "messages": messages })).await.ok()
    }

    /// Subscribes to `orders` in the group `g` and starts; returns the consumer's path.
    pub(crate) async fn consumer(&self, settings: Value) -> String {
        let path = self.created(settings).await;
        self.post(&format!("{path}:start"), json!({})).await.ok();
        path
    }

    /// Subscribes to `orders` in the group `g`; returns the consumer's path.
    pub(crate) async fn created(&self, mut settings: Value) -> String {
        if settings["topic"].is_null() {
            settings["topic"] = json!("orders");
        }
        let subscribed = self.post("/groups/g/consumers", settings).await;
        format!("/groups/g/consumers/{}", subscribed.ok()["consumerId"].as_str().unwrap())
    }

    pub(crate) async fn pull(&self, consumer: &str, request: Value) -> Vec<Value> {
        let answer = self.post(&format!("{consumer}:pull"), request).await.ok();
        answer["messages"].as_array().unwrap().clone()
    }

    /// The ledger's entry of `orders` in the group `g`; the invariant is checked.
    pub(crate) async fn ledger(&self) -> Value {
        let ledger = self.admin(Method::GET, "/admin/ledger", "").await.ok();
        let entries = ledger["entries"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["topic"] == "orders" && entry["group"] == "g").unwrap().clone();
        let sum: u64 = ["ready", "inFlight", "acked", "deadLettered", "archived", "forgotten"]
            .iter()
            .map(|name| entry[name].as_u64().unwrap())
            .sum();
        assert_eq!(entry["published"], sum, "{entry}");
        entry
    }

    /// Waits until `polls` long polls of the consumer wait.
    pub(crate) async fn polls_wait(&self, consumer: &str, polls: u32) {
        self.described_until(consumer, |description| description["waitingPulls"] == polls).await;
    }

    /// Describes the consumer until `wanted` holds of it.
    pub(crate) async fn described_until(&self, consumer: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let description = self.get(consumer).await.ok();
                if wanted(&description) {
                    return description;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(DEADLINE, found).await.expect("the consumer gets there")
    }

    /// Reads the ledger until `wanted` holds of it.
    pub(crate) async fn ledger_until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let entry = self.ledger().await;
                if wanted(&entry) {
                    return entry;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(DEADLINE, found).await.expect("the ledger gets there")
    }
}

/// One request to a broker of whatever process, on a connection of its own.
pub(crate) async fn request(to: SocketAddr, method: Method, path: &str, body: String) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let request = Request::builder().method(method).uri(format!("http://{to}{path}")).body(body.into()).unwrap();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

/// The receipts of pulled messages.
pub(crate) fn receipts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["receipt"].as_str().unwrap()).collect()
}

/// The bodies of pulled messages, sorted.
pub(crate) fn bodies(messages: &[Value]) -> Vec<&str> {
    let mut bodies: Vec<&str> = messages.iter().map(|message| message["body"].as_str().unwrap()).collect();
    bodies.sort_unstable();
    bodies
}
