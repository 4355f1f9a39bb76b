//! What a restart must not change, whatever ended the broker.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{bodies, receipts};
use crate::stand::Stand;

/// Everything that a client may have been told is there after a kill, after an orderly end, and after both once more,
/// when it comes from a snapshot.
#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let mut stand = Stand::new(&["--heartbeat-period", "60000"]);
    stand.orders(3, 6).await;
    let tokens = json!({ "messages": [{ "body": "t", "key": "k", "idempotencyToken": "once" }] });
    let first = stand.post("/topics/orders/messages", tokens.clone()).await.ok();
    let half = async |body: &str| {
        let publish = json!({ "half": true, "messages": [{ "body": body }] });
        let answer = stand.post("/topics/orders/messages", publish).await.ok();
        format!("/transactions/{}", answer["transactionId"].as_str().unwrap())
    };
    let (committed, compensated, pending) = (half("committed").await, half("compensated").await, half("late").await);
    stand.post(&format!("{committed}:commit"), json!({})).await.ok();
    stand.post(&format!("{compensated}:rollback"), json!({})).await.ok();

    let settings = json!({ "ackTimeout": 600_000, "maxReconsumeTimes": 0, "deadLetterTopic": "dead" });
    let consumer = stand.consumer(settings).await;
    let messages = stand.pull(&consumer, json!({ "maxMessages": 5 })).await;
    let held = receipts(&messages);
    assert_eq!(held.len(), 5);
    stand.post(&format!("{consumer}:ack"), json!({ "receipts": [held[0]] })).await.ok();
    stand.post(&format!("{consumer}:reject"), json!({ "receipts": [held[1]] })).await.ok();
    let described = stand.get(&consumer).await.ok();
    let ledger = stand.whole_ledger().await;

    for signal in [Signal::KILL, Signal::TERM, Signal::KILL] {
        stand.restart(signal);
        assert_eq!(stand.whole_ledger().await, ledger, "{signal:?}");
        let again = stand.get(&consumer).await.ok();
        let fields = ["state", "partitions", "inFlight", "topic", "ackTimeout", "maxReconsumeTimes", "deadLetterTopic"];
        for field in fields {
            assert!(!again[field].is_null(), "{field} {again}");
            assert_eq!(again[field], described[field], "{field} {signal:?}");
        }
        let duplicate = stand.post("/topics/orders/messages", tokens.clone()).await.ok();
        let (was, is) = (&first["results"][0], &duplicate["results"][0]);
        assert_eq!((&is["messageId"], &is["offset"]), (&was["messageId"], &was["offset"]));
        assert_eq!(is["duplicate"], json!(true));
        stand.post(&format!("{committed}:commit"), json!({})).await.ok();
        stand.post(&format!("{committed}:rollback"), json!({})).await.refused(409, "IllegalStateTransition", None);
        stand.post(&format!("{compensated}:rollback"), json!({})).await.ok();
        let acked = stand.post(&format!("{consumer}:ack"), json!({ "receipts": [held[0]] })).await.ok();
        assert_eq!(acked["acked"], json!([held[0]]), "an ack that is sent again is answered alike");
    }

    stand.post(&format!("{pending}:commit"), json!({})).await.ok();
    let acked = stand.post(&format!("{consumer}:ack"), json!({ "receipts": &held[1..] })).await.ok();
    assert_eq!(acked["acked"], json!(&held[2..]), "receipts outlive the broker");
    let rest = stand.pull(&consumer, json!({ "maxMessages": 100 })).await;
    assert_eq!(rest.len(), 6 + 1 + 1 + 1 - 5, "what was not delivered, and the late commit");
    assert!(bodies(&rest).contains(&"late"));
    let letters = stand.consumer(json!({ "topic": "dead" })).await;
    assert_eq!(bodies(&stand.pull(&letters, json!({})).await), [messages[1]["body"].as_str().unwrap()]);
    stand.end(Signal::TERM);
    stand.reconciled();
}

/// Whoever has just begun to look at the broker tells by this whether the ledger's figures are news.
#[tokio::test]
async fn a_ledger_tells_when_it_began_until_it_goes_on_from_the_disk() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = now();
    let mut stand = Stand::new(&[]);
    let began = async |stand: &Stand| {
        let metrics = stand.admin(Method::GET, "/metrics", "").await.text;
        let line = metrics.lines().find_map(|line| line.strip_prefix("tmq_ledger_start_time_seconds "));
        line.map(|seconds| seconds.parse::<u64>().unwrap())
    };
    let first = began(&stand).await.unwrap();
    assert!((before..=now()).contains(&first), "{first} since {before}");
    stand.restart(Signal::TERM);
    assert!(began(&stand).await.is_some(), "nothing was counted yet");
    stand.orders(1, 1).await;
    stand.consumer(json!({})).await;
    stand.restart(Signal::TERM);
    assert_eq!(began(&stand).await, None);
}

#[tokio::test]
async fn time_that_passed_while_it_was_down_counts_for_leases_and_not_for_silence() {
    let mut stand = Stand::new(&["--heartbeat-period", "60000"]);
    stand.orders(1, 1).await;
    let consumer = stand.consumer(json!({ "ackTimeout": 1, "maxReconsumeTimes": 5 })).await;
    let held = stand.pull(&consumer, json!({})).await;
    stand.restart(Signal::KILL);
    let again = stand.pull(&consumer, json!({ "waitMs": 10_000 })).await;
    assert_eq!(again[0]["messageId"], held[0]["messageId"]);
    assert_eq!(again[0]["reconsumeTimes"], json!(1));
}

#[tokio::test]
async fn a_pending_transaction_is_compensated_in_time_by_the_next_broker() {
    let mut stand = Stand::new(&["--transaction-timeout", "1000"]);
    stand.orders(1, 0).await;
    let publish = json!({ "half": true, "messages": [{ "body": "never" }] });
    let half = stand.post("/topics/orders/messages", publish).await.ok();
    let transaction = format!("/transactions/{}", half["transactionId"].as_str().unwrap());
    stand.restart(Signal::KILL);
    let compensated = async { while stand.get(&transaction).await.ok()["state"] != "compensated" {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), compensated).await.expect("it is compensated");
    stand.post(&format!("{transaction}:commit"), json!({})).await.refused(409, "IllegalStateTransition", None);
    assert_eq!(stand.whole_ledger().await["topics"][0]["published"], json!(0));
}

/// Many small checkpoints and segments, so that an orderly life goes through all of it: rolls, cuts of the journal,
/// retention. What no group has settled stays, however small the bounds.
#[tokio::test]
async fn retention_removes_what_is_settled_and_nothing_else() {
    let small = ["--segment-bytes", "4096", "--checkpoint-bytes", "16384", "--retention-bytes", "8192"];
    let mut stand = Stand::new(&small);
    stand.orders(1, 0).await;
    let (quick, slow) = (stand.consumer(json!({})).await, stand.created(json!({ "topic": "orders" })).await);
    let body = "x".repeat(500);
    for round in 0..40 {
        let messages: Vec<Value> = (0..10).map(|n| json!({ "body": format!("{round}.{n} {body}") })).collect();
        stand.post("/topics/orders/messages", json!({ "messages": messages })).await.ok();
        let pulled = stand.pull(&quick, json!({ "maxMessages": 10 })).await;
        stand.post(&format!("{quick}:ack"), json!({ "receipts": receipts(&pulled) })).await.ok();
    }
    // The same group, one share: all is settled but what the second consumer's share would be; there is one partition.
    let described = stand.get(&slow).await.ok();
    assert_eq!(described["partitions"], json!([]));
    stand.restart(Signal::TERM);
    stand.restart(Signal::TERM);
    let held: u64 = stand.files("topics", ".segment").iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!((1..200_000).contains(&held), "{held} bytes are held of more than 200,000 that were published");
    let ledger = stand.ledger().await;
    assert_eq!(ledger["acked"], json!(400));

    // Another group begins where the log does, and nothing is taken from it.
    let late = stand.post("/groups/h/consumers", json!({ "topic": "orders" })).await.ok();
    let late = format!("/groups/h/consumers/{}", late["consumerId"].as_str().unwrap());
    stand.post(&format!("{late}:start"), json!({})).await.ok();
    let first = stand.pull(&late, json!({ "maxMessages": 1 })).await[0]["offset"].as_u64().unwrap();
    assert!(first > 0);
    for _ in 0..20 {
        let messages: Vec<Value> = (0..10).map(|n| json!({ "body": format!("late {n} {body}") })).collect();
        stand.post("/topics/orders/messages", json!({ "messages": messages })).await.ok();
    }
    stand.restart(Signal::TERM);
    stand.restart(Signal::KILL);
    let mut seen = 1;
    loop {
        let pulled = stand.pull(&late, json!({ "maxMessages": 100 })).await.len() as u64;
        if pulled == 0 {
            break;
        }
        seen += pulled;
    }
    assert_eq!(first + seen, 600);
    stand.end(Signal::TERM);
    stand.reconciled();
}

/// A dead letter that was read and has become old is no message without an end, though its origin is there still.
#[tokio::test]
async fn dead_letters_that_retention_removed_are_accounted_for() {
    let mut stand = Stand::new(&["--segment-bytes", "4096", "--retention-bytes", "4096"]);
    stand.orders(1, 0).await;
    let settings = json!({ "ackTimeout": 600_000, "maxReconsumeTimes": 0, "deadLetterTopic": "dead" });
    let consumer = stand.consumer(settings).await;
    let letters = stand.consumer(json!({ "topic": "dead" })).await;
    let body = "x".repeat(500);
    for round in 0..40 {
        let message = json!({ "body": format!("{round} {body}"), "key": "k" });
        stand.post("/topics/orders/messages", json!({ "messages": [message] })).await.ok();
        let pulled = stand.pull(&consumer, json!({})).await;
        // The first stays leased: nothing of the topic may be removed.
        if round > 0 {
            stand.post(&format!("{consumer}:reject"), json!({ "receipts": receipts(&pulled) })).await.ok();
            let pulled = stand.pull(&letters, json!({})).await;
            assert_eq!(receipts(&pulled).len(), 1);
            stand.post(&format!("{letters}:ack"), json!({ "receipts": receipts(&pulled) })).await.ok();
        }
    }
    stand.restart(Signal::TERM);
    let segments = |topic: &str| stand.files(&format!("topics/{topic}"), ".segment").len();
    assert!(segments("dead") < segments("orders"), "{} {}", segments("dead"), segments("orders"));
    stand.end(Signal::TERM);
    stand.reconciled();
}
