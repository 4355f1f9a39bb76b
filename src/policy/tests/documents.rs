//! What a document may hold, and how it is told what it may not.

use super::{document, policy};
use crate::dialect::Dialect;
use crate::http::RequestHead;
use crate::operation::{Group, Millis, Tenant, Topic};
use crate::policy::guard::{Guard, Outside};
use crate::policy::{Caller, HostHeaders, MAX_DOCUMENT, Mode, Policy};

fn faults(text: &str) -> Vec<String> {
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
    assert_eq!(policy.mode, Mode::Enforce);
    assert_eq!(policy.headers, HostHeaders::Streamed);
    let tenant = Tenant("anonymous".to_owned());
    let caller = Caller { tenant: &tenant, topic: None, group: None, dialect: Dialect::Tmq };
    assert_eq!(policy.rule(&caller).guard, Guard::default());
    assert_eq!(policy.rule(&caller).name, "defaults");
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
        "limits": [], "rulez": []
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
        "limits: this release of AckGuard does not act on it; leave it out",
        "mode: stands more than once",
        "rulez: unknown field; expected apiVersion, version, mode, host, traffic, tenant, defaults or rules",
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
    assert_eq!(policy.rule(&caller).name, "r9999");
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
        let found = policy.rule(&caller);
        assert_eq!(found.name, rule);
        assert_eq!(found.guard.ack_timeout.zero, Outside::Reject, "from defaults");
        if rule == "payments" {
            assert_eq!(found.guard.ack_timeout.min, Millis(10_000));
            assert_eq!(found.guard.ack_timeout.max, Millis(20_000));
        }
    }
}
