//! The bounds of what a client can make grow, and what happens there.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use serde_json::{Value, json};
use tmq_broker::Semantics::Fixed;
use tmq_broker::StorageConfig;

use crate::client::Broker;

#[tokio::test]
async fn a_body_over_the_limit_is_answered_however_it_is_sent() {
    let broker = Broker::start_with(Fixed, |config| config.max_body_bytes = 1_000).await;
    broker.orders(1, 0).await;
    let body = json!({ "messages": [{ "body": "x".repeat(2 << 20) }] }).to_string();
    let answer = broker.post_text("/topics/orders/messages", body.clone()).await;
    answer.refused(413, "MessageTooLarge", Some("body"));
    let chunks: Vec<Bytes> = body.as_bytes().chunks(500).map(Bytes::copy_from_slice).collect();
    let chunked = Body::new(Chunks(chunks.into_iter()));
    broker.post_text("/topics/orders/messages", chunked).await.refused(413, "MessageTooLarge", Some("body"));
    broker.publish(1).await;
}

/// A body that does not say how long it is.
struct Chunks(std::vec::IntoIter<Bytes>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|chunk| Ok(hyper::body::Frame::data(chunk))))
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_named() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let messages = json!({ "messages": [{ "body": "x" }, { "body": "x".repeat((1 << 20) + 1) }] });
    let answer = broker.post("/topics/orders/messages", messages).await;
    answer.refused(413, "MessageTooLarge", Some("messages[1]"));
    let many: Vec<Value> = vec![json!({ "body": "x" }); 1_001];
    let answer = broker.post("/topics/orders/messages", json!({ "messages": many })).await;
    answer.refused(400, "InvalidArgument", Some("messages"));
    let largest = json!({ "messages": [{ "body": "x".repeat(1 << 20) }] });
    broker.post("/topics/orders/messages", largest).await.ok();
}

#[tokio::test]
async fn a_pull_takes_as_many_bytes_as_it_may_and_at_least_one_message() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    for _ in 0..6 {
        let messages = json!({ "messages": [{ "body": "x".repeat(1 << 20) }] });
        broker.post("/topics/orders/messages", messages).await.ok();
    }
    let consumer = broker.consumer(json!({})).await;
    assert_eq!(broker.pull(&consumer, json!({})).await.len(), 4, "4 MiB");
    assert_eq!(broker.pull(&consumer, json!({})).await.len(), 2);
}

#[tokio::test]
async fn full_memory_refuses_the_publish_and_loses_no_dead_letter() {
    let broker = Broker::start_with(Fixed, |config| config.storage = StorageConfig::Memory { limit: 4_000 }).await;
    broker.orders(1, 0).await;
    let publish = async || broker.post("/topics/orders/messages", json!({ "messages": [{ "body": "x" }] })).await;
    let mut published = 0;
    while publish().await.status == 200 {
        published += 1;
    }
    publish().await.refused(503, "Unavailable", None);
    assert!((10..20).contains(&published), "{published}");

    let consumer = broker.consumer(json!({ "maxReconsumeTimes": 0, "deadLetterTopic": "d" })).await;
    let messages = broker.pull(&consumer, json!({ "maxMessages": 1 })).await;
    let rejected = json!({ "receipts": [messages[0]["receipt"]] });
    broker.post(&format!("{consumer}:reject"), rejected).await.ok();
    let ledger = broker.ledger().await;
    assert_eq!((&ledger["deadLettered"], &ledger["archived"]), (&json!(0), &json!(0)));
    assert_eq!(ledger["ready"], published, "what cannot be dead-lettered stays");
    let again = broker.pull(&consumer, json!({ "maxMessages": 1 })).await;
    assert_eq!(again[0]["messageId"], messages[0]["messageId"]);
}

#[tokio::test]
async fn many_messages_in_large_batches() {
    let broker = Broker::start(Fixed).await;
    broker.orders(4, 0).await;
    for _ in 0..20 {
        broker.publish(1_000).await;
    }
    let consumer = broker.consumer(json!({ "ackTimeout": 600_000 })).await;
    let messages = broker.pull(&consumer, json!({ "maxMessages": 1_000 })).await;
    assert_eq!(messages.len(), 1_000);
    let ledger = broker.ledger().await;
    assert_eq!((&ledger["published"], &ledger["inFlight"]), (&json!(20_000), &json!(1_000)));
}
