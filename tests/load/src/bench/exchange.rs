//! What is asked of the listeners: one exchange of each kind, as a client of T-MQ sends it.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};

use crate::measure::{BATCH_GROUP, LARGE_GROUP};
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
    /// A pull that brings a MiB.
    PullLarge,
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
            Self::PullBatch => "pull_16kib",
            Self::PullLarge => "pull_1mib",
            Self::Unmatched => "unmatched",
            Self::Refused => "refused",
        }
    }

    /// What sends it.
    pub(super) fn request(self) -> Numbered {
        match self {
            Self::Ack => |_| {
                post("/tmq/v1/groups/g/consumers/c1:ack", padded(r#"{"receipts":["1-42-7f3a5c","1-43-99b0d1""#, "]}"))
            },
            Self::Pull => |_| post("/tmq/v1/groups/g/consumers/c1:pull", r#"{"maxMessages":16,"waitMs":0}"#),
            Self::Subscribe => |_| subscribe_of(TENANT),
            Self::Publish => |_| {
                post("/tmq/v1/topics/orders/messages", padded(r#"{"messages":[{"key":"k","body":"0123456789""#, "}]}"))
            },
            Self::PullBatch => |_| post(&pull_of(BATCH_GROUP), r#"{"maxMessages":16,"waitMs":0}"#),
            Self::PullLarge => |_| post(&pull_of(LARGE_GROUP), r#"{"maxMessages":16,"waitMs":0}"#),
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

fn pull_of(group: &str) -> String {
    format!("/tmq/v1/groups/{group}/consumers/c1:pull")
}

/// 200 bytes that begin and end so.
fn padded(begin: &str, end: &str) -> String {
    format!("{begin}{:>1$}", end, 200 - begin.len())
}

fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
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
}
