//! Each operation of the protocol, as it should go.

use serde_json::{Value, json};
use tmq_broker::Semantics::Fixed;

use crate::client::{Broker, bodies, receipts};

#[tokio::test]
async fn a_topic_is_created_once_and_routed() {
    let broker = Broker::start(Fixed).await;
    let created = broker.put("/topics/orders", json!({ "partitions": 2 })).await;
    assert_eq!(created.status, 201);
    assert_eq!(broker.put("/topics/orders", json!({ "partitions": 2 })).await.status, 200);
    assert_eq!(broker.put("/topics/orders", json!({})).await.status, 200);
    broker.put("/topics/orders", json!({ "partitions": 3 })).await.refused(400, "InvalidArgument", Some("partitions"));
    let leader = broker.server.listen().to_string();
    let route = broker.get("/topics/orders/route").await.ok();
    let partitions = json!([{ "id": 0, "leader": leader }, { "id": 1, "leader": leader }]);
    assert_eq!(route, json!({ "topic": "orders", "ttlMs": 30000, "partitions": partitions }));
}

#[tokio::test]
async fn a_message_arrives_as_it_was_published() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let published = json!({ "messages": [
        { "body": "grüße \"\\\u{1f4e6}\u{0}\n", "key": "k", "tag": "t", "properties": { "a": "1", "b": "" } },
        { "body": "AP8=", "encoding": "base64" },
    ] });
    let results = broker.post("/topics/orders/messages", published).await.ok();
    let consumer = broker.consumer(json!({ "ackTimeout": 9_000, "maxReconsumeTimes": 7 })).await;
    let messages = broker.pull(&consumer, json!({})).await;
    let first = &messages[0];
    for (field, value) in [
        ("messageId", &results["results"][0]["messageId"]),
        ("topic", &json!("orders")),
        ("partition", &json!(0)),
        ("offset", &json!(0)),
        ("body", &json!("grüße \"\\\u{1f4e6}\u{0}\n")),
        ("encoding", &json!("utf8")),
        ("key", &json!("k")),
        ("tag", &json!("t")),
        ("properties", &json!({ "a": "1", "b": "" })),
        ("headers", &json!({})),
        ("reconsumeTimes", &json!(0)),
        ("maxReconsumeTimes", &json!(7)),
        ("ackTimeout", &json!(9_000)),
    ] {
        assert_eq!(&first[field], value, "{field}");
    }
    assert_eq!(first["deliveredAt"].as_u64().unwrap() + 9_000, first["ackDeadline"].as_u64().unwrap());
    assert_eq!((&messages[1]["body"], &messages[1]["encoding"]), (&json!("AP8="), &json!("base64")));
    assert_eq!((&messages[1]["offset"], &messages[1]["key"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn a_key_keeps_its_partition_and_its_order() {
    let broker = Broker::start(Fixed).await;
    broker.orders(8, 0).await;
    for round in 0..3 {
        let messages: Vec<Value> =
            (0..20).map(|key| json!({ "body": format!("{key}:{round}"), "key": format!("key{key}") })).collect();
        broker.post("/topics/orders/messages", json!({ "messages": messages })).await.ok();
    }
    let consumer = broker.consumer(json!({})).await;
    let messages = broker.pull(&consumer, json!({ "maxMessages": 100 })).await;
    assert_eq!(messages.len(), 60);
    for key in 0..20 {
        let of_key: Vec<&Value> = messages.iter().filter(|message| message["key"] == format!("key{key}")).collect();
        let rounds: Vec<String> = of_key.iter().map(|message| message["body"].to_string()).collect();
        assert!(rounds.is_sorted() && rounds.len() == 3, "{rounds:?}");
        assert!(of_key.iter().all(|message| message["partition"] == of_key[0]["partition"]));
    }
}

#[tokio::test]
async fn an_idempotency_token_publishes_once() {
    let broker = Broker::start(Fixed).await;
    broker.orders(4, 0).await;
    let message = |body: &str, token: &str| json!({ "body": body, "idempotencyToken": token });
    let publish = async |messages: Vec<Value>| {
        let answer = broker.post("/topics/orders/messages", json!({ "messages": messages })).await.ok();
        answer["results"].as_array().unwrap().clone()
    };
    let first = publish(vec![message("a", "1"), message("b", "2"), message("a again", "1")]).await;
    let second = publish(vec![message("c", "3"), message("b again", "2")]).await;
    let duplicates = |results: &[Value]| results.iter().map(|r| r["duplicate"].as_bool().unwrap()).collect::<Vec<_>>();
    assert_eq!(duplicates(&first), [false, false, true]);
    assert_eq!(duplicates(&second), [false, true]);
    for (one, other) in [(&first[2], &first[0]), (&second[1], &first[1])] {
        for field in ["messageId", "partition", "offset"] {
            assert_eq!(one[field], other[field]);
        }
    }
    let consumer = broker.consumer(json!({})).await;
    assert_eq!(bodies(&broker.pull(&consumer, json!({})).await), ["a", "b", "c"]);
}

#[tokio::test]
async fn half_messages_appear_at_their_commit() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let consumer = broker.consumer(json!({})).await;
    let half = async |body: &str| {
        let publish = json!({ "half": true, "messages": [{ "body": body }] });
        let answer = broker.post("/topics/orders/messages", publish).await.ok();
        assert_eq!(answer["state"], "pending");
        format!("/transactions/{}", answer["transactionId"].as_str().unwrap())
    };
    let (kept, dropped) = (half("kept").await, half("dropped").await);
    assert_eq!(broker.pull(&consumer, json!({})).await, [] as [Value; 0]);
    let id = kept.strip_prefix("/transactions/").unwrap();
    assert_eq!(broker.get(&kept).await.ok(), json!({ "transactionId": id, "state": "pending" }));
    for _ in 0..2 {
        let committed = broker.post(&format!("{kept}:commit"), json!({})).await.ok();
        assert_eq!(committed["state"], "committed");
        let compensated = broker.post(&format!("{dropped}:rollback"), json!({})).await.ok();
        assert_eq!(compensated["state"], "compensated");
    }
    assert_eq!(broker.get(&kept).await.ok()["state"], "committed");
    assert_eq!(broker.get(&dropped).await.ok()["state"], "compensated");
    broker.post(&format!("{kept}:rollback"), json!({})).await.refused(409, "IllegalStateTransition", None);
    broker.post(&format!("{dropped}:commit"), json!({})).await.refused(409, "IllegalStateTransition", None);
    assert_eq!(bodies(&broker.pull(&consumer, json!({})).await), ["kept"]);
    assert_eq!(broker.ledger().await["published"], 1);
}

#[tokio::test]
async fn a_forgotten_transaction_is_compensated() {
    let broker = Broker::start_with(Fixed, |config| config.transaction_timeout = tmq_broker::Millis(0)).await;
    broker.orders(1, 0).await;
    let answer = broker.post("/topics/orders/messages", json!({ "half": true, "messages": [{ "body": "x" }] })).await;
    let transaction = format!("/transactions/{}", answer.ok()["transactionId"].as_str().unwrap());
    broker.post(&format!("{transaction}:commit"), json!({})).await.refused(409, "IllegalStateTransition", None);
    assert_eq!(broker.post(&format!("{transaction}:rollback"), json!({})).await.ok()["state"], "compensated");
}

#[tokio::test]
async fn subscribe_answers_the_effective_settings() {
    let broker = Broker::start(Fixed).await;
    broker.orders(3, 0).await;
    let defaults = broker.post("/groups/g/consumers", json!({ "topic": "orders", "later": [1] })).await;
    assert_eq!(defaults.status, 201);
    let defaults = defaults.ok();
    for (field, value) in [
        ("state", json!("Created")),
        ("topic", json!("orders")),
        ("ackTimeout", json!(5_000)),
        ("maxReconsumeTimes", json!(3)),
        ("autoAck", json!(false)),
        ("deadLetterTopic", Value::Null),
        ("clientId", Value::Null),
        ("partitions", json!([0, 1, 2])),
    ] {
        assert_eq!(defaults[field], value, "{field}");
    }
    let settings = json!({ "topic": "orders", "ackTimeout": 10_000, "maxReconsumeTimes": 5, "autoAck": true,
        "deadLetterTopic": "orders.dlq", "clientId": "c1" });
    let second = broker.post("/groups/g/consumers", settings.clone()).await.ok();
    for (field, value) in settings.as_object().unwrap() {
        assert_eq!(&second[field], value, "{field}");
    }
    let path = format!("/groups/g/consumers/{}", second["consumerId"].as_str().unwrap());
    let described = broker.get(&path).await.ok();
    assert_eq!((&described["partitions"], &described["clientId"]), (&second["partitions"], &json!("c1")));
    assert_eq!(second["partitions"].as_array().unwrap().len(), 1, "three partitions for two consumers");
}

#[tokio::test]
async fn the_lifecycle_and_its_refusals() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 1).await;
    let consumer = broker.created(json!({})).await;
    let step = async |step: &str| broker.post(&format!("{consumer}:{step}"), json!({})).await;
    let refused = async |steps: &[&str]| {
        for name in steps {
            step(name).await.refused(409, "IllegalStateTransition", None);
        }
    };
    let moved = async |name: &str, state: &str| {
        assert_eq!(step(name).await.ok(), json!({ "state": state }));
        assert_eq!(broker.get(&consumer).await.ok()["state"], state);
    };
    refused(&["pause", "resume", "stop", "close"]).await;
    step("pull").await.refused(409, "ConsumerNotStarted", None);
    moved("start", "Started").await;
    refused(&["start", "resume", "close"]).await;
    let held = broker.pull(&consumer, json!({})).await;
    moved("pause", "Paused").await;
    refused(&["start", "pause", "stop", "close"]).await;
    step("pull").await.refused(409, "ConsumerNotStarted", None);
    let beat = broker.post(&format!("{consumer}:heartbeat"), json!({ "receipts": receipts(&held) })).await.ok();
    assert_eq!(beat["extended"].as_array().unwrap().len(), 1, "a paused consumer keeps what it holds");
    let acked = broker.post(&format!("{consumer}:ack"), json!({ "receipts": receipts(&held) })).await.ok();
    assert_eq!(acked["acked"], json!(receipts(&held)));
    moved("resume", "Started").await;
    moved("stop", "Stopped").await;
    refused(&["start", "pause", "resume", "stop"]).await;
    broker.post(&format!("{consumer}:ack"), json!({ "receipts": [] })).await.refused(409, "ConsumerNotStarted", None);
    moved("close", "Closed").await;
    refused(&["start", "pause", "resume", "stop", "close"]).await;
}

#[tokio::test]
async fn ack_reject_and_heartbeat_answer_receipt_by_receipt() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 3).await;
    let consumer = broker.consumer(json!({ "ackTimeout": 60_000 })).await;
    let messages = broker.pull(&consumer, json!({})).await;
    let [first, second, third] = receipts(&messages)[..] else { panic!("three messages") };
    let post = async |verb: &str, body: Value| broker.post(&format!("{consumer}:{verb}"), body).await.ok();
    let unknown = format!("{}{}", &first[..16], "0000000000000fff");
    let other_run = format!("{}{}", "0123456789abcdef", &first[16..]);

    let acked = post("ack", json!({ "receipts": [first, unknown, other_run, "nonsense"] })).await;
    let failed = json!([{ "receipt": unknown, "code": "ReceiptExpired" },
        { "receipt": other_run, "code": "ReceiptExpired" },
        { "receipt": "nonsense", "code": "InvalidArgument" }]);
    assert_eq!(acked, json!({ "acked": [first], "failed": failed }));
    let again = post("ack", json!({ "receipts": [first] })).await;
    assert_eq!(again["acked"], json!([first]), "an ack whose answer was lost may be sent again");

    let rejected = post("reject", json!({ "receipts": [second, first] })).await;
    let failed = json!([{ "receipt": first, "code": "ReceiptExpired" }]);
    assert_eq!(rejected, json!({ "rejected": [second], "failed": failed }));

    let before = messages[2]["ackDeadline"].as_u64().unwrap();
    let beat = post("heartbeat", json!({ "receipts": [third, second], "ackTimeout": 120_000 })).await;
    assert_eq!(beat["extended"][0]["receipt"], third);
    assert!(beat["extended"][0]["ackDeadline"].as_u64().unwrap() >= before + 60_000);
    assert_eq!(beat["failed"], json!([{ "receipt": second, "code": "ReceiptExpired" }]));
    let until = beat["extended"][0]["ackDeadline"].as_u64().unwrap();
    let own = post("heartbeat", json!({ "receipts": [third] })).await;
    assert!(own["extended"][0]["ackDeadline"].as_u64().unwrap() < until, "by its own ack timeout, a minute");

    let redelivered = broker.pull(&consumer, json!({})).await;
    assert_eq!(redelivered[0]["body"], "m1");
    assert_eq!(redelivered[0]["reconsumeTimes"], 1);
    let ledger = broker.ledger().await;
    assert_eq!((&ledger["acked"], &ledger["inFlight"], &ledger["ready"]), (&json!(1), &json!(2), &json!(0)));
    assert_eq!((&ledger["deliveries"], &ledger["redeliveries"]), (&json!(4), &json!(1)));
}

#[tokio::test]
async fn a_receipt_is_the_consumers_own() {
    let broker = Broker::start(Fixed).await;
    broker.orders(2, 4).await;
    let one = broker.consumer(json!({})).await;
    let other = broker.consumer(json!({})).await;
    let messages = broker.pull(&one, json!({})).await;
    let tried = broker.post(&format!("{other}:ack"), json!({ "receipts": receipts(&messages) })).await.ok();
    assert_eq!(tried["acked"], json!([]));
    assert!(tried["failed"].as_array().unwrap().iter().all(|failed| failed["code"] == "ReceiptExpired"));
}

#[tokio::test]
async fn auto_ack_acknowledges_at_delivery() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 2).await;
    let consumer = broker.consumer(json!({ "autoAck": true })).await;
    let messages = broker.pull(&consumer, json!({})).await;
    assert_eq!(messages[0]["ackDeadline"], messages[0]["deliveredAt"]);
    let ledger = broker.ledger().await;
    assert_eq!((&ledger["acked"], &ledger["inFlight"]), (&json!(2), &json!(0)));
    assert_eq!(broker.pull(&consumer, json!({})).await.len(), 0);
}

#[tokio::test]
async fn each_group_gets_every_message_from_the_earliest_on() {
    let broker = Broker::start(Fixed).await;
    broker.orders(2, 5).await;
    for group in ["g", "h"] {
        let subscribed = broker.post(&format!("/groups/{group}/consumers"), json!({ "topic": "orders" })).await.ok();
        let path = format!("/groups/{group}/consumers/{}", subscribed["consumerId"].as_str().unwrap());
        broker.post(&format!("{path}:start"), json!({})).await.ok();
        assert_eq!(broker.pull(&path, json!({})).await.len(), 5, "{group}");
    }
}
