//! Settings outside of a subscribe: a pull that overrides the ack timeout, and a renewal.

use e2e::case::{Case, judge};
use serde_json::{Value, json};

const BOUNDS: &str = "5000 to 30000 ms (5s to 30s)";

fn guard(case: &str, action: &str) -> Value {
    json!({ "ack_timeout": { case: action } })
}

fn pull(ack_timeout: &str) -> String {
    format!(r#"{{"maxMessages":16,"waitMs":0,"ackTimeout":{ack_timeout}}}"#)
}

fn renewal(ack_timeout: &str) -> String {
    format!(r#"{{"receipts":["r1"],"ackTimeout":{ack_timeout}}}"#)
}

fn clamped(from: &str, to: &str) -> String {
    format!("clamp; field=ackTimeout; from={from}; to={to}")
}

fn a_pull_that_overrides_is_held_to_the_same_bounds() -> Vec<Case> {
    let mut cases = Vec::new();
    let out_of_bounds = [
        ("zero", "0", "10000"),
        ("zero", "-5", "10000"),
        ("short", "1", "5000"),
        ("long", "99999999999999999999", "30000"),
    ];
    for (case, value, to) in out_of_bounds {
        let name = |action: &str| format!("{case}-{}-{action}", value.len());
        let found = format!("{} ms", value.parse().unwrap_or(i64::MAX));
        cases.push(
            Case::consumer(&name("clamp"), "pull", guard(case, "clamp"), pull(value))
                .edited(pull(to), &[&clamped(value, to)]),
        );
        cases.push(Case::consumer(&name("reject"), "pull", guard(case, "reject"), pull(value)).refused(
            "AckTimeoutRejected",
            "ackTimeout",
            &found,
            BOUNDS,
            value,
        ));
        cases.push(Case::consumer(&name("allow"), "pull", guard(case, "allow"), pull(value)));
    }
    for (name, value) in [("text", r#""10s""#), ("fraction", "1.5"), ("exponent", "1e4")] {
        let message = format!("ackTimeout: {value} is not whole milliseconds");
        cases.push(Case::consumer(name, "pull", json!({}), pull(value)).unreadable(
            Some("ackTimeout"),
            &message,
            "type",
        ));
    }
    let twice = r#"{"ackTimeout":10000,"ackTimeout":0}"#;
    let message = "ackTimeout: stands more than once; expected one value";
    cases.push(Case::consumer("twice", "pull", json!({}), twice).unreadable(Some("ackTimeout"), message, "duplicate"));
    cases.push(Case::consumer("in-bounds", "pull", json!({}), pull("10000")));
    cases
}

fn a_pull_that_does_not_override_arrives_as_it_came() -> Vec<Case> {
    let strict = json!({ "ack_timeout": { "missing": "reject" }, "dead_letter": { "missing": "reject" } });
    let message = "the body is not a JSON object: byte 0: expected an object";
    vec![
        Case::consumer("plain", "pull", strict.clone(), r#"{"maxMessages":16,"waitMs":0}"#),
        Case::consumer("plain-null", "pull", strict.clone(), pull("null")),
        Case::consumer("plain-empty-object", "pull", strict.clone(), "{}"),
        Case::consumer("plain-no-body", "pull", strict.clone(), "").unread(),
        Case::consumer("plain-malformed", "pull", strict, "maxMessages=16").unreadable(None, message, "malformed"),
    ]
}

fn a_renewal_may_be_short_or_give_back_and_is_never_too_long() -> Vec<Case> {
    let case = |name, value| Case::consumer(name, "heartbeat", json!({}), renewal(value));
    let extend = |name, side: &str, action: &str, value| {
        Case::consumer(name, "heartbeat", json!({ "extend": { side: action } }), renewal(value))
    };
    let strict = json!({ "ack_timeout": { "zero": "reject", "short": "reject", "long": "reject" } });
    vec![
        case("renewal-zero", "0"),
        case("renewal-short", "1"),
        case("renewal-in-bounds", "10000"),
        case("renewal-long", "30001").edited(renewal("30000"), &[&clamped("30001", "30000")]),
        extend("renewal-short-clamp", "short", "clamp", "1").edited(renewal("5000"), &[&clamped("1", "5000")]),
        extend("renewal-short-reject", "short", "reject", "1").refused(
            "AckTimeoutRejected",
            "ackTimeout",
            "1 ms",
            BOUNDS,
            "1",
        ),
        extend("renewal-long-allow", "long", "allow", "30001"),
        extend("renewal-long-reject", "long", "reject", "30001").refused(
            "AckTimeoutRejected",
            "ackTimeout",
            "30001 ms",
            BOUNDS,
            "30001",
        ),
        Case::consumer("renewal-zero-under-strict-bounds", "heartbeat", strict.clone(), renewal("0")),
        Case::consumer("renewal-short-under-strict-bounds", "heartbeat", strict, renewal("1")),
        Case::consumer("renewal-plain", "heartbeat", json!({}), r#"{"receipts":["r1"]}"#),
        Case::consumer("renewal-no-body", "heartbeat", json!({}), "").unread(),
    ]
}

#[tokio::test]
async fn pulls_and_renewals_are_held_to_the_policy() {
    judge(
        &[
            a_pull_that_overrides_is_held_to_the_same_bounds(),
            a_pull_that_does_not_override_arrives_as_it_came(),
            a_renewal_may_be_short_or_give_back_and_is_never_too_long(),
        ]
        .concat(),
    )
    .await;
}
