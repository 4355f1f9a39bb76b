//! Each case of each setting, and what a policy makes of it.

use super::policy;
use crate::dialect::Dialect;
use crate::operation::{Field, Group, Kind, Millis, Operation, Setting, Settings, Tenant, Topic};
use crate::policy::verdict::{Action, Change, NewValue, Outcome, Refusal, Verdict};
use crate::policy::{Caller, decide};

fn verdict(guards: &str, kind: Kind, settings: Settings) -> Verdict {
    let policy = policy(&format!(r#""defaults":{{{guards}}}"#));
    let operation = Operation {
        kind,
        topic: Some(Topic("orders".to_owned())),
        group: Some(Group("billing".to_owned())),
        settings,
        demand: None,
    };
    let tenant = Tenant("app".to_owned());
    let found = policy.current.rules.lookup(&Caller {
        tenant: &tenant,
        topic: operation.topic.as_ref(),
        group: operation.group.as_ref(),
        dialect: Dialect::Tmq,
    });
    decide(&policy.current.version, found.rule, &operation)
}

/// A verdict in short: what is done to which field.
fn short(verdict: &Verdict) -> String {
    match &verdict.outcome {
        Outcome::Pass => "pass".to_owned(),
        Outcome::Edit(changes) => {
            let change = |Change { field, action, to }: &Change| {
                let to = match to {
                    NewValue::Millis(millis) => millis.0.to_string(),
                    NewValue::Count(count) => count.to_string(),
                    NewValue::Flag(flag) => flag.to_string(),
                    NewValue::Name(name) => name.clone(),
                };
                format!("{} {} {to}", action.name(), field.name())
            };
            changes.iter().map(change).collect::<Vec<_>>().join(", ")
        }
        Outcome::Reject(Refusal::Setting { field, found, expected, .. }) => {
            format!("reject {}: {found}; {expected}", field.name())
        }
        Outcome::Reject(Refusal::Unreadable(fault)) => format!("unreadable {}", fault.message),
        Outcome::Reject(Refusal::Throttled { limit, .. }) => format!("no rule throttles: {limit}"),
    }
}

fn check_ack_timeout(cases: &[(Kind, &str, Setting<Millis>, &str)]) {
    for (kind, guards, ack_timeout, expected) in cases {
        let settings = Settings { ack_timeout: ack_timeout.clone(), ..Settings::NONE };
        let verdict = verdict(guards, *kind, settings);
        assert_eq!(short(&verdict), *expected, "{kind:?} {guards} {ack_timeout:?}");
    }
}

#[test]
fn an_ack_timeout_out_of_bounds_is_clamped_refused_or_allowed() {
    let given = |millis| Setting::Given(Millis(millis));
    let absent = Setting::Absent { fallback: Some(Millis(5_000)) };
    let bounds = "5000 to 30000 ms (5s to 30s)";
    let reject = r#""ack_timeout":{"zero":"reject","short":"reject","long":"reject","missing":"reject"}"#;
    let allow = r#""ack_timeout":{"zero":"allow","short":"allow","long":"allow","missing":"allow"}"#;
    for kind in [Kind::Subscribe, Kind::Pull] {
        check_ack_timeout(&[
            (kind, "", given(0), "clamp ack_timeout 10000"),
            (kind, "", given(-1), "clamp ack_timeout 10000"),
            (kind, "", given(i64::MIN), "clamp ack_timeout 10000"),
            (kind, "", given(1), "clamp ack_timeout 5000"),
            (kind, "", given(4_999), "clamp ack_timeout 5000"),
            (kind, "", given(5_000), "pass"),
            (kind, "", given(30_000), "pass"),
            (kind, "", given(30_001), "clamp ack_timeout 30000"),
            (kind, "", given(i64::MAX), "clamp ack_timeout 30000"),
            (kind, reject, given(0), &format!("reject ack_timeout: 0 ms; {bounds}")),
            (kind, reject, given(1), &format!("reject ack_timeout: 1 ms; {bounds}")),
            (kind, reject, given(30_001), &format!("reject ack_timeout: 30001 ms; {bounds}")),
            (kind, allow, given(0), "pass"),
            (kind, allow, given(1), "pass"),
            (kind, allow, given(30_001), "pass"),
        ]);
    }
    check_ack_timeout(&[
        (Kind::Subscribe, "", absent.clone(), "default ack_timeout 10000"),
        (Kind::Subscribe, reject, absent.clone(), "reject ack_timeout: absent; one, such as 10000 ms"),
        (Kind::Subscribe, allow, absent, "pass"),
        (Kind::Pull, reject, Setting::NotAsked, "pass"),
    ]);
}

#[test]
fn a_renewal_by_zero_gives_the_message_back_and_is_nobodys_business() {
    let given = |millis| Setting::Given(Millis(millis));
    let strict = r#""ack_timeout":{"zero":"reject"},"extend":{"short":"clamp","long":"reject"}"#;
    check_ack_timeout(&[
        (Kind::Extend, "", given(0), "pass"),
        (Kind::Extend, strict, given(0), "pass"),
        (Kind::Extend, "", given(1), "pass"),
        (Kind::Extend, strict, given(1), "clamp ack_timeout 5000"),
        (Kind::Extend, "", given(60_000), "clamp ack_timeout 30000"),
        (Kind::Extend, strict, given(60_000), "reject ack_timeout: 60000 ms; 5000 to 30000 ms (5s to 30s)"),
        (Kind::Extend, "", given(-1), "clamp ack_timeout 10000"),
    ]);
}

#[test]
fn auto_ack_is_refused_rewritten_or_allowed() {
    let refused = "reject auto_ack: true; false: acknowledge after the work";
    for (guards, auto_ack, expected) in [
        ("", Setting::Given(true), refused),
        (r#""auto_ack":"rewrite""#, Setting::Given(true), "rewrite auto_ack false"),
        (r#""auto_ack":"allow""#, Setting::Given(true), "pass"),
        ("", Setting::Given(false), "pass"),
        ("", Setting::Absent { fallback: Some(false) }, "pass"),
    ] {
        let settings = Settings { auto_ack, ..Settings::NONE };
        assert_eq!(short(&verdict(guards, Kind::Subscribe, settings)), expected, "{guards}");
    }
}

#[test]
fn attempts_out_of_bounds_are_clamped_refused_or_allowed() {
    let absent = Setting::Absent { fallback: Some(3) };
    let from_four = r#""max_attempts":{"min":4,"default":6}"#;
    let strict = r#""max_attempts":{"min":4,"default":6,"outside":"reject"}"#;
    for (guards, max_attempts, expected) in [
        ("", Setting::Given(0), "clamp max_attempts 1"),
        ("", Setting::Given(-7), "clamp max_attempts 1"),
        ("", Setting::Given(1), "pass"),
        ("", Setting::Given(16), "pass"),
        ("", Setting::Given(17), "clamp max_attempts 16"),
        ("", absent.clone(), "pass"),
        (from_four, absent.clone(), "default max_attempts 6"),
        (strict, absent, "reject max_attempts: absent, which the broker takes for 3; 4 to 16"),
        (strict, Setting::Given(3), "reject max_attempts: 3; 4 to 16"),
        (r#""max_attempts":{"outside":"allow"}"#, Setting::Given(0), "pass"),
    ] {
        let settings = Settings { max_attempts, ..Settings::NONE };
        assert_eq!(short(&verdict(guards, Kind::Subscribe, settings)), expected, "{guards}");
    }
}

#[test]
fn a_missing_dead_letter_topic_is_injected_refused_or_allowed() {
    let absent = Setting::Absent { fallback: None };
    for (guards, dead_letter, expected) in [
        ("", absent.clone(), "inject dead_letter orders.dlq"),
        (r#""dead_letter":{"topic":"dlq.{group}.{topic}"}"#, absent.clone(), "inject dead_letter dlq.billing.orders"),
        (
            r#""dead_letter":{"missing":"reject"}"#,
            absent.clone(),
            "reject dead_letter: absent; a topic, such as orders.dlq",
        ),
        (r#""dead_letter":{"missing":"allow"}"#, absent.clone(), "pass"),
        (r#""dead_letter":{"required":false,"missing":"reject"}"#, absent.clone(), "pass"),
        ("", Setting::Given(Topic("d".to_owned())), "pass"),
    ] {
        let settings = Settings { dead_letter, ..Settings::NONE };
        assert_eq!(short(&verdict(guards, Kind::Subscribe, settings)), expected, "{guards}");
    }
}

#[test]
fn a_refusal_outweighs_changes_and_every_violation_is_counted() {
    let settings = Settings {
        ack_timeout: Setting::Given(Millis(0)),
        auto_ack: Setting::Given(true),
        max_attempts: Setting::Given(99),
        dead_letter: Setting::Absent { fallback: None },
    };
    let verdict = verdict(r#""max_attempts":{"outside":"allow"}"#, Kind::Subscribe, settings);
    assert!(matches!(verdict.outcome, Outcome::Reject(Refusal::Setting { field: Field::AutoAck, .. })));
    let actions: Vec<Action> = verdict.findings.iter().map(|finding| finding.action).collect();
    assert_eq!(actions, [Action::Clamp, Action::Reject, Action::Allow, Action::Inject]);
}
