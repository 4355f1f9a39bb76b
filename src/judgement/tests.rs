//! Shadow is exact: side by side, what a shadowed policy, rule or stage counts and would send on is what the enforced
//! one counts and sends on.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Effect, Entry, Guarded, Judgement, Ruling, enter, judge, side};
use crate::http::RequestHead;
use crate::limit::Limiter;
use crate::operation::Topic;
use crate::policy::rollout::Side;
use crate::policy::tests::strategies::{bodies, guards, parse};
use crate::policy::{Mode, Policy};
use crate::shared_memory::memory::Memory;
use crate::telemetry::{Counter, Decision, Scope};

fn document(members: &Value) -> Value {
    let mut document = json!({
        "apiVersion": "ackguard/v1", "version": "t1",
        "traffic": [{ "match": { "path": "/tmq/*" }, "dialect": "tmq" }],
        "tenant": [{ "header": "app" }],
    });
    for (name, value) in members.as_object().expect("an object") {
        document[name] = value.clone();
    }
    document
}

/// A request's path and body: any operation that may be guarded, some that cannot be read.
fn requests() -> impl Strategy<Value = (String, String)> {
    let action = prop_oneof![Just(""), Just("/c1:pull"), Just("/c1:heartbeat")];
    let body = prop_oneof![9 => bodies(), 1 => Just("{".to_owned()), 1 => Just(String::new())];
    ("[ab]{1,2}", action, body)
        .prop_map(|(group, action, body)| (format!("/tmq/v1/groups/{group}/consumers{action}"), body))
}

fn guarded(policy: &Policy, path: &str) -> Guarded {
    let headers = [(":method", "POST"), (":path", path), ("app", "app-1"), ("x-request-id", "id")];
    let head = RequestHead::new(headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into());
    match enter(policy, &head, |_| None) {
        Entry::Guarded(guarded) => guarded,
        other => panic!("{path}: {other:?}"),
    }
}

/// The judgement at a stage; a pull's consumer subscribed to `orders`.
fn judged<'p>(policy: &'p Policy, stage: Option<usize>, (path, body): &(String, String)) -> Judgement<'p> {
    let guarded = guarded(policy, path);
    let side = side(policy, stage, &guarded.tenant, guarded.route.group.as_ref());
    judge(policy, &guarded, side, Ok(body.as_bytes()), || Some(Topic("orders".to_owned())))
}

/// What a ruling comes to, whosever it is.
fn comes_to<'r>(
    ruling: &'r Ruling<'_>,
) -> (&'r str, &'r crate::policy::verdict::Verdict, &'r Effect, &'r Option<String>) {
    (&ruling.rule.name, &ruling.verdict, &ruling.effect, &ruling.told)
}

/// A decision as shadow counts it.
fn would(decision: Decision) -> Decision {
    match decision {
        Decision::Edit => Decision::WouldEdit,
        Decision::Reject => Decision::WouldReject,
        other => other,
    }
}

/// The counters of what was carried out, as a trial of this scope counts them.
fn as_tried(counters: &[Counter], scope: Scope) -> Vec<Counter> {
    let tried = |counter: Counter| match counter {
        Counter::Requests { dialect, operation: Some(operation), decision } => {
            Some(Counter::ShadowRequests { scope, dialect, operation, decision: would(decision) })
        }
        Counter::Violations { dialect, finding, rule } => {
            Some(Counter::ShadowViolations { scope, dialect, finding, rule })
        }
        _ => None,
    };
    counters.iter().cloned().filter_map(tried).collect()
}

fn trials(counters: &[Counter]) -> Vec<Counter> {
    let is_trial =
        |counter: &&Counter| matches!(counter, Counter::ShadowRequests { .. } | Counter::ShadowViolations { .. });
    counters.iter().filter(is_trial).cloned().collect()
}

fn not_trials(counters: &[Counter]) -> Vec<Counter> {
    let trials = trials(counters);
    counters.iter().filter(|counter| !trials.contains(counter)).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_document_in_shadow_counts_what_it_would_do_and_does_nothing(guards in guards(), request in requests()) {
        let enforced = parse(&document(&json!({ "defaults": guards })));
        let shadowed = parse(&document(&json!({ "defaults": guards, "mode": "shadow" })));
        let (real, watched) = (judged(&enforced, None, &request), judged(&shadowed, None, &request));
        prop_assert_eq!(real.ruling.as_ref().map(comes_to), watched.ruling.as_ref().map(comes_to));
        prop_assert_eq!(watched.effect(), &Effect::Pass);
        let counted = |counter: Counter| match counter {
            Counter::Requests { dialect, operation, decision } => {
                Counter::Requests { dialect, operation, decision: would(decision) }
            }
            other => other,
        };
        prop_assert_eq!(real.counters().into_iter().map(counted).collect::<Vec<_>>(), watched.counters());
        let told = real.ruling.as_ref().and_then(|ruling| ruling.told.as_ref());
        let line = told.map(|told| format!("ackguard: shadow: {}: {told}", real.kind.name()));
        prop_assert_eq!(watched.log(), line.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(real.log(), Vec::<String>::new());
    }

    /// Without the rule, the same is done; with the rule enforced, what was counted as tried is done.
    #[test]
    fn a_rule_in_shadow_changes_nothing_and_counts_what_it_would_do(
        defaults in guards(), mut rule in guards(), others in proptest::collection::vec((guards(), "[ab*]"), 0..3),
        at in any::<proptest::sample::Index>(), request in requests(),
    ) {
        rule["name"] = "tried".into();
        rule["match"] = json!({ "tenant": "app-*" });
        let mut rules: Vec<Value> = others.into_iter().enumerate().map(|(index, (mut other, group))| {
            other["name"] = format!("other-{index}").into();
            other["match"] = json!({ "group": format!("{group}*") });
            other
        }).collect();
        let with = |rules: &[Value]| parse(&document(&json!({ "defaults": defaults, "rules": rules })));
        let without = with(&rules);
        let at = at.index(rules.len() + 1);
        rules.insert(at, rule);
        let enforced = with(&rules);
        rules[at]["mode"] = "shadow".into();
        let shadowed = with(&rules);

        let watched = judged(&shadowed, None, &request);
        let unruled = judged(&without, None, &request);
        prop_assert_eq!(watched.ruling.as_ref().map(comes_to), unruled.ruling.as_ref().map(comes_to));
        prop_assert_eq!(watched.effect(), unruled.effect());
        prop_assert_eq!(not_trials(&watched.counters()), unruled.counters());

        let real = judged(&enforced, None, &request);
        let decides = real.ruling.as_ref().is_some_and(|ruling| &*ruling.rule.name == "tried");
        prop_assert_eq!(watched.trials.len(), usize::from(decides));
        for trial in &watched.trials {
            prop_assert_eq!(Some(comes_to(&trial.ruling)), real.ruling.as_ref().map(comes_to));
            prop_assert_eq!(trials(&watched.counters()), as_tried(&real.counters(), Scope::Rule));
        }
    }

    /// Beside the stage in shadow, what the document says without a roll-out is done; what was counted as tried is what
    /// the enforced stage does.
    #[test]
    fn a_stage_in_shadow_changes_nothing_and_counts_what_it_would_do(
        defaults in guards(), candidate in guards(), request in requests(),
    ) {
        let rollout = |mode: &str| json!({
            "candidate": { "version": "t2", "defaults": candidate }, "stages": [{ "percent": 100, "mode": mode }],
        });
        let with = |mode: &str| parse(&document(&json!({ "defaults": defaults, "rollout": rollout(mode) })));
        let (enforced, shadowed) = (with("enforce"), with("shadow"));
        let without = parse(&document(&json!({ "defaults": defaults })));

        let watched = judged(&shadowed, Some(0), &request);
        let unruled = judged(&without, None, &request);
        prop_assert_eq!(watched.side, Side::Tried);
        prop_assert_eq!(watched.ruling.as_ref().map(comes_to), unruled.ruling.as_ref().map(comes_to));
        prop_assert_eq!(not_trials(&watched.counters()), unruled.counters());

        let real = judged(&enforced, Some(0), &request);
        prop_assert_eq!(real.side, Side::Candidate);
        let tried: Vec<_> = watched.trials.iter().map(|trial| comes_to(&trial.ruling)).collect();
        prop_assert_eq!(tried, real.ruling.iter().map(comes_to).collect::<Vec<_>>());
        if real.ruling.is_some() {
            prop_assert_eq!(trials(&watched.counters()), as_tried(&real.counters(), Scope::Rollout));
        }
    }

    /// Taken back, a candidate is as if it had never been.
    #[test]
    fn a_roll_out_that_serves_no_stage_changes_nothing(
        defaults in guards(), candidate in guards(), request in requests(),
    ) {
        let rollout =
            json!({ "candidate": { "version": "t2", "defaults": candidate }, "stages": [{ "percent": 100 }] });
        let with = parse(&document(&json!({ "defaults": defaults, "rollout": rollout })));
        let without = parse(&document(&json!({ "defaults": defaults })));
        let (watched, unruled) = (judged(&with, None, &request), judged(&without, None, &request));
        prop_assert_eq!(watched.ruling.as_ref().map(comes_to), unruled.ruling.as_ref().map(comes_to));
        prop_assert_eq!(watched.counters(), unruled.counters());
    }
}

/// Requests of two tenants that a limit may be for, each with the time since the one before, in milliseconds.
fn limited_requests() -> impl Strategy<Value = Vec<(String, String, u64)>> {
    let publish = (0..6_usize).prop_map(|messages| {
        let list = vec!["{\"body\":\"x\"}"; messages].join(",");
        ("/tmq/v1/topics/orders/messages".to_owned(), format!("{{\"messages\":[{list}]}}"))
    });
    let ack = Just(("/tmq/v1/groups/a/consumers/c1:ack".to_owned(), "{\"receipts\":[\"r1\",\"r2\"]}".to_owned()));
    let request = prop_oneof![3 => publish, 1 => ack, 1 => requests()];
    proptest::collection::vec((request, 0..400_u64).prop_map(|((path, body), wait)| (path, body, wait)), 1..40)
}

fn limits(over: &str, other: &str) -> Value {
    json!([
        { "name": "tried", "operations": ["any"], "key": ["tenant"], "rate": "5/s", "burst": 6, "cost": "messages",
          "over": over },
        { "name": "other", "operations": ["any"], "rate": "20/s", "burst": 10, "over": other },
    ])
}

/// One gateway that serves requests one after the other.
struct Served {
    memory: Memory,
    limiter: Limiter,
    now: u64,
}

impl Served {
    fn new() -> Served {
        Served { memory: Memory::default(), limiter: Limiter::default(), now: 1_790_000_000_000_000_000 }
    }

    fn serve<'p>(&mut self, policy: &'p Policy, (path, body, wait): &(String, String, u64)) -> Judgement<'p> {
        self.now += wait * 1_000_000;
        let guarded = guarded(policy, path);
        let mut judgement = judge(policy, &guarded, Side::Current, Ok(body.as_bytes()), || None);
        judgement.ask_limits(policy, &guarded, &mut self.limiter, &self.memory, || self.now);
        judgement
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Of a limit in shadow is told what enforcing it would have done; what is done is what the others say.
    #[test]
    fn a_limit_in_shadow_refuses_nothing_and_counts_what_it_would_refuse(requests in limited_requests()) {
        let with = |limits: Value| parse(&document(&json!({ "limits": limits })));
        let enforced = with(json!([limits("reject", "shadow")[0]]));
        let shadowed = with(json!([limits("shadow", "shadow")[0]]));
        let (mut real, mut watched) = (Served::new(), Served::new());
        for request in &requests {
            let (done, tried) = (real.serve(&enforced, request), watched.serve(&shadowed, request));
            prop_assert!(tried.limits.refused.is_none());
            let would = tried.limits.tried.first().and_then(|tried| tried.refused.clone());
            prop_assert_eq!(done.limits.refused.as_ref().map(|refused| refused.told.clone()), would.clone());
            prop_assert_eq!(tried.effect(), tried.ruling.as_ref().map_or(&Effect::Pass, |ruling| &ruling.effect));
            let refused = |mode| Counter::Limited { limit: "tried".into(), mode };
            prop_assert_eq!(
                done.counters().contains(&refused(Mode::Enforce)),
                tried.counters().contains(&refused(Mode::Shadow))
            );
            prop_assert_eq!(tried.log().iter().any(|line| line.contains("shadow limit")), would.is_some());
        }
    }

    /// A limit in shadow beside one that is enforced takes nothing from it and adds nothing to it.
    #[test]
    fn a_limit_in_shadow_changes_nothing_for_the_others(requests in limited_requests()) {
        let with = |limits: Value| parse(&document(&json!({ "limits": limits })));
        let both = with(limits("shadow", "reject"));
        let alone = with(json!([limits("shadow", "reject")[1]]));
        let (mut one, mut two) = (Served::new(), Served::new());
        for request in &requests {
            let (with, without) = (one.serve(&both, request), two.serve(&alone, request));
            prop_assert_eq!(with.effect(), without.effect());
            prop_assert_eq!(with.decision(), without.decision());
        }
    }

    /// A document in shadow asks its limits as enforcing does, and lets everything pass.
    #[test]
    fn the_limits_of_a_document_in_shadow_count_what_they_would_do(requests in limited_requests()) {
        let with = |mode: &str| parse(&document(&json!({ "mode": mode, "limits": limits("reject", "reject") })));
        let (enforced, shadowed) = (with("enforce"), with("shadow"));
        let (mut real, mut watched) = (Served::new(), Served::new());
        for request in &requests {
            let (done, tried) = (real.serve(&enforced, request), watched.serve(&shadowed, request));
            prop_assert_eq!(tried.effect(), &Effect::Pass);
            prop_assert_eq!(would(done.decision()), would(tried.decision()));
            prop_assert_eq!(
                done.limits.refused.as_ref().map(|refused| &refused.refusal),
                tried.limits.refused.as_ref().map(|refused| &refused.refusal)
            );
        }
    }
}
