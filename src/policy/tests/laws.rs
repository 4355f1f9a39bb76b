//! What holds for every policy and every request.

use proptest::prelude::*;

use super::strategies::{bodies, kinds, policies};
use crate::dialect::{Dialect, Route};
use crate::operation::{Group, Kind, Operation, Tenant};
use crate::policy::verdict::{Action, Outcome, Refusal, Verdict};
use crate::policy::{Caller, Policy, decide, decide_unreadable};

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
            Outcome::Reject(Refusal::Throttled { .. }) => prop_assert!(false, "no rule throttles"),
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
