//! `ackguard explain`, on every operation of every dialect. `explain/` holds the requests, and what is printed of them.

use std::collections::BTreeSet;

use ackguard::dialect::Dialect;
use ackguard::operation::Kind;

use crate::program::{ackguard, assert_golden, command, files, folder, run};

/// What is told beside the request: the name of the golden file, the request, the arguments.
const TOLD: [(&str, &str, &[&str]); 13] = [
    ("pull-of-orders", "pull", &["--topic", "orders.eu"]),
    (
        "subscribe-certificate-of-pay",
        "subscribe-certificate",
        &["--property", "connection.uri_san_peer_certificate=pay-9"],
    ),
    ("subscribe-canary-tried", "subscribe-canary", &["--stage", "1"]),
    ("subscribe-canary-on", "subscribe-canary", &["--stage", "2"]),
    ("subscribe-candidate-on", "subscribe-candidate", &["--stage", "2"]),
    ("subscribe-streamed", "subscribe", &["streamed.yaml"]),
    ("subscribe-watched", "subscribe", &["watched.yaml"]),
    ("publish-limited", "publish", &["limited.yaml"]),
    ("pull-limited", "pull", &["limited.yaml"]),
    (
        "pull-limited-of-orders",
        "pull",
        &["limited.yaml", "--topic", "orders", "--property", "source.address=[2001:db8::7]:4711"],
    ),
    ("subscribe-limited", "subscribe-refused", &["limited.yaml"]),
    ("ack-limited", "ack", &["limited.yaml"]),
    ("ack-too-costly", "ack-many", &["limited.yaml"]),
];

fn explain(name: &str, request: &str, arguments: &[&str]) -> String {
    let (policy, arguments) = match arguments {
        [policy, rest @ ..] if policy.ends_with(".yaml") => (*policy, rest),
        all => ("policy.yaml", all),
    };
    let request = format!("{request}.http");
    let told = ackguard("explain", &[&["explain", policy, request.as_str()], arguments].concat()).told();
    assert_golden(&folder().join(format!("explain/{name}.txt")), &told);
    told
}

#[test]
fn every_operation_is_explained() {
    let mut seen = BTreeSet::new();
    for file in files("explain", &["http"]) {
        let name = file.trim_end_matches(".http");
        let told = explain(name, name, &[]);
        let operation = told.lines().find_map(|line| line.strip_prefix("operation  "));
        seen.extend(operation.map(str::to_owned));
    }
    for dialect in Dialect::ALL {
        for kind in Kind::ALL {
            let operation = format!("{} {}", dialect.name(), kind.name());
            assert!(seen.contains(&operation), "no request of {operation} in {seen:?}");
        }
    }
}

#[test]
fn what_the_gateway_would_know_can_be_told() {
    for (name, request, arguments) in TOLD {
        explain(name, request, arguments);
    }
}

#[test]
fn machines_get_the_same_as_people() {
    let run = ackguard("explain", &["explain", "--json", "policy.yaml", "subscribe.http"]);
    let report = run.json();
    assert_eq!((run.status, &report["decision"]), (0, &"edit".into()));
    assert_eq!(report["tenant_source"], "header x-dingtalk-mq-appkey");
    assert_eq!((&report["ruling"]["rule"], &report["ruling"]["line"]), (&"payments".into(), &14.into()));
    let fields = report["ruling"]["fields"].as_array().expect("a list");
    let origin = |path: &str| {
        let field = fields.iter().find(|field| field["field"] == path).expect("the field");
        (field["value"].as_str().expect("a value"), field["by"].as_str().expect("its origin"), field["line"].as_u64())
    };
    assert_eq!(origin("ack_timeout.min"), ("10s", "rule payments", Some(16)));
    assert_eq!(origin("ack_timeout.max"), ("1m", "defaults", Some(11)));
    assert_eq!(origin("dead_letter.topic"), ("{topic}.dlq", "built in", None));
    let refused = ackguard("explain", &["explain", "--json", "policy.yaml", "subscribe-refused.http"]);
    assert_eq!((refused.status, &refused.json()["answer"]["status"]), (1, &400.into()));
}

#[test]
fn machines_get_the_limits_too() {
    let told = |request: &str| ackguard("explain", &["explain", "--json", "limited.yaml", request]).json();
    let publish = told("publish.http");
    let limits = publish["limits"].as_array().expect("a list");
    let names: Vec<&str> = limits.iter().filter_map(|limit| limit["limit"].as_str()).collect();
    assert_eq!((names, &publish["decision"]), (vec!["publish-per-tenant", "publish-at-once", "fleet"], &"pass".into()));
    let first = serde_json::json!({
        "limit": "publish-per-tenant", "line": 11, "key": {"tenant": "pay-7", "topic": "orders"}, "cost": 1,
        "unit": "messages", "rate": "1000/s", "burst": 2000, "global": null, "over": "reject", "refused": null,
    });
    assert_eq!(limits[0], first);
    assert_eq!(limits[1]["refused"], "reject; limit=publish-at-once; policy=2026-11-24.1");
    let service = serde_json::json!({"cluster": "ratelimit", "domain": "mq", "timeout": "50ms", "on_error": "reject"});
    assert_eq!(limits[2]["global"], service);
    assert_eq!(told("pull.http")["limits"][0]["key"]["topic"], serde_json::Value::Null);
    let refused = told("ack-many.http");
    assert_eq!((&refused["decision"], &refused["answer"]["status"]), (&"reject".into(), &413.into()));
    assert_eq!(told("subscribe-refused.http")["limits"], serde_json::json!([]), "a rule refuses it");
}

#[test]
fn a_request_is_read_from_standard_input() {
    let request = b"GET /healthz HTTP/1.1\nHost: a\n\n";
    let read = run(command("explain", &["explain", "policy.yaml", "-"]), request);
    assert_eq!(read.status, 0, "{read:?}");
    assert!(read.stdout.contains("no entry of traffic reads it"), "{read:?}");
}

#[test]
fn what_cannot_be_read_is_told() {
    for (arguments, status, why) in [
        (["policy.yaml", "absent.http"], 2, "error: absent.http: "),
        (["policy.yaml", "policy.yaml"], 2, "error: policy.yaml: not an HTTP/1.1 request: "),
        (["absent.yaml", "subscribe.http"], 2, "error: absent.yaml: "),
        (
            ["../faults/exclusive.yaml", "subscribe.http"],
            1,
            "../faults/exclusive.yaml:4:5: error[exclusive]: tenant[0]",
        ),
    ] {
        let told = ackguard("explain", &[&["explain"], arguments.as_slice()].concat());
        assert_eq!((told.status, told.stdout.as_str()), (status, ""), "{told:?}");
        assert!(told.stderr.starts_with(why), "{told:?}");
    }
    let stage = ackguard("explain", &["explain", "policy.yaml", "subscribe.http", "--stage", "4"]);
    assert_eq!(
        (stage.status, stage.stderr.as_str()),
        (2, "error: policy.yaml: --stage 4: the roll-out has 3 stages\n")
    );
}

/// What is over 256 KiB is judged by its size. It is made here, since nobody would read it.
#[test]
fn a_body_that_is_too_large_is_not_read() {
    let body = format!("{{\"topic\":\"orders\",\"x\":\"{}\"}}", "x".repeat(300_000));
    let request = format!("POST /tmq/v1/groups/workers/consumers HTTP/1.1\nHost: a\n\n{body}");
    let told = run(command("explain", &["explain", "policy.yaml", "-"]), request.as_bytes());
    assert_eq!(told.status, 1, "{told:?}");
    assert!(told.stdout.contains("unreadable too_large: the body has "), "{told:?}");
    assert!(told.stdout.contains("HTTP/1.1 413\n"), "{told:?}");
}
