//! A broker that breaks its word is found out, whichever way.

use std::time::Duration;

use serde_json::{Value, json};

use super::messages::body;
use super::{Draft, Failing, History, Leased, ORDERS, Standing, Tag, Terms};

const GROUP: &str = "group";
const LEASE: Duration = Duration::from_secs(600);

fn history(failing: Failing) -> History {
    let mut history = History::new();
    history.add_group(GROUP, Terms { topic: ORDERS, max_reconsume_times: 1, failing, stable: true });
    history
}

fn draft(tag: &str) -> Draft {
    Draft { tag: Tag::from(tag), key: None, token: None }
}

fn result(offset: u64, duplicate: bool) -> Value {
    json!({ "messageId": format!("id-{offset}"), "partition": 0, "offset": offset, "duplicate": duplicate })
}

fn results(results: &[Value]) -> Value {
    json!({ "results": results })
}

/// Publishes messages at the offsets from 0 on.
fn publish(history: &mut History, tags: &[&str]) {
    let drafts: Vec<Draft> = tags.iter().map(|tag| draft(tag)).collect();
    let batch = history.send(&drafts, Standing::Sent);
    let placed: Vec<Value> = (0..).zip(tags).map(|(offset, _)| result(offset, false)).collect();
    history.published(batch, &results(&placed), false).unwrap();
}

fn message(tag: &str, offset: u64, reconsume_times: u32) -> Value {
    let mut message = result(offset, false);
    message["body"] = json!(body(tag));
    message["receipt"] = json!(format!("receipt-{tag}-{reconsume_times}"));
    message["reconsumeTimes"] = json!(reconsume_times);
    message
}

fn deliver(history: &mut History, messages: &[Value]) -> Result<Vec<Leased>, String> {
    let pull = history.pulling(GROUP, 10, LEASE);
    history.delivered(&pull, &json!({ "messages": messages }))
}

fn ack(history: &mut History, leased: &[Leased]) -> Result<(), String> {
    history.acking(GROUP, leased);
    let acked: Vec<&str> = leased.iter().map(|leased| leased.receipt.as_str()).collect();
    history.acked(GROUP, leased, &json!({ "acked": acked, "failed": [] }))
}

#[track_caller]
fn found<T: std::fmt::Debug>(result: Result<T, String>, what: &str) {
    let violation = result.unwrap_err();
    assert!(violation.contains(what), "{violation}");
}

#[test]
fn a_faultless_life_is_no_violation() {
    let mut history = history(Failing::Archive);
    publish(&mut history, &["a", "b"]);
    let leased = deliver(&mut history, &[message("a", 0, 0), message("b", 1, 0)]).unwrap();
    ack(&mut history, &leased[..1]).unwrap();
    deliver(&mut history, &[message("b", 1, 1)]).unwrap();
    history.check_fates(history.group(GROUP), 1).unwrap();
    history.check_places().unwrap();
}

#[test]
fn a_message_that_is_lost() {
    let mut history = history(Failing::Archive);
    publish(&mut history, &["a", "b"]);
    let leased = deliver(&mut history, &[message("a", 0, 0)]).unwrap();
    ack(&mut history, &leased).unwrap();
    found(history.check_fates(history.group(GROUP), 0), "message b (id id-1, partition 0 offset 1): lost");
    found(history.check_fates(history.group(GROUP), 1), "lost");
}

#[test]
fn a_delivery_after_its_ack() {
    let mut history = history(Failing::Archive);
    publish(&mut history, &["a"]);
    let leased = deliver(&mut history, &[message("a", 0, 0)]).unwrap();
    let before = history.pulling(GROUP, 1, LEASE);
    ack(&mut history, &leased).unwrap();
    let again = json!({ "messages": [message("a", 0, 1)] });
    history.delivered(&before, &again).expect("it was asked for before the ack was answered");
    found(deliver(&mut history, &[message("a", 0, 1)]), "again after its ack was answered");
}

#[test]
fn a_delivery_after_the_last_reject() {
    let mut history = history(Failing::Archive);
    publish(&mut history, &["a"]);
    let leased = deliver(&mut history, &[message("a", 0, 1)]).unwrap();
    let receipt = &leased[0].receipt;
    history.rejected(GROUP, &leased, &json!({ "rejected": [receipt], "failed": [] })).unwrap();
    found(deliver(&mut history, &[message("a", 0, 1)]), "again after its last reject was answered");
}

#[test]
fn a_lease_that_is_forgotten() {
    let mut history = history(Failing::Archive);
    publish(&mut history, &["a", "b"]);
    let leased = deliver(&mut history, &[message("a", 0, 0), message("b", 1, 0)]).unwrap();
    let failed = json!({ "receipt": leased[0].receipt, "code": "ReceiptExpired" });
    found(history.acked(GROUP, &leased[..1], &json!({ "acked": [], "failed": [failed] })), "while its lease ran");
    found(history.acked(GROUP, &leased[..1], &json!({ "acked": [], "failed": [] })), "no verdict");
    found(deliver(&mut history, &[message("b", 1, 0)]), "with reconsumeTimes 0 after 0");
}

#[test]
fn more_deliveries_than_there_may_be() {
    let mut history = history(Failing::Archive);
    publish(&mut history, &["a"]);
    found(deliver(&mut history, &[message("a", 0, 2)]), "with reconsumeTimes 2");
}

#[test]
fn an_order_that_is_not_kept() {
    let mut history = history(Failing::Archive);
    publish(&mut history, &["a", "b"]);
    deliver(&mut history, &[message("b", 1, 0)]).unwrap();
    found(deliver(&mut history, &[message("a", 0, 0)]), "for the first time after offset 1");
}

#[test]
fn a_transaction_that_is_visible_without_its_commit() {
    for standing in [Standing::Half, Standing::Compensated] {
        let mut history = history(Failing::Archive);
        history.send(&[draft("a")], standing);
        found(deliver(&mut history, &[message("a", 0, 0)]), "never committed");
    }
    let mut history = history(Failing::Archive);
    let batch = history.send(&[draft("a")], Standing::Half);
    history.stands(batch, Standing::Committing).unwrap();
    deliver(&mut history, &[message("a", 0, 0)]).unwrap();
    found(history.stands(batch, Standing::Compensated), "compensated, yet it was delivered");
}

#[test]
fn a_batch_of_which_a_part_is_there() {
    let mut history = history(Failing::Archive);
    history.send(&[draft("a"), draft("b")], Standing::Sent);
    let leased = deliver(&mut history, &[message("a", 0, 0)]).unwrap();
    ack(&mut history, &leased).unwrap();
    found(history.check_fates(history.group(GROUP), 0), "message b");
}

#[test]
fn a_token_that_is_published_twice() {
    let mut history = history(Failing::Archive);
    let batch = history.send(&[draft("a")], Standing::Sent);
    found(history.published(batch, &results(&[result(0, true)]), false), "1 of 1 were duplicates");
    history.published(batch, &results(&[result(0, true)]), true).unwrap();
    found(history.published(batch, &results(&[result(1, false)]), true), "published twice");
    found(deliver(&mut history, &[message("a", 2, 0)]), "published twice");
}

#[test]
fn a_dead_letter_of_an_acknowledged_message() {
    const READERS: &str = "readers";
    let mut history = history(Failing::DeadLetter { readers: READERS });
    let terms = Terms { topic: "letters", max_reconsume_times: 1, failing: Failing::Archive, stable: true };
    history.add_group(READERS, terms);
    publish(&mut history, &["a"]);
    let leased = deliver(&mut history, &[message("a", 0, 0)]).unwrap();
    ack(&mut history, &leased).unwrap();
    let mut letter = message("a", 0, 0);
    let pull = history.pulling(READERS, 1, LEASE);
    found(history.delivered(&pull, &json!({ "messages": [letter] })), "without its origin");
    letter["headers"] = json!({ "X-DingTalk-MQ-DeadLetter": ORDERS });
    history.delivered(&pull, &json!({ "messages": [letter] })).unwrap();
    found(history.check_fates(history.group(GROUP), 0), "a dead letter as well");
    letter["offset"] = json!(1);
    letter["reconsumeTimes"] = json!(1);
    found(history.delivered(&pull, &json!({ "messages": [letter] })), "has it twice");
}

#[test]
fn a_body_or_a_place_that_is_not_what_was_published() {
    let mut history = history(Failing::Archive);
    publish(&mut history, &["a", "b"]);
    let mut damaged = message("a", 0, 0);
    damaged["body"] = json!(format!("{}x", body("a")));
    found(deliver(&mut history, &[damaged]), "never sent");
    found(deliver(&mut history, &[message("c", 2, 0)]), "never sent");
    found(deliver(&mut history, &[message("a", 1, 0)]), "which is that of");
    let mut keyed = message("a", 0, 0);
    keyed["key"] = json!("k");
    found(deliver(&mut history, &[keyed]), "delivered with");
}
