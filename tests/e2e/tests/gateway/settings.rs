//! The other settings of a subscribe, and several at once.

use e2e::case::{Case, judge};
use serde_json::{Value, json};

/// A subscribe with an ack timeout in bounds and these further members.
fn body(members: &str) -> String {
    format!(r#"{{"topic":"orders","ackTimeout":10000,{members}}}"#)
}

fn auto_ack_is_refused_rewritten_or_let_by() -> Vec<Case> {
    let asking = |value: &str| body(&format!(r#""deadLetterTopic":"d","autoAck":{value}"#));
    let case = |name, action, value| Case::subscribe(name, json!({ "auto_ack": action }), asking(value));
    let expected = "false: acknowledge after the work";
    let wrong = |value| format!("autoAck: {value} is not true or false");
    vec![
        case("reject", "reject", "true").refused("AutoAckRejected", "autoAck", "true", expected, "true"),
        case("rewrite", "rewrite", "true").edited(asking("false"), &["rewrite; field=autoAck; from=true; to=false"]),
        case("allow", "allow", "true"),
        case("off", "reject", "false"),
        case("null", "reject", "null"),
        case("text", "allow", r#""true""#).unreadable(Some("autoAck"), &wrong(r#""true""#), "type"),
        case("number", "rewrite", "1").unreadable(Some("autoAck"), &wrong("1"), "type"),
    ]
}

fn attempts_out_of_bounds_are_clamped_refused_or_let_by() -> Vec<Case> {
    let field = "maxReconsumeTimes";
    let asking = |value: &str| body(&format!(r#""maxReconsumeTimes":{value},"deadLetterTopic":"d""#));
    let outside = |action: &str| json!({ "max_attempts": { "outside": action } });
    let case = |name, action, value| Case::subscribe(name, outside(action), asking(value));
    let clamped = |case: Case, from: &str, to: &str| {
        case.edited(asking(to), &[&format!("clamp; field={field}; from={from}; to={to}")])
    };
    let refused = |case: Case, value| case.refused("MaxAttemptsRejected", field, value, "1 to 16", value);
    vec![
        clamped(case("below-clamp", "clamp", "0"), "0", "1"),
        clamped(case("negative-clamp", "clamp", "-1"), "-1", "1"),
        clamped(case("above-clamp", "clamp", "17"), "17", "16"),
        refused(case("below-reject", "reject", "0"), "0"),
        refused(case("above-reject", "reject", "17"), "17"),
        case("below-allow", "allow", "0"),
        case("above-allow", "allow", "17"),
        case("lowest", "reject", "1"),
        case("highest", "reject", "16"),
        case("attempts-text", "allow", r#""3""#).unreadable(
            Some(field),
            r#"maxReconsumeTimes: "3" is not a whole number"#,
            "type",
        ),
        case("attempts-fraction", "allow", "2.5").unreadable(
            Some(field),
            "maxReconsumeTimes: 2.5 is not a whole number",
            "type",
        ),
    ]
}

fn absent_attempts_count_as_what_the_broker_takes_them_for() -> Vec<Case> {
    let absent = body(r#""deadLetterTopic":"d""#);
    let set = body(r#""deadLetterTopic":"d","maxReconsumeTimes":6"#);
    let bounds =
        |min: u8, outside: &str| json!({ "max_attempts": { "min": min, "max": 8, "default": 6, "outside": outside } });
    let case = |name, min, outside| Case::subscribe(name, bounds(min, outside), &absent);
    let (field, found) = ("maxReconsumeTimes", "absent, which the broker takes for 3");
    vec![
        case("in-bounds", 3, "reject"),
        case("out-of-bounds-clamp", 4, "clamp").edited(set, &["default; field=maxReconsumeTimes; from=absent; to=6"]),
        case("out-of-bounds-reject", 4, "reject").refused("MaxAttemptsRejected", field, found, "4 to 8", "absent"),
        case("out-of-bounds-allow", 4, "allow"),
    ]
}

fn missing(action: &str) -> Value {
    json!({ "dead_letter": { "missing": action } })
}

fn a_missing_dead_letter_topic_is_injected_refused_or_left_out() -> Vec<Case> {
    let absent = r#"{"topic":"orders","ackTimeout":10000}"#.to_owned();
    let forms = [
        ("absent", absent, "absent"),
        ("null", body(r#""deadLetterTopic":null"#), "null"),
        ("empty", body(r#""deadLetterTopic":"""#), "%22%22"),
    ];
    let injected = body(r#""deadLetterTopic":"orders.dlq""#);
    let mut cases = Vec::new();
    for (name, body, from) in &forms {
        let case = |action: &str| Case::subscribe(&format!("{name}-{action}"), missing(action), body);
        let change = format!("inject; field=deadLetterTopic; from={from}; to=orders.dlq");
        let expected = "a topic, such as orders.dlq";
        cases.push(case("inject").edited(&injected, &[&change]));
        cases.push(case("reject").refused("DeadLetterRequired", "deadLetterTopic", "absent", expected, from));
        cases.push(case("allow"));
    }
    cases.push(Case::subscribe("present", missing("reject"), body(r#""deadLetterTopic":"lost-orders""#)));
    cases.push(Case::subscribe("not-required", json!({ "dead_letter": { "required": false } }), &forms[0].1));
    let message = "deadLetterTopic: 5 is not a topic's name";
    cases.push(Case::subscribe("wrong-type", missing("allow"), body(r#""deadLetterTopic":5"#)).unreadable(
        Some("deadLetterTopic"),
        message,
        "type",
    ));
    cases
}

fn an_injected_topic_is_made_of_topic_and_group_whatever_their_letters() -> Vec<Case> {
    let case = |group, template: &str, topic: &str, injected: &str, told: &str| {
        let body = format!(r#"{{"topic":{topic},"ackTimeout":10000}}"#);
        let edited = format!(r#"{{"topic":{topic},"ackTimeout":10000,"deadLetterTopic":{injected}}}"#);
        Case::subscribe(group, json!({ "dead_letter": { "topic": template } }), body)
            .edited(edited, &[&format!("inject; field=deadLetterTopic; from=absent; to={told}")])
    };
    vec![
        case("both", "{group}/{topic}.dead", r#""orders""#, r#""both/orders.dead""#, "both/orders.dead"),
        case("neither", "graveyard", r#""orders""#, r#""graveyard""#, "graveyard"),
        case("twice", "{topic}-{topic}", r#""a""#, r#""a-a""#, "a-a"),
        case("quote", "{topic}.dlq", r#""or\"d""#, r#""or\"d.dlq""#, "or%22d.dlq"),
        case("backslash", "{topic}.dlq", r#""or\\d""#, r#""or\\d.dlq""#, "or%5Cd.dlq"),
        case("newline", "{topic}.dlq", r#""or\nd""#, r#""or\nd.dlq""#, "or%0Ad.dlq"),
        case("control", "{topic}.dlq", r#""or\u0001d""#, r#""or\u0001d.dlq""#, "or%01d.dlq"),
        case("unicode", "{topic}.dlq", "\"ordén\"", "\"ordén.dlq\"", "ord%C3%A9n.dlq"),
        case("escaped-unicode", "{topic}.dlq", r#""ord\u00e9n""#, "\"ordén.dlq\"", "ord%C3%A9n.dlq"),
        case("surrogates", "{topic}", r#""\ud83d\ude00""#, "\"\u{1F600}\"", "%F0%9F%98%80"),
        case("template-in-a-name", "{topic}.dlq", r#""{group}""#, r#""{group}.dlq""#, "%7Bgroup%7D.dlq"),
    ]
}

fn several_changes_are_made_at_once_and_told_one_by_one() -> Vec<Case> {
    let everything = json!({ "auto_ack": "rewrite" });
    let refusing = json!({ "auto_ack": "reject", "max_attempts": { "outside": "reject" } });
    let body = r#"{"autoAck":true, "topic":"orders", "maxReconsumeTimes":99,"ackTimeout":0 }"#;
    let edited = r#"{"autoAck":false, "topic":"orders", "maxReconsumeTimes":16,"ackTimeout":10000,"deadLetterTopic":"orders.dlq" }"#;
    let nothing = r#"{"topic":"orders"}"#;
    let all = r#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"orders.dlq"}"#;
    vec![
        Case::subscribe("all-given", everything.clone(), body).edited(
            edited,
            &[
                "clamp; field=ackTimeout; from=0; to=10000",
                "rewrite; field=autoAck; from=true; to=false",
                "clamp; field=maxReconsumeTimes; from=99; to=16",
                "inject; field=deadLetterTopic; from=absent; to=orders.dlq",
            ],
        ),
        Case::subscribe("all-absent", everything, nothing).edited(
            all,
            &[
                "default; field=ackTimeout; from=absent; to=10000",
                "inject; field=deadLetterTopic; from=absent; to=orders.dlq",
            ],
        ),
        Case::subscribe("one-refused", refusing, body).refused(
            "AutoAckRejected",
            "autoAck",
            "true",
            "false: acknowledge after the work",
            "true",
        ),
    ]
}

#[tokio::test]
async fn every_setting_of_a_subscribe_is_held_to_the_policy() {
    judge(
        &[
            auto_ack_is_refused_rewritten_or_let_by(),
            attempts_out_of_bounds_are_clamped_refused_or_let_by(),
            absent_attempts_count_as_what_the_broker_takes_them_for(),
            a_missing_dead_letter_topic_is_injected_refused_or_left_out(),
            an_injected_topic_is_made_of_topic_and_group_whatever_their_letters(),
            several_changes_are_made_at_once_and_told_one_by_one(),
        ]
        .concat(),
    )
    .await;
}
