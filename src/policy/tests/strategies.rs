//! Documents and requests of every kind, for what must hold of all of them.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::operation::Kind;
use crate::policy::Policy;

fn outside() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("clamp"), Just("reject"), Just("allow")]
}

fn missing() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("default"), Just("reject"), Just("allow")]
}

/// Any guards whose bounds agree.
pub(crate) fn guards() -> impl Strategy<Value = Value> {
    let bounds = proptest::collection::vec(1..100_000_i64, 3);
    let attempts = proptest::collection::vec(0..20_i64, 3);
    let choices = (outside(), outside(), outside(), missing());
    let others = (outside(), outside(), outside(), any::<bool>(), missing());
    let auto_ack = prop_oneof![Just("reject"), Just("rewrite"), Just("allow")];
    let in_flight = prop_oneof![Just("unlimited".into()), (1..=10_000_i64).prop_map(Value::from)];
    let words = (auto_ack, in_flight);
    (bounds, attempts, choices, others, words).prop_map(|(mut bounds, mut attempts, choices, others, words)| {
        bounds.sort_unstable();
        attempts.sort_unstable();
        let dead_letter = if others.4 == "default" { "inject" } else { others.4 };
        json!({
            "ack_timeout": {
                "min": format!("{}ms", bounds[0]), "default": format!("{}ms", bounds[1]),
                "max": format!("{}ms", bounds[2]),
                "zero": choices.0, "short": choices.1, "long": choices.2, "missing": choices.3,
            },
            "extend": { "short": others.0, "long": others.1 },
            "max_attempts": { "min": attempts[0], "default": attempts[1], "max": attempts[2], "outside": others.2 },
            "auto_ack": words.0,
            "max_in_flight": words.1,
            "dead_letter": { "required": others.3, "missing": dead_letter },
        })
    })
}

/// The policy of a document.
///
/// # Panics
/// Where it has faults.
pub(crate) fn parse(document: &Value) -> Policy {
    Policy::parse(document.to_string().as_bytes()).unwrap_or_else(|faults| panic!("{faults} in {document:#}"))
}

/// A policy of any guards.
pub(crate) fn policies() -> impl Strategy<Value = Policy> {
    guards().prop_map(|guards| parse(&json!({ "apiVersion": "ackguard/v1", "traffic": [], "defaults": guards })))
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-3..25_i64).prop_map(Into::into),
        (0..120_000_i64).prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        Just("10s".into()),
    ]
}

/// The body of a request, with any of the guarded settings.
pub(crate) fn bodies() -> impl Strategy<Value = String> {
    let option = proptest::option::of::<BoxedStrategy<Value>>;
    let flag = prop_oneof![Just(true.into()), Just(false.into()), Just(0.into())];
    let topic = prop_oneof![Just("d".into()), Just("".into()), Just(Value::Null)];
    (option(number().boxed()), option(number().boxed()), option(flag.boxed()), option(topic.boxed())).prop_map(
        |(ack_timeout, attempts, auto_ack, dead_letter)| {
            let mut body = serde_json::Map::new();
            body.insert("topic".to_owned(), "orders".into());
            for (name, value) in [
                ("ackTimeout", ack_timeout),
                ("maxReconsumeTimes", attempts),
                ("autoAck", auto_ack),
                ("deadLetterTopic", dead_letter),
            ] {
                body.extend(value.map(|value| (name.to_owned(), value)));
            }
            Value::Object(body).to_string()
        },
    )
}

pub(crate) fn kinds() -> impl Strategy<Value = Kind> {
    proptest::sample::select(Kind::ALL.to_vec())
}
