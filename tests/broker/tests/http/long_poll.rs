//! Long polls: what ends them, and what a client that goes away leaves behind.

use std::time::Duration;

use serde_json::json;
use tmq_broker::Semantics::Fixed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::client::{Broker, bodies, receipts};

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_poll_waits_and_answers_empty() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let consumer = broker.consumer(json!({})).await;
    let started = Instant::now();
    assert_eq!(broker.pull(&consumer, json!({ "waitMs": 200 })).await.len(), 0);
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_publish_wakes_a_poll() {
    let broker = Broker::start(Fixed).await;
    broker.orders(4, 0).await;
    let consumer = broker.consumer(json!({})).await;
    let wait = json!({ "waitMs": 30_000 });
    let poll = broker.pull(&consumer, wait.clone());
    let publish = async {
        broker.polls_wait(&consumer, 1).await;
        broker.publish(1).await;
    };
    let (messages, ()) = timeout(LONG, async { tokio::join!(poll, publish) }).await.expect("the poll is woken");
    assert_eq!(bodies(&messages), ["m0"]);
}

#[tokio::test]
async fn several_polls_of_one_consumer_share_a_publish() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let consumer = broker.consumer(json!({})).await;
    let wait = || json!({ "waitMs": 30_000, "maxMessages": 1 });
    let polls = async {
        tokio::join!(broker.pull(&consumer, wait()), broker.pull(&consumer, wait()), broker.pull(&consumer, wait()))
    };
    let publish = async {
        broker.polls_wait(&consumer, 3).await;
        broker.publish(3).await;
    };
    let ((a, b, c), _) = timeout(LONG, async { tokio::join!(polls, publish) }).await.expect("all polls are woken");
    assert_eq!(bodies(&[a, b, c].concat()), ["m0", "m1", "m2"]);
}

#[tokio::test]
async fn an_expired_lease_wakes_a_poll() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 1).await;
    let consumer = broker.consumer(json!({ "ackTimeout": 100 })).await;
    assert_eq!(broker.pull(&consumer, json!({})).await.len(), 1);
    let messages = timeout(LONG, broker.pull(&consumer, json!({ "waitMs": 30_000 }))).await.expect("woken");
    assert_eq!(messages[0]["reconsumeTimes"], 1);
}

#[tokio::test]
async fn a_reject_wakes_a_poll_of_the_partitions_owner() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 1).await;
    let consumer = broker.consumer(json!({ "ackTimeout": 60_000 })).await;
    let held = broker.pull(&consumer, json!({})).await;
    let poll = broker.pull(&consumer, json!({ "waitMs": 30_000 }));
    let reject = async {
        broker.polls_wait(&consumer, 1).await;
        broker.post(&format!("{consumer}:reject"), json!({ "receipts": receipts(&held) })).await.ok();
    };
    let (messages, ()) = timeout(LONG, async { tokio::join!(poll, reject) }).await.expect("the poll is woken");
    assert_eq!(messages[0]["reconsumeTimes"], 1);
}

#[tokio::test]
async fn a_pause_ends_a_poll() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let consumer = broker.consumer(json!({})).await;
    let (path, wait) = (format!("{consumer}:pull"), json!({ "waitMs": 30_000 }));
    let poll = broker.post(&path, wait);
    let pause = async {
        broker.polls_wait(&consumer, 1).await;
        broker.post(&format!("{consumer}:pause"), json!({})).await.ok();
    };
    let (answer, ()) = timeout(LONG, async { tokio::join!(poll, pause) }).await.expect("the poll ends");
    answer.refused(409, "ConsumerNotStarted", None);
}

#[tokio::test]
async fn a_stop_ends_every_poll() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let consumer = broker.consumer(json!({})).await;
    let path = format!("{consumer}:pull");
    let poll = async || broker.post(&path, json!({ "waitMs": 60_000 })).await.refused(409, "ConsumerNotStarted", None);
    let stop = async {
        broker.polls_wait(&consumer, 3).await;
        broker.post(&format!("{consumer}:stop"), json!({})).await.ok();
    };
    timeout(LONG, async { tokio::join!(poll(), poll(), poll(), stop) }).await.expect("all polls end");
}

/// Opens a long poll on a connection of its own, without reading the answer.
async fn raw_poll(broker: &Broker, consumer: &str) -> TcpStream {
    let mut stream = TcpStream::connect(broker.server.listen()).await.unwrap();
    let body = json!({ "waitMs": 30_000 }).to_string();
    let head = format!("POST /tmq/v1{consumer}:pull HTTP/1.1\r\nhost: b\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_waits_leases_nothing() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let consumer = broker.consumer(json!({})).await;
    let stream = raw_poll(&broker, &consumer).await;
    broker.polls_wait(&consumer, 1).await;
    drop(stream);
    broker.polls_wait(&consumer, 0).await;
    broker.publish(1).await;
    let ledger = broker.ledger().await;
    assert_eq!((&ledger["ready"], &ledger["deliveries"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn a_client_that_goes_away_with_its_messages_loses_them_to_the_lease() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let consumer = broker.consumer(json!({ "ackTimeout": 200 })).await;
    let mut stream = raw_poll(&broker, &consumer).await;
    broker.polls_wait(&consumer, 1).await;
    broker.publish(1).await;
    // The first byte of the answer: the message is leased; then the client is gone.
    stream.read_u8().await.unwrap();
    drop(stream);
    let again = timeout(LONG, broker.pull(&consumer, json!({ "waitMs": 30_000 }))).await.expect("redelivered");
    assert_eq!(again[0]["reconsumeTimes"], 1);
}

#[tokio::test]
async fn shutdown_answers_open_polls() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let consumer = broker.consumer(json!({})).await;
    let mut stream = raw_poll(&broker, &consumer).await;
    broker.polls_wait(&consumer, 1).await;
    // Long before the poll's own end.
    timeout(LONG, broker.server.shutdown()).await.expect("it ends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"messages":[]}"#), "{answer}");
}
