//! The ack timeout of a subscribe.

use e2e::case::{Case, judge};
use serde_json::{Value, json};

const BOUNDS: &str = "5000 to 30000 ms (5s to 30s)";

/// A subscribe with `ack_timeout` as JSON has it, and a dead-letter topic, so that nothing else is to be said.
fn body(ack_timeout: &str) -> String {
    format!(r#"{{"topic":"orders","ackTimeout":{ack_timeout},"deadLetterTopic":"d"}}"#)
}

fn guard(case: &str, action: &str) -> Value {
    json!({ "ack_timeout": { case: action } })
}

/// A case of a value out of bounds, each of the three actions on it.
fn out_of_bounds(name: &str, case: &str, value: &str, clamped: &str, found: &str) -> [Case; 3] {
    let named = |action: &str| format!("{name}-{action}");
    let repeated = &value[..value.len().min(64)];
    let change = format!("clamp; field=ackTimeout; from={repeated}; to={clamped}");
    [
        Case::subscribe(&named("clamp"), guard(case, "clamp"), body(value)).edited(body(clamped), &[&change]),
        Case::subscribe(&named("reject"), guard(case, "reject"), body(value)).refused(
            "AckTimeoutRejected",
            "ackTimeout",
            found,
            BOUNDS,
            repeated,
        ),
        Case::subscribe(&named("allow"), guard(case, "allow"), body(value)),
    ]
}

fn a_value_out_of_bounds_is_clamped_refused_or_let_by() -> Vec<Case> {
    let (longer, longest) = ("9".repeat(20), "9".repeat(400));
    let saturated = format!("{} ms", i64::MAX);
    [
        out_of_bounds("zero", "zero", "0", "10000", "0 ms"),
        out_of_bounds("minus-zero", "zero", "-0", "10000", "0 ms"),
        out_of_bounds("negative", "zero", "-12", "10000", "-12 ms"),
        out_of_bounds("one", "short", "1", "5000", "1 ms"),
        out_of_bounds("just-short", "short", "4999", "5000", "4999 ms"),
        out_of_bounds("just-long", "long", "30001", "30000", "30001 ms"),
        out_of_bounds("twenty-digits", "long", &longer, "30000", &saturated),
        out_of_bounds("400-digits", "long", &longest, "30000", &saturated),
    ]
    .concat()
    .to_vec()
}

fn a_value_in_bounds_arrives_as_it_came() -> Vec<Case> {
    ["5000", "5001", "10000", "30000"].map(|value| Case::subscribe(value, json!({}), body(value))).to_vec()
}

fn a_missing_one_is_set_refused_or_left_out() -> Vec<Case> {
    let absent = r#"{"topic":"orders","deadLetterTopic":"d"}"#;
    let set = r#"{"topic":"orders","deadLetterTopic":"d","ackTimeout":10000}"#;
    let null = body("null");
    let expected = "one, such as 10000 ms";
    let refused = |case: Case, from| case.refused("AckTimeoutRejected", "ackTimeout", "absent", expected, from);
    let case = |name, action, body: &str| Case::subscribe(name, guard("missing", action), body);
    vec![
        case("absent-default", "default", absent).edited(set, &["default; field=ackTimeout; from=absent; to=10000"]),
        refused(case("absent-reject", "reject", absent), "absent"),
        case("absent-allow", "allow", absent),
        case("null-default", "default", &null)
            .edited(body("10000"), &["default; field=ackTimeout; from=null; to=10000"]),
        refused(case("null-reject", "reject", &null), "null"),
        case("null-allow", "allow", &null),
    ]
}

fn what_is_no_whole_number_is_refused_whatever_it_would_come_to() -> Vec<Case> {
    let values = [
        ("text", r#""10s""#),
        ("text-of-zero", r#""0""#),
        ("fraction", "1.5"),
        ("fraction-of-zero", "0.0"),
        ("whole-with-point", "10000.0"),
        ("exponent", "1e4"),
        ("zero-with-exponent", "0e0"),
        ("switch", "false"),
        ("list", "[0]"),
        ("object", r#"{"ms":0}"#),
    ];
    values
        .map(|(name, value)| {
            let message = format!("ackTimeout: {value} is not whole milliseconds");
            Case::subscribe(name, json!({}), body(value)).unreadable(Some("ackTimeout"), &message, "type")
        })
        .to_vec()
}

fn one_that_stands_twice_is_refused_however_it_is_spelled() -> Vec<Case> {
    let bodies = [
        ("twice", r#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d","ackTimeout":0}"#),
        ("twice-the-same", r#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d","ackTimeout":10000}"#),
        ("escaped", r#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d","ack\u0054imeout":0}"#),
        ("escaped-whole", r#"{"\u0061ck\u0054imeout":0,"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d"}"#),
        ("null-and-number", r#"{"ackTimeout":null,"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#),
    ];
    let message = "ackTimeout: stands more than once; expected one value";
    bodies
        .map(|(name, body)| Case::subscribe(name, json!({}), body).unreadable(Some("ackTimeout"), message, "duplicate"))
        .to_vec()
}

#[tokio::test]
async fn the_ack_timeout_of_a_subscribe_is_held_to_the_policy() {
    judge(
        &[
            a_value_out_of_bounds_is_clamped_refused_or_let_by(),
            a_value_in_bounds_arrives_as_it_came(),
            a_missing_one_is_set_refused_or_left_out(),
            what_is_no_whole_number_is_refused_whatever_it_would_come_to(),
            one_that_stands_twice_is_refused_however_it_is_spelled(),
        ]
        .concat(),
    )
    .await;
}
