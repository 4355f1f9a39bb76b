//! Clients of both versions of the protocol, on brokers of both semantics.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tmq_broker::Millis;
use tmq_broker::Semantics::{Fixed, Legacy};
use tokio::time::timeout;

use crate::client::{Answer, Broker};

const VERSION: &str = "x-dingtalk-mq-version";

async fn post(broker: &Broker, version: &str, path: &str, body: Value) -> Answer {
    broker.send_with(Method::POST, path, &[(VERSION, version)], body.to_string()).await
}

/// Subscribes a client of this version to `orders` in the group `g` and starts it; returns the consumer's path.
async fn consumer(broker: &Broker, version: &str, settings: Value) -> String {
    let subscribed = post(broker, version, "/groups/g/consumers", settings).await.ok();
    let path = format!("/groups/g/consumers/{}", subscribed["consumerId"].as_str().unwrap());
    post(broker, version, &format!("{path}:start"), json!({})).await.ok();
    path
}

#[tokio::test]
async fn a_client_is_served_in_the_older_of_its_version_and_the_brokers() {
    for (semantics, stated, served) in [
        (Fixed, None, "2.8"),
        (Fixed, Some("2.8"), "2.8"),
        (Fixed, Some("2.7"), "2.7"),
        (Legacy, None, "2.7"),
        (Legacy, Some("2.8"), "2.7"),
        (Legacy, Some("2.7"), "2.7"),
    ] {
        let broker = Broker::start(semantics).await;
        broker.orders(1, 0).await;
        let headers: Vec<_> = stated.into_iter().map(|version| (VERSION, version)).collect();
        for (path, status) in [("/topics/orders/route", 200), ("/topics/none/route", 404), ("/nothing", 404)] {
            let answer = broker.send_with(Method::GET, path, &headers, "").await;
            assert_eq!((answer.status.as_u16(), &answer.headers[VERSION]), (status, &served.parse().unwrap()));
        }
    }
}

#[tokio::test]
async fn an_unknown_version_is_refused_with_those_that_there_are() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    for versions in [&["3.0"][..], &[""], &["2.7, 2.8"], &["2.7", "2.8"]] {
        let headers: Vec<_> = versions.iter().map(|version| (VERSION, *version)).collect();
        let answer = broker.send_with(Method::GET, "/topics/orders/route", &headers, "").await;
        answer.refused(400, "InvalidArgument", Some("X-DingTalk-MQ-Version"));
        let message = answer.json()["message"].to_string();
        assert!(message.contains("2.7") && message.contains("2.8"), "{message}");
        assert_eq!(answer.headers[VERSION], "2.8", "what the broker speaks");
    }
}

#[tokio::test]
async fn a_zero_ack_timeout_is_for_legacy_consumers_alone() {
    let zero = || json!({ "topic": "orders", "ackTimeout": 0, "maxReconsumeTimes": 0, "deadLetterTopic": "d" });
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 1).await;
    let refused = post(&broker, "2.8", "/groups/g/consumers", zero()).await;
    refused.refused(400, "InvalidArgument", Some("ackTimeout"));

    let legacy = consumer(&broker, "2.7", zero()).await;
    assert_eq!(broker.pull(&legacy, json!({})).await.len(), 1);
    let ledger = broker.ledger().await;
    assert_eq!((&ledger["archived"], &ledger["deadLettered"]), (&json!(1), &json!(0)), "the legacy loss");
}

#[tokio::test]
async fn a_consumer_keeps_the_semantics_of_its_subscribe() {
    let broker = Broker::start(Fixed).await;
    broker.orders(2, 4).await;
    let settings = || json!({ "topic": "orders", "ackTimeout": 60_000, "maxReconsumeTimes": 0 });
    let (legacy, fixed) = (consumer(&broker, "2.7", settings()).await, consumer(&broker, "2.8", settings()).await);
    for (consumer, good) in [(&legacy, true), (&fixed, false)] {
        for (operation, body) in [
            ("heartbeat", json!({ "receipts": [], "ackTimeout": 0 })),
            ("pull", json!({ "maxMessages": 1, "ackTimeout": 0 })),
        ] {
            // The version of the request does not matter any more.
            for version in ["2.7", "2.8"] {
                let answer = post(&broker, version, &format!("{consumer}:{operation}"), body.clone()).await;
                if good {
                    answer.ok();
                } else {
                    answer.refused(400, "InvalidArgument", Some("ackTimeout"));
                }
            }
        }
    }
    assert_eq!(broker.ledger().await["archived"], 2, "one for each pull of the legacy consumer");
}

#[tokio::test]
async fn a_legacy_clients_long_poll_is_answered_before_it_falls_back() {
    for semantics in [Fixed, Legacy] {
        let broker = Broker::start_with(semantics, |config| config.fallback_timeout = Millis(50)).await;
        broker.orders(1, 0).await;
        let consumer = consumer(&broker, "2.7", json!({ "topic": "orders" })).await;
        let path = format!("{consumer}:pull");
        let wait = || json!({ "waitMs": 60_000 });
        let poll = post(&broker, "2.7", &path, wait());
        // Long before the wait that it asked for.
        let answer = timeout(Duration::from_secs(20), poll).await.expect("the wait is cut");
        assert_eq!(answer.ok(), json!({ "messages": [] }), "{semantics}");

        let poll = post(&broker, "2.8", &path, wait());
        tokio::pin!(poll);
        let early = timeout(Duration::from_millis(500), &mut poll).await;
        assert!(early.is_err(), "{semantics}: {early:?}");
        broker.publish(1).await;
        assert_eq!(poll.await.ok()["messages"][0]["body"], "m0");
    }
}

#[tokio::test]
async fn a_legacy_client_gets_what_is_published_while_it_waits() {
    let broker = Broker::start_with(Fixed, |config| config.fallback_timeout = Millis(60_000)).await;
    broker.orders(1, 0).await;
    let consumer = consumer(&broker, "2.7", json!({ "topic": "orders" })).await;
    let path = format!("{consumer}:pull");
    let poll = post(&broker, "2.7", &path, json!({ "waitMs": 30_000 }));
    let publish = async {
        broker.polls_wait(&consumer, 1).await;
        broker.publish(1).await;
    };
    let (answer, ()) = tokio::join!(poll, publish);
    assert_eq!(answer.ok()["messages"][0]["body"], "m0");
}
