//! Consumers and producers that do everything that is counted, over and over until they are stopped.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::Tenant;
use crate::stand::Stand;

/// The pause between two rounds.
const PAUSE: Duration = Duration::from_millis(200);

/// An ack timeout that the policy lets pass, and a work that takes longer.
const SHORT_LEASE: u64 = 500;
const LONG_WORK: Duration = Duration::from_millis(700);

/// Starts the traffic; it ends when what is returned is dropped.
pub(crate) async fn start(stand: &Arc<Stand>) -> JoinSet<()> {
    let guarded = |name| Tenant { address: stand.envoy.guarded(), name };
    let past_the_filter = Tenant { address: stand.envoy.bare(), name: "app-b" };
    guarded("app-a").send(Method::PUT, "/topics/orders", r#"{"partitions":4}"#).await;
    stand.let_some_acks_fail().await;

    let mut tasks = JoinSet::new();
    tasks.spawn(publish_over_the_limit(guarded("app-a")));
    tasks.spawn(work_and_acknowledge(guarded("app-a")));
    tasks.spawn(work_and_acknowledge(guarded("canary")));
    tasks.spawn(work_too_long(guarded("app-c")));
    tasks.spawn(lose_messages(past_the_filter));
    tasks.spawn(send_what_cannot_be_read(guarded("app-d")));
    tasks.spawn(deliver_faulty_policies(Arc::clone(stand)));
    tasks
}

async fn publish_over_the_limit(producer: Tenant) {
    let messages = json!({ "messages": [{ "body": "a" }, { "body": "b" }, { "body": "c" }, { "body": "d" }] });
    loop {
        for _ in 0..8 {
            producer.post("/topics/orders/messages", &messages).await;
        }
        sleep(PAUSE).await;
    }
}

/// Consumers that come and go, ask for the setting of the incident, and are saved.
async fn work_and_acknowledge(tenant: Tenant) {
    loop {
        let consumer = subscribe(tenant, "workers", &json!({ "topic": "orders", "ackTimeout": 0 })).await;
        for _ in 0..5 {
            let receipts = pull(tenant, &consumer).await;
            tenant.post(&format!("{consumer}:heartbeat"), &json!({ "receipts": receipts, "ackTimeout": 10_000 })).await;
            let (rejected, worked_on) = receipts.split_at(receipts.len().min(1));
            tenant.post(&format!("{consumer}:reject"), &json!({ "receipts": rejected })).await;
            tenant.post(&format!("{consumer}:ack"), &json!({ "receipts": worked_on })).await;
            sleep(PAUSE).await;
        }
        tenant.post(&format!("{consumer}:stop"), &json!({})).await;
    }
}

/// A consumer whose leases run out before its acks: everything comes twice, and dies.
async fn work_too_long(tenant: Tenant) {
    let settings = json!({ "topic": "orders", "ackTimeout": SHORT_LEASE, "maxReconsumeTimes": 1 });
    let consumer = subscribe(tenant, "late", &settings).await;
    loop {
        let receipts = pull(tenant, &consumer).await;
        sleep(LONG_WORK).await;
        tenant.post(&format!("{consumer}:ack"), &json!({ "receipts": receipts })).await;
    }
}

/// The incident: each pull fails its deliveries at once, until the broker gives them up.
async fn lose_messages(tenant: Tenant) {
    let settings = json!({ "topic": "orders", "ackTimeout": 0, "maxReconsumeTimes": 1 });
    let consumer = subscribe(tenant, "victims", &settings).await;
    loop {
        pull(tenant, &consumer).await;
        sleep(PAUSE).await;
    }
}

async fn send_what_cannot_be_read(tenant: Tenant) {
    loop {
        tenant.send(Method::POST, "/groups/workers/consumers", "{").await;
        sleep(PAUSE).await;
    }
}

async fn deliver_faulty_policies(stand: Arc<Stand>) {
    for number in 0.. {
        stand.deliver_a_faulty_policy(number);
        sleep(10 * PAUSE).await;
    }
}

/// Joins `group` and starts. Returns the consumer's path.
async fn subscribe(tenant: Tenant, group: &str, settings: &Value) -> String {
    let answer = tenant.post(&format!("/groups/{group}/consumers"), settings).await;
    let consumer = format!("/groups/{group}/consumers/{}", answer["consumerId"].as_str().unwrap_or_default());
    tenant.post(&format!("{consumer}:start"), &json!({})).await;
    consumer
}

/// The receipts of what a pull brings.
async fn pull(tenant: Tenant, consumer: &str) -> Vec<Value> {
    let mut answer = tenant.post(&format!("{consumer}:pull"), &json!({ "maxMessages": 16, "waitMs": 200 })).await;
    let messages = answer["messages"].as_array_mut().into_iter().flatten();
    messages.map(|message| message["receipt"].take()).collect()
}
