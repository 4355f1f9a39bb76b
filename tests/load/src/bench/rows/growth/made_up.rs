//! What clients make up: tenants, topics and receipts, each other ones with every request, by all connections together.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};

use super::super::super::exchange::{Exchange, post, subscribe_of};
use crate::measure::{RECEIPTS, consumer_of_receipts, receipts};
use crate::steady::Numbered;

/// How many of something are known before any is made up.
const FEW: u64 = 10;

static TENANTS: AtomicU64 = AtomicU64::new(0);
static TOPICS: AtomicU64 = AtomicU64::new(0);
/// Pulls that brought receipts, and acks of what they brought.
static PULLED: AtomicU64 = AtomicU64::new(0);
static ACKED: AtomicU64 = AtomicU64::new(0);

/// Something that clients make up.
pub(super) struct MadeUp {
    /// Its listener.
    pub(super) way: &'static str,
    /// Gives the policy what meets all of it.
    pub(super) policy: fn(&mut Value),
    /// Asks with few of it.
    pub(super) few: Numbered,
    /// Makes up more of it.
    pub(super) many: Numbered,
    /// How many a request makes up.
    pub(super) each: u64,
    requests: &'static AtomicU64,
}

impl MadeUp {
    /// How many were made up so far.
    pub(super) fn count(&self) -> u64 {
        self.requests.load(Ordering::Relaxed) * self.each
    }
}

/// Each subscribe breaks the policy and is asked about by a limit, so that every table that knows tenants meets its tenant.
pub(super) const TENANT: MadeUp = MadeUp {
    way: "tenants",
    policy: |policy| policy["limits"] = limit("tenant", &["subscribe"]),
    few: |number| subscribe_of(&format!("known-{}", number % FEW)),
    many: |_| subscribe_of(&format!("made-up-{}", next(&TENANTS))),
    each: 1,
    requests: &TENANTS,
};

/// Subscribes and publishes in turns. A limit by topic is asked about both, and about pulls, for which the topic of each
/// consumer that subscribes is remembered.
pub(super) const TOPIC: MadeUp = MadeUp {
    way: "topics",
    policy: |policy| policy["limits"] = limit("topic", &["subscribe", "publish", "pull"]),
    few: |number| of_topic(number, &format!("known-{}", number % FEW)),
    many: |number| of_topic(number, &format!("made-up-{}", next(&TOPICS))),
    each: 1,
    requests: &TOPICS,
};

/// Pulls of many messages, whose leases are counted by their groups.
pub(super) const RECEIPT: MadeUp = MadeUp {
    way: "receipts",
    policy: |policy| policy["defaults"]["max_in_flight"] = 10_000.into(),
    few: |number| match number % 2 {
        0 => Exchange::Pull.request()(number),
        _ => Exchange::Ack.request()(number),
    },
    many: |_| {
        let body = json!({ "maxMessages": RECEIPTS, "waitMs": 0 }).to_string();
        post(&format!("{}:pull", consumer_of_receipts(next(&PULLED))), body)
    },
    each: RECEIPTS,
    requests: &PULLED,
};

/// Acknowledges what a pull of [`RECEIPT`]'s brought.
pub(super) fn ack(_number: u64) -> Request<Full<Bytes>> {
    let pull = next(&ACKED);
    post(&format!("{}:ack", consumer_of_receipts(pull)), json!({ "receipts": receipts(pull) }).to_string())
}

fn next(requests: &AtomicU64) -> u64 {
    requests.fetch_add(1, Ordering::Relaxed)
}

/// Plenty for each value of `key`.
fn limit(key: &str, operations: &[&str]) -> Value {
    json!([{ "name": "plenty", "operations": operations, "key": [key], "rate": "1000000/s", "burst": 1_000_000 }])
}

/// A subscribe, by a group with the topic's name, or a publish.
fn of_topic(number: u64, topic: &str) -> Request<Full<Bytes>> {
    if number.is_multiple_of(2) {
        let settings = json!({
            "topic": topic, "ackTimeout": 10_000, "maxReconsumeTimes": 3, "autoAck": false, "deadLetterTopic": "orders.dlq",
            "clientId": "c1",
        });
        return post(&format!("/tmq/v1/groups/{topic}/consumers"), settings.to_string());
    }
    post(&format!("/tmq/v1/topics/{topic}/messages"), r#"{"messages":[{"key":"k","body":"0123456789"}]}"#)
}
