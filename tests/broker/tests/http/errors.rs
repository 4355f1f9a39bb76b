//! Every refusal, in the protocol's form.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;
use tmq_broker::Semantics::{Fixed, Legacy};

use crate::client::Broker;

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let consumer = broker.created(json!({})).await;
    let message = json!({ "messages": [{ "body": "x" }] });
    broker.post("/topics/none/messages", message).await.refused(404, "TopicNotFound", Some("topic"));
    broker.get("/topics/none/route").await.refused(404, "TopicNotFound", Some("topic"));
    let subscribe = broker.post("/groups/g/consumers", json!({ "topic": "none" })).await;
    subscribe.refused(404, "TopicNotFound", Some("topic"));
    let id = consumer.rsplit('/').next().unwrap();
    broker.get(&format!("/groups/none/consumers/{id}")).await.refused(404, "GroupNotFound", Some("group"));
    for id in ["0123456789abcdef", "nonsense", "", "..%2f..%2fetc"] {
        let answer = broker.get(&format!("/groups/g/consumers/{id}")).await;
        answer.refused(404, "ConsumerNotFound", Some("consumerId"));
    }
    for id in ["0123456789abcdef", "nonsense"] {
        let answer = broker.post(&format!("/transactions/{id}:commit"), json!({})).await;
        answer.refused(404, "TransactionNotFound", Some("transactionId"));
        let answer = broker.get(&format!("/transactions/{id}")).await;
        answer.refused(404, "TransactionNotFound", Some("transactionId"));
    }
}

#[tokio::test]
async fn a_dead_letter_topic_is_made_by_the_subscribe_that_names_it() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    broker.created(json!({ "deadLetterTopic": "orders.dlq" })).await;
    broker.created(json!({ "topic": "orders.dlq" })).await;
    let own = json!({ "topic": "orders", "deadLetterTopic": "orders" });
    broker.post("/groups/g/consumers", own).await.refused(400, "InvalidArgument", Some("deadLetterTopic"));
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let broker = Broker::start(Fixed).await;
    broker.get("/nothing").await.refused(404, "NotFound", None);
    broker.send(broker.server.listen(), Method::GET, "/", Body::empty()).await.refused(404, "NotFound", None);
    let answer = broker.get("/topics/orders").await;
    answer.refused(405, "MethodNotAllowed", None);
    assert_eq!(answer.headers["allow"], "PUT");
    let answer = broker.post("/transactions/0123456789abcdef", json!({})).await;
    answer.refused(405, "MethodNotAllowed", None);
    assert_eq!(answer.headers["allow"], "GET");
}

#[tokio::test]
async fn a_value_at_fault_is_named_by_its_field() {
    let broker = Broker::start(Legacy).await;
    broker.orders(1, 0).await;
    let consumer = broker.consumer(json!({})).await;
    let pull = format!("{consumer}:pull");
    let (subscribe, publish) = ("/groups/g/consumers", "/topics/orders/messages");
    let ack = format!("{consumer}:ack");
    let heartbeat = format!("{consumer}:heartbeat");
    for (path, body, field) in [
        (subscribe, r#"{"ackTimeout":1}"#, "topic"),
        (subscribe, r#"{"topic":"a/b"}"#, "topic"),
        (subscribe, r#"{"topic":"orders","ackTimeout":"5s"}"#, "ackTimeout"),
        (subscribe, r#"{"topic":"orders","ackTimeout":1.5}"#, "ackTimeout"),
        (subscribe, r#"{"topic":"orders","ackTimeout":-1}"#, "ackTimeout"),
        (subscribe, r#"{"topic":"orders","ackTimeout":43200001}"#, "ackTimeout"),
        (subscribe, r#"{"topic":"orders","ackTimeout":99999999999999999999}"#, "ackTimeout"),
        (subscribe, r#"{"topic":"orders","maxReconsumeTimes":1001}"#, "maxReconsumeTimes"),
        (subscribe, r#"{"topic":"orders","autoAck":"yes"}"#, "autoAck"),
        (subscribe, r#"{"topic":"orders","deadLetterTopic":".."}"#, "deadLetterTopic"),
        (publish, "{}", "messages"),
        (publish, r#"{"messages":[]}"#, "messages"),
        (publish, r#"{"messages":[{"body":"a"},{}]}"#, "messages[1].body"),
        (publish, r#"{"messages":[{"body":7}]}"#, "messages[0].body"),
        (publish, r#"{"messages":[{"body":"a","encoding":"utf16"}]}"#, "messages[0].encoding"),
        (publish, r#"{"messages":[{"body":"a=b","encoding":"base64"}]}"#, "messages[0].body"),
        (publish, r#"{"messages":[{"body":"a","properties":{"n":1}}]}"#, "messages[0].properties.n"),
        (&pull, r#"{"maxMessages":0}"#, "maxMessages"),
        (&pull, r#"{"maxMessages":1001}"#, "maxMessages"),
        (&pull, r#"{"waitMs":60001}"#, "waitMs"),
        (&pull, r#"{"ackTimeout":true}"#, "ackTimeout"),
        (&ack, "{}", "receipts"),
        (&ack, r#"{"receipts":[1]}"#, "receipts[0]"),
        (&ack, r#"{"receipts":"a"}"#, "receipts"),
        (&heartbeat, r#"{"receipts":[],"ackTimeout":-5}"#, "ackTimeout"),
    ] {
        broker.post_text(path, body).await.refused(400, "InvalidArgument", Some(field));
    }
    for partitions in ["0", "1025", "\"4\"", "-1"] {
        let path = "/tmq/v1/topics/new";
        let body = format!(r#"{{"partitions":{partitions}}}"#);
        let answer = broker.send(broker.server.listen(), Method::PUT, path, body).await;
        answer.refused(400, "InvalidArgument", Some("partitions"));
    }
    broker.put("/topics/%2e%2e", json!({})).await.refused(400, "InvalidArgument", Some("topic"));
}

#[tokio::test]
async fn a_body_that_is_no_json_object() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    for body in ["{", "[]", "null", "\u{0}", "{\"messages\":[}"] {
        broker.post_text("/topics/orders/messages", body).await.refused(400, "InvalidArgument", None);
    }
    broker.post_text("/topics/orders/messages", &b"{\"messages\":\xff}"[..]).await.refused(
        400,
        "InvalidArgument",
        None,
    );
}

#[tokio::test]
async fn request_ids_differ() {
    let broker = Broker::start(Fixed).await;
    let one = broker.get("/nothing").await.headers["x-dingtalk-mq-request-id"].clone();
    let other = broker.get("/nothing").await.headers["x-dingtalk-mq-request-id"].clone();
    assert_ne!(one, other);
}

#[tokio::test]
async fn a_request_refused_for_its_head_leaves_the_connection_usable() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let broker = Broker::start(Fixed).await;
    let mut stream = tokio::net::TcpStream::connect(broker.server.listen()).await.unwrap();
    for _ in 0..2 {
        let head = "POST /tmq/v1/nothing HTTP/1.1\r\nhost: b\r\ncontent-length: 100000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(&[b' '; 100_000]).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the connection was closed");
        }
        assert!(answer.starts_with(b"HTTP/1.1 404"), "{}", String::from_utf8_lossy(&answer));
    }
}
