//! What is asked of the listeners: one exchange of each kind, as a client of T-MQ sends it.

use std::sync::LazyLock;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::json;

use crate::http1;
use crate::measure::{BATCH_GROUP, Size};
use crate::open_loop::Asked;
use crate::steady::Numbered;

/// Who sends it.
const TENANT: &str = "bench";

/// Headers as a client sends them, besides those that HTTP itself adds.
const HEADERS: [(&str, &str); 8] = [
    ("host", "queue.test"),
    ("user-agent", "tmq-client/2.8 (linux; x86_64)"),
    ("accept", "application/json"),
    ("content-type", "application/json"),
    ("x-dingtalk-mq-appkey", TENANT),
    ("x-dingtalk-mq-date", "1700000000000"),
    ("x-dingtalk-mq-signature", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    ("x-dingtalk-mq-version", "2.8"),
];

/// A kind of exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    /// An ack of 200 bytes.
    Ack,
    /// A pull that brings a message of 200 bytes.
    Pull,
    /// A subscribe whose ack timeout of 0 is clamped.
    Subscribe,
    /// A publish of 200 bytes.
    Publish,
    /// A pull that brings 16 messages of a KiB.
    PullBatch,
    /// A pull that brings one message of this size.
    PullOf(Size),
    /// A publish of one.
    PublishOf(Size),
    /// A post of 200 bytes to a path that no dialect reads.
    Unmatched,
    /// A publish without a body: Envoy ends an HTTP/1 connection on which it has refused one before its body was there.
    Refused,
}

impl Exchange {
    /// Its name, for keys and tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Pull => "pull",
            Self::Subscribe => "subscribe",
            Self::Publish => "publish",
            Self::PullBatch => "pull_batch",
            Self::PullOf(Size::Kib1) => "pull_1kib",
            Self::PullOf(Size::Kib16) => "pull_16kib",
            Self::PullOf(Size::Kib128) => "pull_128kib",
            Self::PullOf(Size::Mib1) => "pull_1mib",
            Self::PublishOf(Size::Kib1) => "publish_1kib",
            Self::PublishOf(Size::Kib16) => "publish_16kib",
            Self::PublishOf(Size::Kib128) => "publish_128kib",
            Self::PublishOf(Size::Mib1) => "publish_1mib",
            Self::Unmatched => "unmatched",
            Self::Refused => "refused",
        }
    }

    /// What is asked where it is ever the same.
    pub(super) async fn asked(self) -> Asked {
        Asked { request: http1::render(self.request()(0)).await, status: self.status() }
    }

    /// How it is answered.
    fn status(self) -> u16 {
        match self {
            Self::Refused => 429,
            _ => 200,
        }
    }

    /// What sends it.
    pub(super) fn request(self) -> Numbered {
        match self {
            Self::Ack => |_| {
                post("/tmq/v1/groups/g/consumers/c1:ack", padded(r#"{"receipts":["1-42-7f3a5c","1-43-99b0d1""#, "]}"))
            },
            Self::Pull => |_| pull("g"),
            Self::Subscribe => |_| subscribe_of(TENANT),
            Self::Publish => |_| {
                post("/tmq/v1/topics/orders/messages", padded(r#"{"messages":[{"key":"k","body":"0123456789""#, "}]}"))
            },
            Self::PullBatch => |_| pull(BATCH_GROUP),
            Self::PullOf(Size::Kib1) => |_| pull(Size::Kib1.group()),
            Self::PullOf(Size::Kib16) => |_| pull(Size::Kib16.group()),
            Self::PullOf(Size::Kib128) => |_| pull(Size::Kib128.group()),
            Self::PullOf(Size::Mib1) => |_| pull(Size::Mib1.group()),
            Self::PublishOf(Size::Kib1) => |_| publish_of(Size::Kib1),
            Self::PublishOf(Size::Kib16) => |_| publish_of(Size::Kib16),
            Self::PublishOf(Size::Kib128) => |_| publish_of(Size::Kib128),
            Self::PublishOf(Size::Mib1) => |_| publish_of(Size::Mib1),
            Self::Unmatched => |_| post("/api/orders", padded(r#"{"order":1"#, "}")),
            Self::Refused => |_| post("/tmq/v1/topics/orders/messages", Bytes::new()),
        }
    }
}

/// A subscribe of a tenant's whose ack timeout of 0 is clamped.
pub(super) fn subscribe_of(tenant: &str) -> Request<Full<Bytes>> {
    let body = concat!(
        r#"{"topic":"orders","ackTimeout":0,"maxReconsumeTimes":3,"autoAck":false,"#,
        r#""deadLetterTopic":"orders.dlq","clientId":"c1"}"#
    );
    let mut request = post("/tmq/v1/groups/g/consumers", body);
    if let Ok(tenant) = tenant.parse() {
        request.headers_mut().insert("x-dingtalk-mq-appkey", tenant);
    }
    request
}

fn pull(group: &str) -> Request<Full<Bytes>> {
    post(&format!("/tmq/v1/groups/{group}/consumers/c1:pull"), r#"{"maxMessages":16,"waitMs":0}"#)
}

/// A publish of a message of this size.
fn publish_of(size: Size) -> Request<Full<Bytes>> {
    static BODIES: LazyLock<[Bytes; 4]> = LazyLock::new(|| {
        Size::ALL.map(|size| {
            let message = json!({ "key": "k", "body": "x".repeat(size.bytes()) });
            json!({ "messages": [message] }).to_string().into()
        })
    });
    post("/tmq/v1/topics/orders/messages", BODIES[size as usize].clone())
}

/// 200 bytes that begin and end so.
fn padded(begin: &str, end: &str) -> String {
    format!("{begin}{:>1$}", end, 200 - begin.len())
}

/// A post of a client's.
pub(super) fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body.into()));
    *request.method_mut() = Method::POST;
    if let Ok(path) = path.parse() {
        *request.uri_mut() = path;
    }
    for (name, value) in HEADERS {
        request.headers_mut().insert(name, hyper::header::HeaderValue::from_static(value));
    }
    request
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn bodies_of_200_bytes_are_json_of_200_bytes() {
        for exchange in [Exchange::Ack, Exchange::Publish, Exchange::Unmatched] {
            let body = exchange.request()(0).into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body.len(), 200, "{exchange:?}");
            serde_json::from_slice::<serde_json::Value>(&body).unwrap();
        }
    }

    #[tokio::test]
    async fn a_publish_of_a_size_has_a_message_of_that_size() {
        for size in Size::ALL {
            let body = Exchange::PublishOf(size).request()(0).into_body().collect().await.unwrap().to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["messages"][0]["body"].as_str().map(str::len), Some(size.bytes()), "{size:?}");
        }
    }
}
