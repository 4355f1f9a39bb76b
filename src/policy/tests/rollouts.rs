//! Roll-outs: what a document may say of one, what the candidate's rules are, and who is on which side.

use proptest::prelude::*;

use super::documents::faults;
use super::{document, policy};
use crate::dialect::Dialect;
use crate::operation::{Group, Millis, Tenant};
use crate::policy::rollout::{Health, OnUnhealthy, Rollout, Side, Who};
use crate::policy::{Caller, Mode, Policy};

const RULES: &str = r#""defaults": {"ack_timeout": {"max": "20s"}},
    "rules": [
        {"name": "payments", "match": {"tenant": "pay-*"}, "ack_timeout": {"min": "9s"}},
        {"name": "slow", "match": {"group": "slow"}, "ack_timeout": {"max": "5m"}}
    ],"#;

/// The roll-out of a candidate, to everybody in one stage.
fn rollout(candidate: &str) -> Rollout {
    let text = format!(r#"{RULES} "rollout": {{"candidate": {candidate}, "stages": [{{"percent": 100}}]}}"#);
    policy(&text).rollout.expect("a roll-out")
}

fn bounds(rollout: &Rollout, tenant: &str, group: &str) -> (String, i64, i64) {
    let (tenant, group) = (Tenant(tenant.to_owned()), Group(group.to_owned()));
    let caller = Caller { tenant: &tenant, topic: None, group: Some(&group), dialect: Dialect::Tmq };
    let rule = rollout.candidate.rules.lookup(&caller).rule;
    (rule.name.to_string(), rule.guard.ack_timeout.min.0, rule.guard.ack_timeout.max.0)
}

#[test]
fn a_candidate_is_merged_over_the_document_part_by_part() {
    let merged = rollout(
        r#"{"version": "t2", "defaults": {"ack_timeout": {"min": "8s"}}, "rules": [
            {"name": "slow", "ack_timeout": {"min": "15s", "default": "1m"}},
            {"name": "new", "match": {"tenant": "pay-1", "group": "g"}, "ack_timeout": {"max": "30s"}}
        ]}"#,
    );
    for (tenant, group, name, min, max) in [
        ("x", "y", "defaults", 8_000, 20_000),
        ("x", "slow", "slow", 15_000, 300_000),
        ("pay-2", "slow", "payments", 9_000, 20_000),
        // What is new comes first.
        ("pay-1", "g", "new", 8_000, 30_000),
    ] {
        assert_eq!(bounds(&merged, tenant, group), (name.to_owned(), min, max), "{tenant} {group}");
    }
    assert_eq!((merged.candidate.version.as_str(), merged.candidate.mode), ("t2", Mode::Enforce));
    assert_eq!((merged.health, merged.on_unhealthy), (Health::default(), OnUnhealthy::Rollback));
    let matched = rollout(r#"{"version": "t2", "rules": [{"name": "payments", "match": {"group": "g"}}]}"#);
    assert_eq!(bounds(&matched, "pay-1", "h").0, "defaults");
    assert_eq!(bounds(&matched, "pay-1", "g").0, "payments");
}

#[test]
fn a_candidate_is_the_same_whatever_the_order_of_its_members() {
    let one = rollout(r#"{"version": "t2", "defaults": {"max_attempts": {"min": 2, "max": 4}}}"#);
    let other = rollout(r#"{"defaults": {"max_attempts": {"max": 4.0, "min": 2}}, "version": "t2"}"#);
    let another = rollout(r#"{"version": "t2", "defaults": {"max_attempts": {"min": 2, "max": 5}}}"#);
    assert_eq!(one.id, other.id);
    assert_ne!(one.id, another.id);
}

#[test]
fn stages_health_and_what_follows_are_read() {
    let text = r#""rollout": {"candidate": {"version": "t2", "mode": "shadow"}, "on_unhealthy": "hold",
        "stages": [{"percent": 0.01, "hold": "10m", "mode": "shadow"}, {"tenants": ["a", "b-*"], "hold": "1h"},
            {"percent": "33.33"}],
        "health": {"ack_success": 0.99, "p99": "1s", "window": "5m", "min_samples": 10}}"#;
    let rollout = policy(text).rollout.expect("a roll-out");
    let stages: Vec<_> = rollout.stages.iter().map(|stage| (stage.mode, stage.hold)).collect();
    let hold = |minutes: i64| Some(Millis(minutes * 60_000));
    assert_eq!(stages, [(Mode::Shadow, hold(10)), (Mode::Enforce, hold(60)), (Mode::Enforce, None)]);
    assert_eq!((&rollout.stages[0].who, &rollout.stages[2].who), (&Who::Share(1), &Who::Share(3_333)));
    let health = Health { ack_success: 0.99, p99: Millis(1_000), window: Millis(300_000), min_samples: 10 };
    assert_eq!((rollout.health, rollout.on_unhealthy), (health, OnUnhealthy::Hold));
    assert_eq!(rollout.candidate.mode, Mode::Shadow);
}

#[test]
fn what_is_no_roll_out_is_told() {
    let text = document(
        r#""rollout": {
            "candidate": {"version": "t1", "host": {}, "defaults": {"ack_timeout": {"min": "fast"}, "signed": 1},
                "rules": [{"name": "a"}, {"name": "a", "match": {}}]},
            "stages": [{"percent": 0, "hold": "1m"}, {"percent": 0.001}, {"percent": 5, "tenants": ["a"]},
                {"tenants": []}, {"tenants": [7], "hold": "1s"}, {"hold": "0s", "mode": "on"}, {"percent": 101}],
            "health": {"ack_success": 2, "p99": 300, "window": "", "min_samples": -1, "p50": "1s"},
            "on_unhealthy": "stop", "pause": true
        }"#,
    );
    let share = "a number over 0 and at most 100, with at most two decimals";
    let hold = "missing; expected a duration; only the last stage may be without one";
    let duration = r#"a duration such as "5s", over 0 and at most 168h"#;
    let expected = [
        r#"candidate.version: "t1" is the name of the document itself"#.to_owned(),
        format!(r#"candidate.defaults.ack_timeout.min: "fast" is not {duration}"#),
        "candidate.defaults.signed: this release of AckGuard does not act on it; leave it out".to_owned(),
        "candidate.rules[0].match: missing; expected some of tenant, topic, group and dialect".to_owned(),
        r#"candidate.rules[1].name: "a" is the name of an earlier rule"#.to_owned(),
        "candidate.host: unknown field; expected version, mode, defaults or rules".to_owned(),
        format!("stages[0].percent: 0 is not {share}"),
        format!("stages[1].percent: 0.001 is not {share}"),
        format!("stages[1].hold: {hold}"),
        "stages[2]: percent and tenants; expected one of them".to_owned(),
        format!("stages[2].hold: {hold}"),
        "stages[3].tenants: a list is not a list of patterns, each of 1 to 256 bytes".to_owned(),
        format!("stages[3].hold: {hold}"),
        "stages[4].tenants: a list is not a list of patterns, each of 1 to 256 bytes".to_owned(),
        "stages[5]: empty; expected percent or tenants".to_owned(),
        r#"stages[5].mode: "on" is not enforce or shadow"#.to_owned(),
        format!(r#"stages[5].hold: "0s" is not {duration}"#),
        format!("stages[6].percent: 101 is not {share}"),
        "health.ack_success: 2 is not a number, 0 to 1".to_owned(),
        format!("health.p99: 300 is not {duration}"),
        format!(r#"health.window: "" is not {duration}"#),
        "health.min_samples: -1 is not a whole number, 0 to 1000000000".to_owned(),
        "health.p50: unknown field; expected ack_success, p99, window or min_samples".to_owned(),
        r#"on_unhealthy: "stop" is not rollback or hold"#.to_owned(),
        "pause: unknown field; expected candidate, stages, health or on_unhealthy".to_owned(),
    ];
    assert_eq!(faults(&text), expected.map(|fault| format!("rollout.{fault}")));
    let empty = faults(&document(r#""rollout": {"stages": []}"#));
    let expected = [
        "rollout.candidate: missing; expected what changes: version, and some of mode, defaults and rules",
        "rollout.stages: empty; expected a list of stages, such as { percent: 5, hold: 10m }",
    ];
    assert_eq!(empty, expected);
}

#[test]
fn a_rule_that_breaks_under_the_candidates_defaults_is_told_once() {
    let candidate = r#"{"version": "t2", "defaults": {"ack_timeout": {"max": "8s", "default": "8s"}}}"#;
    let text = format!(r#"{RULES} "rollout": {{"candidate": {candidate}, "stages": [{{"percent": 100}}]}}"#);
    let fault = "rollout.candidate over rules[0].ack_timeout: min 9s is over max 8s";
    assert_eq!(faults(&document(&text)), [fault]);
}

/// The side of a consumer at each of these stages.
fn sides(stages: &str, tenant: &str, group: &str) -> Vec<Side> {
    let text = format!(r#""rollout": {{"candidate": {{"version": "t2"}}, "stages": {stages}}}"#);
    let rollout = policy(&text).rollout.expect("a roll-out");
    let (tenant, group) = (Tenant(tenant.to_owned()), Group(group.to_owned()));
    (0..rollout.stages.len()).map(|stage| rollout.side(stage, &tenant, Some(&group))).collect()
}

#[test]
fn a_tenant_that_is_named_is_on_the_candidates_side_from_then_on() {
    let stages = r#"[{"percent": 0.01, "hold": "1s"}, {"tenants": ["app-*"], "hold": "1s"}, {"percent": 100}]"#;
    assert_eq!(sides(stages, "app-1", "g"), [Side::Current, Side::Candidate, Side::Candidate]);
    assert_eq!(sides(stages, "other", "g"), [Side::Current, Side::Current, Side::Candidate]);
}

#[test]
fn what_a_stage_only_tries_is_tried_on_beside_those_that_come_after() {
    let stages =
        r#"[{"percent": 100, "mode": "shadow", "hold": "1s"}, {"tenants": ["a"], "hold": "1s"}, {"percent": 100}]"#;
    assert_eq!(sides(stages, "a", "g"), [Side::Tried, Side::Candidate, Side::Candidate]);
    assert_eq!(sides(stages, "b", "g"), [Side::Tried, Side::Tried, Side::Candidate]);
}

#[test]
fn a_percent_is_that_share_of_all_consumers() {
    let text = r#""rollout": {"candidate": {"version": "t2"}, "stages": [{"percent": 5}]}"#;
    let rollout = policy(text).rollout.expect("a roll-out");
    let consumers = 40_000;
    let chosen = (0..consumers).filter(|index| {
        let (tenant, group) = (Tenant(format!("app-{}", index % 200)), Group(format!("group-{}", index / 200)));
        rollout.side(0, &tenant, Some(&group)) == Side::Candidate
    });
    // Five standard deviations of a fair choice: √(40,000 · 0.05 · 0.95) is 43.6.
    assert!(chosen.count().abs_diff(2_000) < 218);
}

proptest! {
    /// A consumer that is on the candidate's side stays there at every later stage.
    #[test]
    fn nobody_goes_back_while_the_roll_out_goes_on(
        tenant in "[a-c]{1,2}", group in "[a-z]{1,8}",
        stages in proptest::collection::vec(
            prop_oneof![
                (1..=10_000_u32).prop_map(|share| format!(r#""percent": {}"#, f64::from(share) / 100.0)),
                "[a-c*]{1,2}".prop_map(|tenant| format!(r#""tenants": ["{tenant}"]"#)),
            ],
            1..6,
        ),
        shadow in any::<bool>(),
    ) {
        let mode = if shadow { "shadow" } else { "enforce" };
        let stage = |who: &String| format!(r#"{{{who}, "mode": "{mode}", "hold": "1s"}}"#);
        let stages: Vec<String> = stages.iter().map(stage).collect();
        let sides = sides(&format!("[{}]", stages.join(",")), &tenant, &group);
        let first = sides.iter().position(|side| *side != Side::Current).unwrap_or(sides.len());
        let side = if shadow { Side::Tried } else { Side::Candidate };
        prop_assert!(sides[first..].iter().all(|found| *found == side), "{:?}", sides);
    }
}

#[test]
fn ten_thousand_rules_are_the_most_that_a_candidate_may_come_to() {
    let rules: Vec<String> =
        (0..10_000).map(|index| format!(r#"{{"name":"r{index}","match":{{"tenant":"t{index}"}}}}"#)).collect();
    let text = |candidate: &str| {
        document(&format!(
            r#""rules":[{}],"rollout":{{"candidate":{{"version":"t2","rules":[{candidate}]}},"stages":[{{"percent":1}}]}}"#,
            rules.join(",")
        ))
    };
    assert!(Policy::parse(text(r#"{"name":"r1","auto_ack":"allow"}"#).as_bytes()).is_ok());
    let over = faults(&text(r#"{"name":"new","match":{}}"#));
    assert_eq!(over, ["rollout.candidate.rules: 10001 rules when merged; expected at most 10000"]);
}
