//! What a document may hold, and how it is told what it may not.

use super::{document, policy};
use crate::dialect::Dialect;
use crate::http::RequestHead;
use crate::operation::{Group, Millis, Tenant, Topic};
use crate::policy::guard::{Guard, Outside};
use crate::policy::{Caller, HostHeaders, MAX_DOCUMENT, Mode, Policy};

pub(super) fn faults(text: &str) -> Vec<String> {
    let faults = Policy::parse(text.as_bytes()).expect_err("a document with faults");
    faults.to_string().lines().map(str::to_owned).collect()
}

fn head(path: &str, host: &str, headers: &[(&str, &[u8])]) -> RequestHead {
    let mut all =
        vec![(":path".to_owned(), path.as_bytes().to_vec()), (":authority".to_owned(), host.as_bytes().to_vec())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())));
    RequestHead::new(all)
}

#[test]
fn what_a_document_leaves_out_is_the_default() {
    let policy = policy("");
    assert_eq!(policy.current.mode, Mode::Enforce);
    assert_eq!(policy.headers, HostHeaders::Streamed);
    let tenant = Tenant("anonymous".to_owned());
    let caller = Caller { tenant: &tenant, topic: None, group: None, dialect: Dialect::Tmq };
    let rule = policy.current.rules.lookup(&caller).rule;
    assert_eq!((&rule.guard, &*rule.name), (&Guard::default(), "defaults"));
}

#[test]
fn all_faults_are_told_at_once_with_path_value_and_expectation() {
    let text = r#"{
        "apiVersion": "ackguard/v2", "version": "a b", "mode": "on", "mode": "shadow", "host": {"headers": "hold"},
        "traffic": [{"match": {"path": ""}, "dialect": "kafka"}, {"match": {}, "dialect": "tmq"}, {"dialect": 1}, 7],
        "tenant": [{"header": "x app"}, {"property": "a..b"}, {}, {"access_key": true}, {"header": "a", "property": "b"}],
        "defaults": {
            "ack_timeout": {"min": "5", "max": 30, "default": "0s", "zero": "fix", "maximum": "9s"},
            "extend": [], "auto_ack": true, "max_attempts": {"min": 1.5, "max": -1, "default": "3"},
            "dead_letter": {"required": "yes", "topic": "{tenant}.dlq", "missing": "drop"},
            "undecidable": null, "keepalive": {"enabled": true}
        },
        "limits": {}, "rulez": []
    }"#;
    let expected = [
        r#"apiVersion: "ackguard/v2" is not ackguard/v1"#,
        r#"version: "a b" is not 1 to 64 letters, digits and -_./:@+"#,
        r#"mode: "on" is not enforce or shadow"#,
        r#"host.headers: "hold" is not held or streamed"#,
        r#"traffic[0].match.path: "" is not a pattern of 1 to 256 bytes"#,
        r#"traffic[0].dialect: "kafka" is not tmq"#,
        "traffic[1].match: empty; expected path, host or both",
        "traffic[2].match: missing; expected path, host or both",
        "traffic[2].dialect: 1 is not a string",
        "traffic[3]: 7 is not an object",
        r#"tenant[0].header: "x app" is not a header's name"#,
        r#"tenant[1].property: "a..b" is not a path such as connection.id"#,
        "tenant[2]: empty; expected header or property",
        "tenant[3].access_key: this release of AckGuard does not act on it; leave it out",
        "tenant[4]: header and property; expected one of them",
        r#"defaults.ack_timeout.min: "5" is not a duration such as "5s", over 0 and at most 168h"#,
        r#"defaults.ack_timeout.max: 30 is not a duration such as "5s", over 0 and at most 168h"#,
        r#"defaults.ack_timeout.default: "0s" is not a duration such as "5s", over 0 and at most 168h"#,
        r#"defaults.ack_timeout.zero: "fix" is not clamp, reject or allow"#,
        "defaults.ack_timeout.maximum: unknown field; expected min, max, default, zero, short, long or missing",
        "defaults.extend: a list is not an object",
        "defaults.auto_ack: true is not reject, rewrite or allow",
        "defaults.max_attempts.min: 1.5 is not a whole number, 0 to 2000",
        "defaults.max_attempts.max: -1 is not a whole number, 0 to 2000",
        r#"defaults.max_attempts.default: "3" is not a whole number, 0 to 2000"#,
        r#"defaults.dead_letter.required: "yes" is not true or false"#,
        r#"defaults.dead_letter.topic: "{tenant}.dlq" is not a topic's name, in which {topic} and {group} may stand"#,
        r#"defaults.dead_letter.missing: "drop" is not inject, reject or allow"#,
        "defaults.undecidable: null is not reject or forward",
        "defaults.keepalive: this release of AckGuard does not act on it; leave it out",
        "limits: an object is not a list",
        "mode: stands more than once",
        "rulez: unknown field; expected apiVersion, version, mode, host, telemetry, traffic, tenant, defaults, limits, rules or rollout",
    ];
    assert_eq!(faults(text), expected);
}

#[test]
fn rules_are_checked_together_with_what_they_take_from_defaults() {
    let text = document(
        r#""defaults": {"max_attempts": {"min": 4, "max": 2}},
        "rules": [
            {"name": "a", "match": {"tenant": "pay-*", "queue": "x"}, "ack_timeout": {"min": "12s"}},
            {"name": "a", "match": {"dialect": "sqs"}, "max_attempts": {"max": 4, "default": 4}},
            {"name": "defaults", "match": {}, "ack_timeout": {"min": "40s"}},
            {"ack_timeout": {"max": "20s"}, "signed": "allow"}
        ]"#,
    );
    let expected = [
        "defaults.max_attempts: min 4 is over max 2",
        "rules[0].match.queue: unknown field; expected tenant, topic, group or dialect",
        "rules[0].ack_timeout: default 10s is not between min 12s and max 30s",
        r#"rules[1].name: "a" is the name of an earlier rule"#,
        r#"rules[1].match.dialect: "sqs" is not tmq"#,
        r#"rules[2].name: "defaults" is taken; expected another name"#,
        "rules[2].ack_timeout: min 40s is over max 30s",
        "rules[3].name: missing; expected a name for headers, logs and metrics",
        "rules[3].match: missing; expected some of tenant, topic, group and dialect",
        "rules[3].signed: this release of AckGuard does not act on it; leave it out",
    ];
    assert_eq!(faults(&text), expected);
}

#[test]
fn what_is_no_document_is_refused() {
    let large = format!("\"{}\"", "x".repeat(MAX_DOCUMENT));
    for (text, fault) in [
        ("", "not JSON: byte 0: expected a value"),
        ("apiVersion: ackguard/v1", "not JSON: byte 0: expected a value"),
        ("[]", "a list is not an object"),
        (&large, "1048578 bytes; expected at most 1048576"),
    ] {
        assert_eq!(faults(text), [fault]);
    }
    let empty = [
        "apiVersion: missing; expected ackguard/v1",
        "traffic: missing; expected a list of match and dialect; without one nothing is guarded",
    ];
    assert_eq!(faults("{}"), empty);
}

#[test]
fn an_odd_field_name_is_quoted_and_cut_and_a_crowd_of_them_is_no_burden() {
    let names: Vec<String> = (0..40_000).map(|index| format!(r#""a\nb{index}{}":1"#, "x".repeat(8))).collect();
    let told = faults(&document(&names.join(",")));
    assert_eq!(told.last().unwrap(), "and 39900 more");
    assert!(told[0].starts_with(r#""a\nb0xxxxxxxx": unknown field; expected apiVersion"#), "{}", told[0]);
    let long = faults(&document(&format!("\"{}\":1", "y".repeat(500))));
    assert!(long[0].starts_with(&format!("\"{}…: unknown field", "y".repeat(59))), "{}", long[0]);
}

#[test]
fn a_bound_is_in_and_what_is_over_it_is_a_fault() {
    let entries =
        |name: &str, entry: &str, count: usize| document(&format!("\"{name}\":[{}]", vec![entry; count].join(",")));
    let tenant = r#"{"header":"a"}"#;
    let topic = |template: &str| document(&format!(r#""defaults":{{"dead_letter":{{"topic":"{template}"}}}}"#));
    let max = |max: &str| document(&format!(r#""defaults":{{"ack_timeout":{{"max":"{max}"}}}}"#));
    let attempts = |max: &str| document(&format!(r#""defaults":{{"max_attempts":{{"max":{max}}}}}"#));
    let label = |name: String| document(&format!(r#""rules":[{{"name":"{name}","match":{{}}}}]"#));
    let group = |glob: String| document(&format!(r#""rules":[{{"name":"a","match":{{"group":"{glob}"}}}}]"#));
    for text in [
        entries("tenant", tenant, 64),
        topic(&"x".repeat(1024)),
        max("168h"),
        attempts("2000"),
        attempts("2000.0"),
        group("g".repeat(256)),
        label("n".repeat(64)),
    ] {
        assert_eq!(Policy::parse(text.as_bytes()).err(), None, "{text}");
    }
    let template = |start: &str| {
        format!(
            "defaults.dead_letter.topic: \"{start} is not a topic's name, in which {{topic}} and {{group}} may stand"
        )
    };
    for (text, fault) in [
        (entries("tenant", tenant, 65), "tenant: 65 entries; expected at most 64".to_owned()),
        (topic(&"x".repeat(1025)), template(&format!("{}…", "x".repeat(59)))),
        (topic("{gro{topic}up}"), template("{gro{topic}up}\"")),
        (
            max("168h1ms"),
            r#"defaults.ack_timeout.max: "168h1ms" is not a duration such as "5s", over 0 and at most 168h"#.to_owned(),
        ),
        (attempts("2001"), "defaults.max_attempts.max: 2001 is not a whole number, 0 to 2000".to_owned()),
        (
            label("n".repeat(65)),
            format!("rules[0].name: \"{}… is not 1 to 64 letters, digits and -_./:@+", "n".repeat(59)),
        ),
        (
            group("g".repeat(257)),
            format!("rules[0].match.group: \"{}… is not a pattern of 1 to 256 bytes", "g".repeat(59)),
        ),
    ] {
        assert_eq!(faults(&text), [fault]);
    }
    let traffic = vec![r#"{"match":{"path":"/"},"dialect":"tmq"}"#; 65].join(",");
    let text = format!(r#"{{"apiVersion":"ackguard/v1","traffic":[{traffic}]}}"#);
    assert_eq!(faults(&text), ["traffic: 65 entries; expected at most 64"]);
}

#[test]
fn a_host_is_matched_in_any_case_and_a_long_tenant_is_cut() {
    let traffic = r#""traffic":[{"match":{"host":"Q*.Test"},"dialect":"tmq"}]"#;
    let text = format!(
        r#"{{"apiVersion":"ackguard/v1",{traffic},"tenant":[{{"header":"app"}}],
        "rules":[{{"name":"a","match":{{"tenant":"a*"}}}}]}}"#
    );
    let policy = Policy::parse(text.as_bytes()).unwrap();
    let long = "a".repeat(300);
    let head = head("/", "QUEUE.tesT:80", &[("app", long.as_bytes())]);
    assert_eq!(policy.dialect(&head), Some(Dialect::Tmq));
    assert_eq!(policy.tenant(&head, |_| None).0, "a".repeat(256));
}

#[test]
fn too_many_rules_or_faults_are_summed_up() {
    let rule = r#"{"name":"a","match":{}}"#;
    let text = document(&format!(r#""rules":[{}]"#, [rule; 10_001].join(",")));
    assert_eq!(faults(&text), ["rules: 10001 rules; expected at most 10000"]);
    let text = document(&format!(r#""rules":[{}]"#, [rule; 150].join(",")));
    let told = faults(&text);
    assert_eq!(told.len(), 101);
    assert_eq!(told.last().unwrap(), "and 49 more");
}

#[test]
fn ten_thousand_rules_are_accepted() {
    let rules: Vec<String> =
        (0..10_000).map(|index| format!(r#"{{"name":"r{index}","match":{{"tenant":"t{index}"}}}}"#)).collect();
    let policy = policy(&format!(r#""rules":[{}]"#, rules.join(",")));
    let tenant = Tenant("t9999".to_owned());
    let caller = Caller { tenant: &tenant, topic: None, group: None, dialect: Dialect::Tmq };
    assert_eq!(&*policy.current.rules.lookup(&caller).rule.name, "r9999");
}

#[test]
fn the_first_traffic_match_reads_a_request() {
    let text = r#"{"apiVersion":"ackguard/v1","traffic":[
        {"match":{"path":"/tmq/*","host":"MQ.example"},"dialect":"tmq"},
        {"match":{"host":"*.mq.local"},"dialect":"tmq"}]}"#;
    let policy = Policy::parse(text.as_bytes()).unwrap();
    for (path, host, read) in [
        ("/tmq/v1/x?y=/", "mq.example", true),
        ("/tmq/v1/x", "mq.EXAMPLE:8080", true),
        ("/%74mq/v1/x", "mq.example", true),
        ("/tmq/v1/x", "other", false),
        ("/x?/tmq/", "mq.example", false),
        ("/x", "a.mq.local:1", true),
        ("", "", false),
    ] {
        let dialect = policy.dialect(&head(path, host, &[]));
        assert_eq!(dialect.is_some(), read, "{host}{path}");
    }
}

#[test]
fn the_first_tenant_source_that_is_present_names_the_tenant() {
    let text = r#""tenant":[{"header":"X-App"},{"property":"connection.uri_san_peer_certificate"}],
        "rules":[{"name":"any","match":{"tenant":"a*"}}]"#;
    let policy = policy(text);
    let certificate = |path: &[String]| {
        assert_eq!(path, ["connection", "uri_san_peer_certificate"]);
        Some(b"spiffe://app".to_vec())
    };
    for (header, expected) in [
        (Some(&b"app-1"[..]), "app-1"),
        (Some(&b"app-\xff"[..]), "app-\u{fffd}"),
        (Some(&b""[..]), "spiffe://app"),
        (None, "spiffe://app"),
    ] {
        let headers: Vec<_> = header.map(|value| ("x-app", value)).into_iter().collect();
        let tenant = policy.tenant(&head("/", "", &headers), certificate);
        assert_eq!(tenant.0, expected);
    }
    assert_eq!(policy.tenant(&head("/", "", &[]), |_| None).0, "anonymous");
}

#[test]
fn the_first_matching_rule_decides_and_takes_the_rest_from_defaults() {
    let policy = policy(
        r#""defaults": {"ack_timeout": {"max": "20s", "zero": "reject"}},
        "rules": [
            {"name": "payments", "match": {"tenant": "pay-*", "topic": "orders*"}, "ack_timeout": {"min": "10s"}},
            {"name": "group", "match": {"group": "slow"}, "ack_timeout": {"max": "5m"}},
            {"name": "tmq", "match": {"dialect": "tmq", "tenant": "*"}, "ack_timeout": {"short": "allow"}}
        ]"#,
    );
    let name = |text: &str| text.to_owned();
    for (tenant, topic, group, rule) in [
        ("pay-1", Some("orders.eu"), Some("slow"), "payments"),
        ("pay-1", Some("stock"), Some("slow"), "group"),
        // A request that names no topic is not one of a rule that asks for a topic.
        ("pay-1", None, Some("slow"), "group"),
        ("x", Some("orders"), None, "tmq"),
    ] {
        let (tenant, topic, group) = (Tenant(name(tenant)), topic.map(name).map(Topic), group.map(name).map(Group));
        let caller = Caller { tenant: &tenant, topic: topic.as_ref(), group: group.as_ref(), dialect: Dialect::Tmq };
        let found = policy.current.rules.lookup(&caller).rule;
        assert_eq!(&*found.name, rule);
        assert_eq!(found.guard.ack_timeout.zero, Outside::Reject, "from defaults");
        if rule == "payments" {
            assert_eq!(found.guard.ack_timeout.min, Millis(10_000));
            assert_eq!(found.guard.ack_timeout.max, Millis(20_000));
        }
    }
}
