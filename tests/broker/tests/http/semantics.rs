//! Where the two semantics differ, row by row of the protocol's table; and what both share.

use std::time::Duration;

use serde_json::{Value, json};
use tmq_broker::Semantics::{Fixed, Legacy};
use tmq_broker::{BackOff, Millis};

use crate::client::{Broker, bodies, receipts};

const DEAD_LETTER: &str = "X-DingTalk-MQ-DeadLetter";

#[tokio::test]
async fn legacy_archives_after_the_retries_of_an_ack_timeout_of_zero() {
    for (subscribed, pulled) in [(0, None), (60_000, Some(0))] {
        let broker = Broker::start(Legacy).await;
        broker.orders(2, 6).await;
        let settings = json!({ "ackTimeout": subscribed, "maxReconsumeTimes": 3, "deadLetterTopic": "orders.dlq" });
        let consumer = broker.consumer(settings).await;
        let pull = json!({ "ackTimeout": pulled, "maxMessages": 100 });
        for delivery in 0..4 {
            let messages = broker.pull(&consumer, pull.clone()).await;
            assert_eq!(messages.len(), 6, "each retry is a delivery of its own");
            assert!(messages.iter().all(|message| message["reconsumeTimes"] == delivery));
            assert_eq!(messages[0]["ackDeadline"], messages[0]["deliveredAt"]);
            for verb in ["ack", "reject", "heartbeat"] {
                let late = json!({ "receipts": receipts(&messages) });
                let answer = broker.post(&format!("{consumer}:{verb}"), late).await.ok();
                let failed = answer["failed"].as_array().unwrap();
                assert_eq!(failed.len(), 6);
                assert!(failed.iter().all(|failed| failed["code"] == "ReceiptExpired"), "{verb}");
            }
        }
        assert_eq!(broker.pull(&consumer, pull).await.len(), 0);
        let ledger = broker.ledger().await;
        assert_eq!((&ledger["archived"], &ledger["deadLettered"]), (&json!(6), &json!(0)), "whatever was asked");
        assert_eq!((&ledger["deliveries"], &ledger["redeliveries"]), (&json!(24), &json!(18)));
    }
}

#[tokio::test]
async fn fixed_refuses_an_ack_timeout_of_zero() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 1).await;
    let settings = json!({ "topic": "orders", "ackTimeout": 0 });
    broker.post("/groups/g/consumers", settings).await.refused(400, "InvalidArgument", Some("ackTimeout"));
    let consumer = broker.consumer(json!({})).await;
    let pull = broker.post(&format!("{consumer}:pull"), json!({ "ackTimeout": 0 })).await;
    pull.refused(400, "InvalidArgument", Some("ackTimeout"));
    let messages = broker.pull(&consumer, json!({})).await;
    let beat = json!({ "receipts": receipts(&messages), "ackTimeout": 0 });
    let beat = broker.post(&format!("{consumer}:heartbeat"), beat).await;
    beat.refused(400, "InvalidArgument", Some("ackTimeout"));
}

#[tokio::test]
async fn a_rebalance_forgets_in_legacy_and_makes_ready_in_fixed() {
    for semantics in [Legacy, Fixed] {
        let broker = Broker::start(semantics).await;
        broker.orders(2, 8).await;
        let first = broker.consumer(json!({ "ackTimeout": 60_000 })).await;
        let held = broker.pull(&first, json!({ "maxMessages": 100 })).await;
        let second = broker.consumer(json!({ "ackTimeout": 60_000 })).await;
        let moved = broker.get(&second).await.ok()["partitions"].clone();
        assert_eq!(moved.as_array().unwrap().len(), 1);

        let (kept, lost): (Vec<Value>, Vec<Value>) =
            held.into_iter().partition(|message| message["partition"] != moved[0]);
        let acked = broker.post(&format!("{first}:ack"), json!({ "receipts": receipts(&kept) })).await.ok();
        assert_eq!(acked["acked"].as_array().unwrap().len(), 4, "what did not move is still leased");
        let acked = broker.post(&format!("{first}:ack"), json!({ "receipts": receipts(&lost) })).await.ok();
        assert_eq!(acked["failed"].as_array().unwrap().len(), 4);

        let again = broker.pull(&second, json!({ "maxMessages": 100 })).await;
        let ledger = broker.ledger().await;
        if semantics == Legacy {
            assert_eq!(again.len(), 0);
            assert_eq!((&ledger["forgotten"], &ledger["archived"]), (&json!(4), &json!(0)));
        } else {
            assert_eq!(bodies(&again), bodies(&lost));
            assert!(again.iter().all(|message| message["reconsumeTimes"] == 0), "a rebalance is no failure");
            assert_eq!((&ledger["forgotten"], &ledger["redeliveries"]), (&json!(0), &json!(4)));
        }
    }
}

#[tokio::test]
async fn a_consumer_that_stops_gives_its_partitions_to_the_others() {
    for (semantics, fate) in [(Legacy, "forgotten"), (Fixed, "ready")] {
        let broker = Broker::start(semantics).await;
        broker.orders(4, 8).await;
        let one = broker.consumer(json!({ "ackTimeout": 60_000 })).await;
        let other = broker.consumer(json!({ "ackTimeout": 60_000 })).await;
        assert_eq!(broker.pull(&one, json!({})).await.len(), 4);
        broker.post(&format!("{one}:stop"), json!({})).await.ok();
        let ledger = broker.ledger().await;
        assert_eq!(ledger[fate].as_u64(), Some(if fate == "ready" { 8 } else { 4 }), "{ledger}");
        assert_eq!(broker.get(&other).await.ok()["partitions"], json!([0, 1, 2, 3]));
    }
}

#[tokio::test]
async fn a_consumer_that_is_silent_for_three_periods_has_left() {
    let broker = Broker::start_with(Fixed, |config| config.heartbeat_period = Millis(100)).await;
    broker.orders(2, 4).await;
    let silent = broker.consumer(json!({ "ackTimeout": 60_000 })).await;
    assert_eq!(broker.pull(&silent, json!({})).await.len(), 4);
    let ledger = broker.ledger_until(|ledger| ledger["inFlight"] == 0).await;
    assert_eq!(ledger["ready"], 4);
    let described = broker.get(&silent).await.ok();
    assert_eq!((&described["state"], &described["partitions"]), (&json!("Started"), &json!([])));
    let back = broker.pull(&silent, json!({})).await;
    assert_eq!(back.len(), 4, "its next operation brings it back");
}

#[tokio::test]
async fn a_consumer_whose_poll_waits_is_not_silent() {
    let broker = Broker::start_with(Fixed, |config| config.heartbeat_period = Millis(50)).await;
    broker.orders(1, 0).await;
    let consumer = broker.consumer(json!({})).await;
    let poll = broker.pull(&consumer, json!({ "waitMs": 30_000 }));
    let look = async {
        broker.polls_wait(&consumer, 1).await;
        let seen = |description: &Value| description["lastSeen"].as_u64().unwrap();
        let before = seen(&broker.get(&consumer).await.ok());
        // Three periods later, the broker has asked itself whether it is silent.
        let later = broker.described_until(&consumer, |description| seen(description) >= before + 150).await;
        let partitions = later["partitions"].clone();
        broker.publish(1).await;
        partitions
    };
    let (messages, partitions) = tokio::join!(poll, look);
    assert_eq!((messages.len(), partitions), (1, json!([0])));
}

#[tokio::test]
async fn a_failed_message_backs_off_in_fixed_and_is_ready_at_once_in_legacy() {
    // A rest of a minute would be longer than the poll.
    for (semantics, base) in [(Legacy, 60_000), (Fixed, 300)] {
        let broker = Broker::start_with(semantics, |config| config.back_off = BackOff { base: Millis(base) }).await;
        broker.orders(1, 1).await;
        let consumer = broker.consumer(json!({ "ackTimeout": 60_000 })).await;
        let first = broker.pull(&consumer, json!({})).await;
        broker.post(&format!("{consumer}:reject"), json!({ "receipts": receipts(&first) })).await.ok();
        assert_eq!(broker.ledger().await["ready"], 1, "a message that rests is ready in the ledger");
        let second = broker.pull(&consumer, json!({ "waitMs": 5_000 })).await;
        let rest = second[0]["deliveredAt"].as_u64().unwrap() - first[0]["deliveredAt"].as_u64().unwrap();
        assert!(rest >= if semantics == Fixed { base } else { 0 }, "{rest}");
        assert_eq!(second[0]["reconsumeTimes"], 1);
    }
}

#[tokio::test]
async fn a_message_without_retries_left_is_dead_lettered_with_its_origin() {
    for semantics in [Legacy, Fixed] {
        let broker = Broker::start(semantics).await;
        broker.orders(2, 0).await;
        let message = json!({ "body": "poison", "key": "k", "tag": "t", "properties": { "p": "1" } });
        let published = broker.post("/topics/orders/messages", json!({ "messages": [message] })).await.ok();
        let settings = json!({ "ackTimeout": 60_000, "maxReconsumeTimes": 1, "deadLetterTopic": "orders.dlq" });
        let consumer = broker.consumer(settings).await;
        for _ in 0..2 {
            let messages = broker.pull(&consumer, json!({})).await;
            broker.post(&format!("{consumer}:reject"), json!({ "receipts": receipts(&messages) })).await.ok();
        }
        assert_eq!(broker.pull(&consumer, json!({})).await.len(), 0);
        let ledger = broker.ledger().await;
        assert_eq!((&ledger["deadLettered"], &ledger["archived"]), (&json!(1), &json!(0)));

        let undertaker = broker.consumer(json!({ "topic": "orders.dlq" })).await;
        let letters = broker.pull(&undertaker, json!({})).await;
        assert_eq!(letters.len(), 1);
        let headers = json!({
            DEAD_LETTER: "orders",
            "X-DingTalk-MQ-DeadLetter-Group": "g",
            "X-DingTalk-MQ-DeadLetter-Reason": "rejected",
            "X-DingTalk-MQ-DeadLetter-Attempts": "2",
        });
        assert_eq!(letters[0]["headers"], headers);
        assert_eq!(letters[0]["messageId"], published["results"][0]["messageId"]);
        for (field, value) in [("body", "poison"), ("key", "k"), ("tag", "t"), ("topic", "orders.dlq")] {
            assert_eq!(letters[0][field], value);
        }
        assert_eq!(letters[0]["properties"], json!({ "p": "1" }));
    }
}

#[tokio::test]
async fn without_a_dead_letter_topic_a_message_is_archived() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 1).await;
    let consumer = broker.consumer(json!({ "ackTimeout": 60_000, "maxReconsumeTimes": 0 })).await;
    let messages = broker.pull(&consumer, json!({})).await;
    broker.post(&format!("{consumer}:reject"), json!({ "receipts": receipts(&messages) })).await.ok();
    assert_eq!(broker.ledger().await["archived"], 1);
    assert_eq!(broker.pull(&consumer, json!({})).await.len(), 0);
}

#[tokio::test]
async fn a_heartbeat_moves_the_deadline_at_which_a_lease_expires() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 2).await;
    let consumer = broker.consumer(json!({ "ackTimeout": 60_000 })).await;
    let messages = broker.pull(&consumer, json!({})).await;
    let [kept, shortened] = receipts(&messages)[..] else { panic!("two messages") };
    for (receipt, ack_timeout) in [(kept, 120_000), (shortened, 1)] {
        let beat = json!({ "receipts": [receipt], "ackTimeout": ack_timeout });
        broker.post(&format!("{consumer}:heartbeat"), beat).await.ok();
    }
    let ledger = broker.ledger_until(|ledger| ledger["ready"] == 1).await;
    assert_eq!(ledger["inFlight"], 1);
    let late = broker.post(&format!("{consumer}:ack"), json!({ "receipts": receipts(&messages) })).await.ok();
    assert_eq!(late["acked"], json!([kept]));
    assert_eq!(late["failed"][0]["code"], "ReceiptExpired");
    let again = broker.pull(&consumer, json!({})).await;
    assert_eq!(again[0]["body"], messages[1]["body"]);
}

#[tokio::test]
async fn a_dead_letter_wakes_a_poll_on_its_topic() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 1).await;
    let consumer = broker.consumer(json!({ "ackTimeout": 100, "maxReconsumeTimes": 0, "deadLetterTopic": "d" })).await;
    let undertaker = broker.consumer(json!({ "topic": "d" })).await;
    assert_eq!(broker.pull(&consumer, json!({})).await.len(), 1);
    let poll = broker.pull(&undertaker, json!({ "waitMs": 30_000 }));
    let letters = tokio::time::timeout(Duration::from_secs(10), poll).await.expect("the poll is woken");
    assert_eq!(letters.len(), 1);
}
