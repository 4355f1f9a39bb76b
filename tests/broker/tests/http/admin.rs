//! The admin port: the ledger under load, faults, metrics, health.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tmq_broker::Semantics::Fixed;
use tokio::time::{Instant, timeout};

use crate::client::{Broker, receipts};

async fn set(broker: &Broker, fault: Value) -> Value {
    broker.admin(Method::POST, "/admin/faults", &fault.to_string()).await.ok()
}

#[tokio::test]
async fn the_ledger_adds_up_at_every_moment_under_load() {
    let broker = Broker::start(Fixed).await;
    broker.orders(4, 100).await;
    let settings = json!({ "ackTimeout": 5, "maxReconsumeTimes": 2, "deadLetterTopic": "orders.dlq" });
    let consumers = [broker.consumer(settings.clone()).await, broker.consumer(settings).await];
    let publish = async {
        for _ in 0..20 {
            broker.publish(50).await;
        }
    };
    let consume = async |consumer: &str| {
        for round in 0..60 {
            let messages = broker.pull(consumer, json!({ "maxMessages": 20 })).await;
            let some: Vec<&str> = receipts(&messages).into_iter().step_by(1 + round % 4).collect();
            broker.post(&format!("{consumer}:ack"), json!({ "receipts": some })).await.ok();
        }
    };
    let watch = async {
        for _ in 0..100 {
            // Checks the invariant.
            broker.ledger().await;
        }
    };
    tokio::join!(publish, consume(&consumers[0]), consume(&consumers[1]), watch);
    assert_eq!(broker.ledger().await["published"], 1_100);
}

#[tokio::test]
async fn the_ledger_names_topics_without_groups() {
    let broker = Broker::start(Fixed).await;
    broker.orders(2, 3).await;
    let ledger = broker.admin(Method::GET, "/admin/ledger", "").await.ok();
    let topics = json!([{ "topic": "orders", "partitions": 2, "published": 3 }]);
    assert_eq!(ledger, json!({ "topics": topics, "entries": [] }));
}

#[tokio::test]
async fn a_status_fault_is_answered_in_the_protocols_form() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 1).await;
    let consumer = broker.consumer(json!({})).await;
    let messages = broker.pull(&consumer, json!({})).await;
    let ack = async || broker.post(&format!("{consumer}:ack"), json!({ "receipts": receipts(&messages) })).await;
    set(&broker, json!({ "operation": "ack", "kind": "status", "status": 503, "count": 1 })).await;
    set(&broker, json!({ "operation": "ack", "kind": "status", "status": 429, "count": 1 })).await;
    ack().await.refused(503, "Unavailable", None);
    let throttled = ack().await;
    throttled.refused(429, "Throttled", None);
    assert_eq!(
        (&throttled.headers["retry-after"], &throttled.json()["retryAfterMs"]),
        (&"1".parse().unwrap(), &json!(1000))
    );
    assert_eq!(ack().await.ok()["acked"].as_array().unwrap().len(), 1, "the faults are used up");
    let faults = broker.admin(Method::GET, "/admin/faults", "").await.ok();
    assert_eq!((&faults["faults"][0]["fired"], &faults["faults"][1]["fired"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_fault_after_the_operation_loses_its_answer_alone() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 1).await;
    let consumer = broker.consumer(json!({})).await;
    let messages = broker.pull(&consumer, json!({})).await;
    set(&broker, json!({ "operation": "ack", "kind": "status", "stage": "after", "count": 1 })).await;
    let ack = async || broker.post(&format!("{consumer}:ack"), json!({ "receipts": receipts(&messages) })).await;
    ack().await.refused(503, "Unavailable", None);
    assert_eq!(broker.ledger().await["acked"], 1);
    assert_eq!(ack().await.ok()["acked"], json!(receipts(&messages)), "the same ack again is answered alike");
    assert_eq!(broker.ledger().await["acked"], 1);
}

#[tokio::test]
async fn latency_delays_and_blackhole_never_answers() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    set(&broker, json!({ "operation": "route", "kind": "latency", "latencyMs": 200 })).await;
    let started = Instant::now();
    broker.get("/topics/orders/route").await.ok();
    assert!(started.elapsed() >= Duration::from_millis(200));

    let cleared = broker.admin(Method::DELETE, "/admin/faults", "").await.ok();
    assert_eq!(cleared, json!({ "faults": [] }));
    set(&broker, json!({ "operation": "any", "kind": "blackhole" })).await;
    let answer = timeout(Duration::from_millis(300), broker.get("/topics/orders/route")).await;
    assert!(answer.is_err(), "{answer:?}");
    broker.admin(Method::DELETE, "/admin/faults", "").await.ok();
    broker.get("/topics/orders/route").await.ok();
}

#[tokio::test]
async fn reset_breaks_the_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    set(&broker, json!({ "operation": "route", "kind": "reset", "count": 1 })).await;
    let mut stream = tokio::net::TcpStream::connect(broker.server.listen()).await.unwrap();
    stream.write_all(b"GET /tmq/v1/topics/orders/route HTTP/1.1\r\nhost: b\r\n\r\n").await.unwrap();
    let read = stream.read(&mut [0; 64]).await;
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    broker.get("/topics/orders/route").await.ok();
}

#[tokio::test]
async fn a_malformed_fault_is_refused_and_changes_nothing() {
    let broker = Broker::start(Fixed).await;
    for fault in [
        json!({ "operation": "nap", "kind": "reset" }),
        json!({ "operation": "ack", "kind": "gremlin" }),
        json!({ "operation": "ack", "kind": "latency" }),
        json!({ "operation": "ack", "kind": "reset", "probability": 2 }),
        json!({ "operation": "ack", "kind": "status", "status": 200 }),
        json!({ "kind": "reset" }),
        json!([]),
    ] {
        let answer = broker.admin(Method::POST, "/admin/faults", &fault.to_string()).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (400, &json!("InvalidArgument")), "{fault}");
    }
    let list = json!({ "faults": [{ "operation": "pull", "kind": "reset" }, { "operation": "nap", "kind": "reset" }] });
    let answer = broker.admin(Method::POST, "/admin/faults", &list.to_string()).await;
    assert_eq!(answer.json()["field"], "faults[1].operation", "{answer:?}");
    let none = broker.admin(Method::GET, "/admin/faults", "").await.ok();
    assert_eq!(none, json!({ "faults": [] }), "all of a list, or nothing");
    let list = json!({ "faults": [{ "operation": "pull", "kind": "reset", "probability": 0 },
        { "operation": "any", "kind": "status" }] });
    assert_eq!(set(&broker, list).await["faults"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn metrics_and_health() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 2).await;
    let consumer = broker.consumer(json!({})).await;
    broker.pull(&consumer, json!({ "maxMessages": 1 })).await;
    broker.get("/nothing").await;
    assert_eq!(broker.admin(Method::GET, "/healthz", "").await.ok(), json!({ "status": "ok" }));
    let metrics = broker.admin(Method::GET, "/metrics", "").await.text;
    for line in [
        "tmq_requests_total{operation=\"pull\",status=\"200\"} 1",
        "tmq_requests_total{operation=\"unknown\",status=\"404\"} 1",
        "tmq_request_duration_seconds_count{operation=\"publish\"} 1",
        "tmq_messages_ready{topic=\"orders\",group=\"g\"} 1",
        "tmq_messages_in_flight{topic=\"orders\",group=\"g\"} 1",
        "tmq_messages_published_total{topic=\"orders\",group=\"g\"} 2",
        "tmq_deliveries_total{topic=\"orders\",group=\"g\"} 1",
    ] {
        assert!(metrics.lines().any(|text| text == line), "{line} is not in\n{metrics}");
    }
    assert_eq!(broker.admin(Method::GET, "/nothing", "").await.json()["code"], "NotFound");
    for (path, allowed) in [("/healthz", "GET, HEAD"), ("/admin/faults", "GET, HEAD, POST, DELETE")] {
        let answer = broker.admin(Method::PUT, path, "").await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (405, &json!("MethodNotAllowed")), "{path}");
        assert_eq!(answer.headers["allow"], allowed, "{path}");
    }
}

/// A gateway's health check has no credentials, meets no fault, and counts as no operation.
#[tokio::test]
async fn a_gateway_asks_for_health_where_it_sends_requests() {
    let broker = Broker::start_with(Fixed, |config| config.credentials.add("app-a=hidden").unwrap()).await;
    set(&broker, json!({ "operation": "any", "kind": "status", "status": 503 })).await;
    let ask = async |method| broker.send(broker.listen, method, "/healthz", "").await;
    assert_eq!(ask(Method::GET).await.ok(), json!({ "status": "ok" }));
    assert_eq!(ask(Method::HEAD).await.status.as_u16(), 200);
    assert_eq!(ask(Method::POST).await.headers["allow"], "GET, HEAD");
    let metrics = broker.admin(Method::GET, "/metrics", "").await.text;
    assert!(!metrics.contains("tmq_requests_total{"), "{metrics}");
}
