//! Requests of a queue that cannot be read.

use e2e::case::{Case, judge};
use serde_json::json;

/// Each body with the field at fault, the message and the reason.
type Fault = (&'static str, Vec<u8>, Option<&'static str>, String, &'static str);

fn malformed(name: &'static str, body: impl Into<Vec<u8>>, at: usize, expected: &str) -> Fault {
    (name, body.into(), None, format!("the body is not a JSON object: byte {at}: expected {expected}"), "malformed")
}

fn faults() -> Vec<Fault> {
    let whole = r#"{"topic":"orders","ackTimeout":0}"#;
    let deep = format!(r#"{{"topic":"orders","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let long = "t".repeat(2000);
    let topic = |name, value: &str, message: &str, reason| -> Fault {
        (
            name,
            format!(r#"{{"topic":{value},"ackTimeout":0}}"#).into(),
            Some("topic"),
            format!("topic: {message}"),
            reason,
        )
    };
    vec![
        malformed("cut-off", &whole[..32], 32, "',' or '}'"),
        malformed("empty", "", 0, "an object"),
        malformed("list", "[]", 0, "an object"),
        malformed("text", r#""orders""#, 0, "an object"),
        malformed("trailing", format!("{whole}x"), 33, "the end"),
        malformed("two-documents", format!("{whole}{whole}"), 33, "the end"),
        malformed("byte-order-mark", format!("\u{feff}{whole}"), 0, "an object"),
        malformed("utf-16", whole.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(), 1, "a key in quotes"),
        malformed("not-utf-8", b"{\"topic\":\"orders\xFF\",\"ackTimeout\":0}".to_vec(), 16, "UTF-8"),
        malformed("form", "topic=orders&ackTimeout=0", 0, "an object"),
        malformed("single-quotes", "{'ackTimeout':0}", 1, "a key in quotes"),
        malformed("comment", "{/**/\"ackTimeout\":0}", 1, "a key in quotes"),
        malformed("trailing-comma", r#"{"ackTimeout":0,}"#, 16, "a key in quotes"),
        malformed("not-a-number", r#"{"ackTimeout":NaN}"#, 14, "a value"),
        malformed("leading-zero", r#"{"ackTimeout":00}"#, 15, "',' or '}'"),
        malformed("deep", deep, 148, "less nesting"),
        topic("half-a-surrogate", r#""\ud83d""#, r#""\ud83d" is not a topic's name"#, "type"),
        topic("topic-of-wrong-type", "7", "7 is not a topic's name", "type"),
        topic("topic-null", "null", "absent; expected a topic's name", "type"),
        topic("long-topic", &format!("\"{long}\""), "a name of 2000 bytes; expected at most 1024", "too_large"),
        (
            "no-topic",
            br#"{"ackTimeout":0}"#.to_vec(),
            Some("topic"),
            "topic: absent; expected a topic's name".to_owned(),
            "type",
        ),
    ]
}

fn what_cannot_be_read_is_refused_with_the_place_of_the_fault() -> Vec<Case> {
    let cases = faults().into_iter().map(|(name, body, field, message, reason)| {
        Case::subscribe(name, json!({}), body).unreadable(field, &message, reason)
    });
    cases.collect()
}

fn what_cannot_be_read_is_forwarded_as_it_came_where_the_policy_says_so() -> Vec<Case> {
    let forward = json!({ "undecidable": "forward" });
    let cases = faults().into_iter().map(|(name, body, ..)| {
        let case = Case::subscribe(&format!("{name}-forward"), forward.clone(), &body);
        // A request without a body ends with its head: there is nothing to hold.
        if body.is_empty() { case.unread() } else { case }
    });
    cases.collect()
}

fn a_coded_body_is_refused_or_forwarded_without_being_read() -> Vec<Case> {
    let body = br#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#;
    let case = |name, action: &str, coding: &str| {
        Case::subscribe(name, json!({ "undecidable": action }), body).header("content-encoding", coding)
    };
    let refused = |case: Case, coding: &str| {
        case.unreadable(Some("Content-Encoding"), &format!("Content-Encoding: {coding} is not identity"), "encoding")
    };
    let edited = br#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d"}"#;
    vec![
        refused(case("gzip", "reject", "gzip"), "gzip"),
        refused(case("unknown", "reject", "x-own"), "x-own"),
        refused(case("identity-and-gzip", "reject", "identity, gzip"), "identity, gzip"),
        refused(case("identity-then-gzip", "reject", "identity").header("content-encoding", "gzip"), "identity,gzip"),
        refused(case("empty-then-gzip", "reject", "").header("content-encoding", "gzip"), "gzip"),
        case("gzip-forward", "forward", "gzip").unread(),
        case("identity", "reject", "Identity").edited(edited, &["clamp; field=ackTimeout; from=0; to=10000"]),
    ]
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_or_forwarded_as_it_came() {
    judge(
        &[
            what_cannot_be_read_is_refused_with_the_place_of_the_fault(),
            what_cannot_be_read_is_forwarded_as_it_came_where_the_policy_says_so(),
            a_coded_body_is_refused_or_forwarded_without_being_read(),
        ]
        .concat(),
    )
    .await;
}
