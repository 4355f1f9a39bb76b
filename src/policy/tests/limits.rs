//! Limits, as a document says them.

use super::documents::faults;
use super::{document, policy};
use crate::operation::{Kind, Millis};
use crate::policy::limit::{Cost, Key, Limit, MAX_LIMITS, OnError, Operations, Rate, Reach, Service};
use crate::policy::{Mode, Policy};

fn limits(entries: &str) -> Vec<Limit> {
    policy(&format!(r#""limits":[{entries}]"#)).limits().iter().map(|limit| (**limit).clone()).collect()
}

fn operations(kinds: &[Kind]) -> Operations {
    kinds.iter().fold(Operations::default(), |all, kind| all.with(*kind))
}

#[test]
fn every_field_of_a_limit_is_read() {
    let read = limits(
        r#"{"name": "publish", "operations": ["publish", "reject"], "key": ["topic", "tenant"], "rate": "6000/m",
            "burst": 2000, "cost": "messages", "over": "shadow"},
           {"name": "fleet", "operations": ["any"], "key": ["group", "client"], "cost": "bytes", "over": "reject",
            "global": {"cluster": "rls", "domain": "mq", "timeout": "1s", "on_error": "reject"}}"#,
    );
    let publish = Limit {
        name: "publish".into(),
        operations: operations(&[Kind::Publish, Kind::Reject]),
        key: vec![Key::Topic, Key::Tenant],
        cost: Cost::Messages,
        over: Mode::Shadow,
        reach: Reach::Local { rate: Rate { tokens: 6_000, period: Millis(60_000) }, burst: 2_000 },
    };
    let service =
        Service { cluster: "rls".into(), domain: "mq".into(), timeout: Millis(1_000), on_error: OnError::Reject };
    let fleet = Limit {
        name: "fleet".into(),
        operations: Operations::ANY,
        key: vec![Key::Group, Key::Client],
        cost: Cost::Bytes,
        over: Mode::Enforce,
        reach: Reach::Fleet(service),
    };
    assert_eq!(read, [publish, fleet]);
}

#[test]
fn what_a_limit_leaves_out_is_the_default() {
    let read = limits(
        r#"{"name": "a", "operations": ["pull"], "rate": "100/s"},
           {"name": "b", "operations": ["pull"], "global": {"cluster": "c", "domain": "d"}}"#,
    );
    let [local, fleet] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!((local.key.as_slice(), local.cost, local.over), (&[][..], Cost::Requests, Mode::Enforce));
    let Reach::Fleet(service) = &fleet.reach else { panic!("{fleet:?}") };
    assert_eq!((service.timeout, service.on_error), (Millis(20), OnError::Allow));
}

#[test]
fn a_burst_is_what_a_second_brings_where_none_is_set() {
    for (rate, expected) in
        [("100/s", 100), ("6000/m", 100), ("90/m", 1), ("100/h", 1), ("7200/h", 2), ("1000000000/s", 1_000_000_000)]
    {
        let read = limits(&format!(r#"{{"name":"a","operations":["ack"],"rate":"{rate}"}}"#));
        assert!(matches!(read[0].reach, Reach::Local { burst, .. } if burst == expected), "{rate}: {read:?}");
    }
}

#[test]
fn all_faults_of_limits_are_told() {
    let text = document(
        r#""limits": [
            {"operations": [], "key": ["tenant", "queue", "tenant"], "rate": "fast"},
            {"name": "max_in_flight", "operations": ["publish", "manage", "publish", 1], "rate": "0/s", "burst": 0},
            {"name": "a", "operations": "publish", "cost": "money", "over": "allow", "burst": 3},
            {"name": "a", "rate": "2/h", "burst": 49, "operations": ["any"], "key": "tenant", "limit": 1},
            {"name": "b", "operations": ["any"], "rate": "1/s", "burst": 1,
             "global": {"cluster": "one", "domain": "mq"}},
            {"name": "c", "operations": ["any"],
             "global": {"cluster": "two\n", "domain": "", "timeout": "1001ms", "on_error": "forward", "retries": 1}},
            {"name": "d", "operations": ["any"], "global": {}},
            7
        ]"#,
    );
    let kinds = "publish, pull, ack, reject, extend, subscribe or any";
    let expected = [
        "limits[0].name: missing; expected a name for headers, logs and metrics",
        "limits[0].operations: empty; expected a list of operations, such as [publish]",
        r#"limits[0].key[1]: "queue" is not tenant, topic, group or client"#,
        "limits[0].key[2]: stands more than once",
        r#"limits[0].rate: "fast" is not a rate such as "100/s", over 0 and at most 1000000000/s"#,
        r#"limits[1].name: "max_in_flight" is taken; expected another name"#,
        &format!(r#"limits[1].operations[1]: "manage" is not {kinds}"#),
        "limits[1].operations[2]: stands more than once",
        &format!("limits[1].operations[3]: 1 is not {kinds}"),
        r#"limits[1].rate: "0/s" is not a rate such as "100/s", over 0 and at most 1000000000/s"#,
        r#"limits[2].operations: "publish" is not a list"#,
        r#"limits[2].rate: missing; expected a rate such as "100/s", or global"#,
        r#"limits[2].cost: "money" is not requests, messages or bytes"#,
        r#"limits[2].over: "allow" is not reject or shadow"#,
        r#"limits[3].name: "a" is the name of an earlier limit"#,
        r#"limits[3].key: "tenant" is not a list"#,
        "limits[3].burst: 49 is not what 2/h fills within 24h: at most 48",
        "limits[3].limit: unknown field; expected name, operations, key, rate, burst, cost, over or global",
        "limits[4].rate: global and rate; expected one of them",
        "limits[4].burst: global and burst; expected one of them",
        r#"limits[5].global.cluster: "two\n" is not "one", as the limit "b" has it: one service counts for all"#,
        r#"limits[5].global.domain: "" is not a name of 1 to 120 bytes"#,
        r#"limits[5].global.timeout: "1001ms" is not a duration such as "20ms", over 0 and at most 1s"#,
        r#"limits[5].global.on_error: "forward" is not allow or reject"#,
        "limits[5].global.retries: unknown field; expected cluster, domain, timeout or on_error",
        "limits[6].global.cluster: missing; expected the cluster of the rate limit service",
        "limits[6].global.domain: missing; expected the domain of the rate limit service",
        "limits[7]: 7 is not an object",
    ];
    assert_eq!(faults(&text), expected);
}

/// One limit for publishes with these other fields.
fn limit(fields: &str) -> String {
    document(&format!(r#""limits":[{{"name":"a","operations":["publish"],{fields}}}]"#))
}

#[test]
fn the_greatest_values_are_accepted_and_what_is_over_them_is_not() {
    let burst = |rate: &str, burst: u64| limit(&format!(r#""rate":"{rate}","burst":{burst}"#));
    let cluster = |length| limit(&format!(r#""global":{{"cluster":"{}","domain":"d"}}"#, "n".repeat(length)));
    for text in [burst("1000000000/s", 86_400_000_000_000), burst("1/h", 24), burst("1/m", 1_440), cluster(120)] {
        assert_eq!(Policy::parse(text.as_bytes()).err(), None, "{text}");
    }
    for (text, fault) in [
        (burst("1000000000/s", 86_400_000_000_001), "86400000000001 is not a whole number, 1 to 86400000000000"),
        (burst("1/h", 25), "25 is not what 1/h fills within 24h: at most 24"),
        (burst("1/s", 0), "0 is not a whole number, 1 to 86400000000000"),
    ] {
        assert_eq!(faults(&text), [format!("limits[0].burst: {fault}")]);
    }
    let long = faults(&cluster(121));
    assert!(long[0].starts_with("limits[0].global.cluster: \"nn") && long[0].ends_with("1 to 120 bytes"), "{long:?}");
    let many = |count: usize| {
        let entry = |index| format!(r#"{{"name":"l{index}","operations":["any"],"rate":"1/s"}}"#);
        document(&format!(r#""limits":[{}]"#, (0..count).map(entry).collect::<Vec<_>>().join(",")))
    };
    assert_eq!(Policy::parse(many(MAX_LIMITS).as_bytes()).unwrap().limits().len(), MAX_LIMITS);
    assert_eq!(faults(&many(MAX_LIMITS + 1)), ["limits: 33 limits; expected at most 32"]);
}

#[test]
fn a_policy_knows_which_operations_its_limits_are_for() {
    assert_eq!(policy("").limited(), Operations::default());
    let two = policy(
        r#""limits": [{"name": "a", "operations": ["publish", "pull"], "rate": "1/s"},
                      {"name": "b", "operations": ["pull", "ack"], "rate": "1/s"}]"#,
    );
    assert_eq!(two.limited(), operations(&[Kind::Publish, Kind::Pull, Kind::Ack]));
}

#[test]
fn tenant_and_topic_are_asked_for_where_a_limit_counts_by_them() {
    for (operations, key, tenant, topic) in [
        ("publish", "", false, false),
        ("publish", r#""tenant""#, true, false),
        // A publish and a subscription name their topic themselves.
        ("publish", r#""topic""#, false, false),
        ("subscribe", r#""topic""#, false, false),
        ("pull", r#""topic""#, false, true),
        ("ack", r#""group","topic""#, false, true),
        ("reject", r#""topic""#, false, true),
        ("extend", r#""topic""#, false, true),
        ("any", r#""topic","tenant""#, true, true),
        ("any", r#""group","client""#, false, false),
    ] {
        let entry = format!(r#"{{"name":"a","operations":["{operations}"],"key":[{key}],"rate":"1/s"}}"#);
        let policy = policy(&format!(r#""tenant":[{{"header":"app"}}],"limits":[{entry}]"#));
        assert_eq!((policy.asks_tenant, policy.asks_topic()), (tenant, topic), "{entry}");
    }
}

#[test]
fn limits_are_the_documents_alone() {
    let limits = r#"[{"name":"a","operations":["any"],"rate":"1/s"}]"#;
    let text = document(&format!(
        r#""rollout":{{"candidate":{{"version":"t2","limits":{limits}}},"stages":[{{"percent":100}}]}}"#
    ));
    let expected = "rollout.candidate.limits: unknown field; expected version, mode, defaults or rules";
    assert_eq!(faults(&text), [expected]);
}

#[test]
fn a_rule_may_lift_the_bound_of_messages_in_flight() {
    let policy = policy(
        r#""defaults": {"max_in_flight": 1000},
        "rules": [{"name": "bulk", "match": {"group": "bulk"}, "max_in_flight": "unlimited"},
                  {"name": "slow", "match": {"group": "slow"}, "max_in_flight": 10.0},
                  {"name": "rest", "match": {}}]"#,
    );
    let bounds: Vec<_> = policy.current.rules.all().iter().map(|rule| rule.guard.max_in_flight).collect();
    assert_eq!(bounds, [None, Some(10), Some(1_000)]);
    for value in ["0", "10001", "-1", "1.5", "false", r#""off""#, r#""10""#, "4294967297"] {
        let expected = format!("defaults.max_in_flight: {value} is not a whole number, 1 to 10000, or unlimited");
        assert_eq!(faults(&document(&format!(r#""defaults":{{"max_in_flight":{value}}}"#))), [expected]);
    }
}
