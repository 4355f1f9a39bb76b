//! Policies that Envoy does not start with.

use std::net::SocketAddr;

use e2e::gateway::shipped;
use serde_json::{Value, json};
use stack::{Bootstrap, Envoy, Protocol, StartFailure, Workers};

/// The log of an Envoy that refuses to start with `bootstrap`.
async fn refusal(bootstrap: Bootstrap) -> String {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    match Envoy::start(bootstrap.upstream(nowhere, Protocol::Http1), Workers(2)).await {
        Err(failure @ StartFailure::Refused { .. }) => failure.log().to_owned(),
        Err(failure) => panic!("{failure}"),
        Ok(_) => panic!("Envoy started"),
    }
}

fn check(what: &str, log: &str, faults: &[&str]) {
    let noun = if faults.len() == 1 { "fault" } else { "faults" };
    let summary = format!("ackguard: policy refused, {} {noun}", faults.len());
    for expected in faults.iter().map(|fault| format!("ackguard: {fault}")).chain([summary]) {
        assert!(log.lines().any(|line| line.ends_with(&expected)), "{what}: no `{expected}` in\n{log}");
    }
}

/// The shipped policy with a change.
fn changed(edit: impl FnOnce(&mut Value)) -> Bootstrap {
    shipped("static.yaml").edit_policy(edit)
}

#[tokio::test]
async fn every_fault_of_a_policy_is_told_with_path_value_and_expectation() {
    let log = refusal(changed(|policy| {
        policy["mode"] = "audit".into();
        policy["host"]["headers"] = "paused".into();
        policy["traffic"][0]["dialect"] = "kafka".into();
        policy["defaults"]["ack_timeout"]["min"] = "fast".into();
        policy["defaults"]["max_attempts"]["max"] = json!(2.5);
        policy["defaults"]["dead_letter"]["topic"] = "{queue}.dlq".into();
        policy["defaults"]["dead_leter"] = json!({});
        policy["rules"] = json!([
            { "name": "a", "match": { "tenant": "x" }, "ack_timeout": { "min": "40s" } },
            { "name": "a", "match": {}, "auto_ack": true },
        ]);
    }))
    .await;
    check(
        "faults",
        &log,
        &[
            r#"mode: "audit" is not enforce or shadow"#,
            r#"host.headers: "paused" is not held or streamed"#,
            r#"traffic[0].dialect: "kafka" is not tmq"#,
            r#"defaults.ack_timeout.min: "fast" is not a duration such as "5s", over 0 and at most 168h"#,
            "defaults.max_attempts.max: 2.5 is not a whole number, 0 to 2000",
            r#"defaults.dead_letter.topic: "{queue}.dlq" is not a topic's name, in which {topic} and {group} may stand"#,
            "defaults.dead_leter: unknown field; expected ack_timeout, extend, auto_ack, max_attempts, dead_letter, max_in_flight or undecidable",
            "rules[0].ack_timeout: min 40s is over max 30s",
            r#"rules[1].name: "a" is the name of an earlier rule"#,
            "rules[1].auto_ack: true is not reject, rewrite or allow",
        ],
    );
}

#[tokio::test]
async fn fields_that_this_release_does_not_act_on_are_refused() {
    let log = refusal(changed(|policy| {
        policy["tenant"] = json!([{ "access_key": true }]);
        for field in ["signed", "late_ack", "keepalive", "ack_rescue"] {
            policy["defaults"][field] = json!({});
        }
    }))
    .await;
    let guards = ["signed", "late_ack", "keepalive", "ack_rescue"].map(|field| format!("defaults.{field}"));
    let faults: Vec<String> = std::iter::once("tenant[0].access_key".to_owned())
        .chain(guards)
        .map(|field| format!("{field}: this release of AckGuard does not act on it; leave it out"))
        .collect();
    check("unavailable", &log, &faults.iter().map(String::as_str).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_no_policy_at_all_is_refused() {
    let large = format!("{{\"apiVersion\":\"ackguard/v1\",\"x\":\"{}\"}}", "x".repeat(1 << 20));
    let large_fault = format!("{} bytes; expected at most 1048576", large.len());
    let no_traffic = "traffic: missing; expected a list of match and dialect; without one nothing is guarded";
    let no_version = "apiVersion: missing; expected ackguard/v1";
    let cases: [(&str, Bootstrap, &[&str]); 5] = [
        ("nothing", shipped("static.yaml").policy_text(""), &["not JSON: byte 0: expected a value"]),
        ("not JSON", shipped("static.yaml").policy_text("mode: enforce"), &["not JSON: byte 0: expected a value"]),
        ("too large", shipped("static.yaml").policy_text(&large), &[&large_fault]),
        ("an empty object", shipped("static.yaml").policy_text("{}"), &[no_version, no_traffic]),
        (
            "another version",
            changed(|policy| policy["apiVersion"] = "ackguard/v2".into()),
            &[r#"apiVersion: "ackguard/v2" is not ackguard/v1"#],
        ),
    ];
    for (what, bootstrap, faults) in cases {
        check(what, &refusal(bootstrap).await, faults);
    }
}
