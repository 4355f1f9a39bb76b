//! What holds for every policy and every request.

use proptest::prelude::*;

use crate::dialect::{Dialect, Route};
use crate::operation::{Group, Kind, Operation, Tenant};
use crate::policy::verdict::{Action, Outcome, Refusal, Verdict};
use crate::policy::{Caller, Policy, decide, decide_unreadable};

fn outside() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("clamp"), Just("reject"), Just("allow")]
}

fn missing() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("default"), Just("reject"), Just("allow")]
}

/// A policy of any guards whose bounds agree.
fn policies() -> impl Strategy<Value = Policy> {
    let bounds = proptest::collection::vec(1..100_000_i64, 3);
    let attempts = proptest::collection::vec(0..20_i64, 3);
    let choices = (outside(), outside(), outside(), missing());
    let others = (outside(), outside(), outside(), any::<bool>(), missing());
    let auto_ack = prop_oneof![Just("reject"), Just("rewrite"), Just("allow")];
    (bounds, attempts, choices, others, auto_ack).prop_map(|(mut bounds, mut attempts, choices, others, auto_ack)| {
        bounds.sort_unstable();
        attempts.sort_unstable();
        let dead_letter = if others.4 == "default" { "inject" } else { others.4 };
        let document = serde_json::json!({
            "apiVersion": "ackguard/v1",
            "traffic": [],
            "defaults": {
                "ack_timeout": {
                    "min": format!("{}ms", bounds[0]), "default": format!("{}ms", bounds[1]),
                    "max": format!("{}ms", bounds[2]),
                    "zero": choices.0, "short": choices.1, "long": choices.2, "missing": choices.3,
                },
                "extend": { "short": others.0, "long": others.1 },
                "max_attempts": {
                    "min": attempts[0], "default": attempts[1], "max": attempts[2], "outside": others.2,
                },
                "auto_ack": auto_ack,
                "dead_letter": { "required": others.3, "missing": dead_letter },
            },
        });
        Policy::parse(document.to_string().as_bytes()).expect("bounds that agree")
    })
}

fn number() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        Just(serde_json::Value::Null),
        (-3..25_i64).prop_map(Into::into),
        (0..120_000_i64).prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        Just("10s".into()),
    ]
}

/// The body of a request, with any of the guarded settings.
fn bodies() -> impl Strategy<Value = String> {
    let option = proptest::option::of::<BoxedStrategy<serde_json::Value>>;
    let flag = prop_oneof![Just(true.into()), Just(false.into()), Just(0.into())];
    let topic = prop_oneof![Just("d".into()), Just("".into()), Just(serde_json::Value::Null)];
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
            serde_json::Value::Object(body).to_string()
        },
    )
}

fn kinds() -> impl Strategy<Value = Kind> {
    proptest::sample::select(Kind::ALL.to_vec())
}

/// Reads a body and decides on it; the edited body where the verdict is an edit.
fn judge(policy: &Policy, kind: Kind, body: &str) -> (Verdict, Option<String>) {
    let route = Route {
        group: Some(Group("g".to_owned())),
        reads_body: matches!(kind, Kind::Subscribe | Kind::Pull | Kind::Extend),
        ..Route::bare(kind)
    };
    let tenant = Tenant("app".to_owned());
    let rule = |operation: Option<&Operation>| {
        let caller = Caller {
            tenant: &tenant,
            topic: operation.and_then(|operation| operation.topic.as_ref()),
            group: route.group.as_ref(),
            dialect: Dialect::Tmq,
        };
        policy.current.rules.lookup(&caller).rule
    };
    match Dialect::Tmq.read(&route, body.as_bytes()) {
        Err(fault) => (decide_unreadable(rule(None), fault), None),
        Ok(reading) => {
            let verdict = decide(&policy.current.version, rule(Some(&reading.operation)), &reading.operation);
            let edited = match &verdict.outcome {
                Outcome::Edit(changes) => {
                    let edited = Dialect::Tmq.write(body.as_bytes(), &reading.layout, changes);
                    Some(String::from_utf8(edited.expect("a layout of this body")).expect("UTF-8"))
                }
                Outcome::Pass | Outcome::Reject(_) => None,
            };
            (verdict, edited)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_request_gets_a_verdict_that_agrees_with_its_findings(
        policy in policies(), kind in kinds(), body in bodies(),
    ) {
        let (verdict, edited) = judge(&policy, kind, &body);
        let has = |wanted: fn(Action) -> bool| verdict.findings.iter().any(|finding| wanted(finding.action));
        match &verdict.outcome {
            Outcome::Pass => prop_assert!(!has(|action| action != Action::Allow)),
            Outcome::Edit(changes) => {
                prop_assert!(!changes.is_empty() && !has(|action| action == Action::Reject));
                prop_assert!(edited.is_some());
            }
            Outcome::Reject(Refusal::Setting { .. }) => prop_assert!(has(|action| action == Action::Reject)),
            Outcome::Reject(Refusal::Unreadable(fault)) => prop_assert!(!fault.message.is_empty()),
        }
    }

    /// What goes on to the broker is what the policy wants: it would find nothing more to change in it.
    #[test]
    fn an_edited_request_passes(policy in policies(), kind in kinds(), body in bodies()) {
        if let (_, Some(edited)) = judge(&policy, kind, &body) {
            let (again, _) = judge(&policy, kind, &edited);
            prop_assert_eq!(again.outcome, Outcome::Pass, "{} -> {}", body, edited);
        }
    }

    #[test]
    fn any_bytes_are_a_policy_or_faults(document in "[{}\\[\\]:,\"a-z0-9]{0,60}") {
        if let Err(faults) = Policy::parse(document.as_bytes()) {
            prop_assert!(faults.count() > 0);
        }
    }
}
