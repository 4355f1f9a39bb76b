//! What a policy does to a capture, counted.

use std::collections::BTreeMap;

use ackguard::http::RequestHead;
use ackguard::judgement::Judgement;
use ackguard::operation::{Field, Kind, Millis};
use ackguard::policy::limit::Reach;
use ackguard::policy::verdict::{Action, Outcome, Refusal, Throttle};
use ackguard::policy::{Mode, Policy};
use ackguard::telemetry::{Decision, Scope};

use crate::gateway::{Judged, spares_limits};
use crate::output::visible;

/// The most rows that are told apart; a capture may name more tenants than fit into memory.
const MAX_ROWS: usize = 10_000;
/// What stands for the tenants beyond that.
const OTHERS: &str = "(others)";

/// Every decision in the order of the columns.
pub(super) const DECISIONS: [Decision; 5] =
    [Decision::Pass, Decision::Edit, Decision::Reject, Decision::WouldEdit, Decision::WouldReject];

/// Who asked for what, and which rule decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) tenant: String,
    pub(super) operation: String,
    pub(super) rule: String,
}

/// What one policy made of one request, as it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) key: Key,
    pub(super) decision: Decision,
    /// What the client is told, or would be.
    pub(super) header: Option<String>,
    /// What it comes to, without the names of rules and of versions.
    pub(super) outcome: Outcome,
    violations: Vec<Violation>,
    tried: Vec<(Scope, String, Decision)>,
    /// What each limit says that was asked.
    limits: Vec<(String, Decision)>,
}

impl Told {
    /// The limit that refuses it, or would.
    pub(super) fn refused_by(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Reject(Refusal::Throttled { limit, .. }) => Some(limit),
            _ => None,
        }
    }
}

/// What a policy made of a request; `limited` is whether its limits were asked. None where no dialect reads it.
pub(super) fn told(policy: &Policy, head: &RequestHead, judged: &Judged<'_>, limited: bool) -> Option<Told> {
    let key = |operation: String, rule: &str| Key {
        tenant: visible(policy.tenant(head, |_| None).0.as_bytes()),
        operation,
        rule: rule.to_owned(),
    };
    match judged {
        Judged::Foreign => None,
        Judged::Free { dialect, route } => {
            let kind = route.as_ref().map_or("unknown", |route| route.kind.name());
            Some(Told {
                key: key(format!("{} {kind}", dialect.name()), ""),
                decision: Decision::Pass,
                header: None,
                outcome: Outcome::Pass,
                violations: Vec::new(),
                tried: Vec::new(),
                limits: Vec::new(),
            })
        }
        Judged::Guarded { guarded, judgement } => {
            let ruling = judgement.ruling.as_ref();
            let operation = format!("{} {}", guarded.dialect.name(), judgement.kind.name());
            let tried = judgement.trials.iter().map(|trial| {
                let decision = Decision::of(&trial.ruling.verdict.outcome, Mode::Shadow);
                (trial.scope, trial.ruling.rule.name.to_string(), decision)
            });
            let (header, outcome) = match (&judgement.limits.refused, ruling) {
                (Some(refused), _) => (Some(refused.told.clone()), unnamed(Outcome::Reject(refused.refusal.clone()))),
                (None, Some(ruling)) => (ruling.told.clone(), unnamed(ruling.verdict.outcome.clone())),
                (None, None) => (None, Outcome::Pass),
            };
            Some(Told {
                key: key(operation, ruling.map_or("", |ruling| &ruling.rule.name)),
                decision: judgement.decision(),
                header,
                outcome,
                violations: violations(judgement),
                tried: tried.collect(),
                limits: if limited { limits(policy, judgement) } else { Vec::new() },
            })
        }
    }
}

/// An outcome without what names the policy that it is of, so that two policies' can be compared.
fn unnamed(mut outcome: Outcome) -> Outcome {
    match &mut outcome {
        Outcome::Reject(Refusal::Setting { rule, policy, .. }) => {
            rule.clear();
            policy.clear();
        }
        Outcome::Reject(Refusal::Throttled { quota, throttle, policy, .. }) => {
            *quota = None;
            // How long it is to wait comes from the requests before.
            *throttle = Throttle::Wait { wait: Millis(0), left: 0 };
            policy.clear();
        }
        _ => {}
    }
    outcome
}

/// What each of the limits says that were asked for a request.
fn limits(policy: &Policy, judgement: &Judgement<'_>) -> Vec<(String, Decision)> {
    if spares_limits(judgement) {
        return Vec::new();
    }
    let refused = judgement.limits.refused.as_ref();
    let asked = policy.limits().iter().filter(|limit| {
        // Those in shadow are asked about what the others let through.
        let is_reached = limit.over == Mode::Enforce || refused.is_none();
        is_reached && limit.operations.has(judgement.kind) && matches!(limit.reach, Reach::Local { .. })
    });
    let says = |name: &str| {
        let refuses =
            refused.filter(|refused| matches!(&refused.refusal, Refusal::Throttled { limit, .. } if **limit == *name));
        let would = judgement.limits.tried.iter().any(|tried| &*tried.limit.name == name && tried.refused.is_some());
        match refuses {
            Some(_) => judgement.decision(),
            None if would => Decision::WouldReject,
            None => Decision::Pass,
        }
    };
    let limits = asked.map(|limit| (limit.name.to_string(), says(&limit.name)));
    limits.chain(in_flight(judgement).map(|decision| (Field::MaxInFlight.name().to_owned(), decision))).collect()
}

/// What the bound of its group's leases says of a pull, if it was asked.
fn in_flight(judgement: &Judgement<'_>) -> Option<Decision> {
    let ruling = judgement.ruling.as_ref()?;
    ruling.rule.guard.max_in_flight.filter(|_| judgement.kind == Kind::Pull && judgement.limits.refused.is_none())?;
    let actions = ruling.verdict.findings.iter().filter(|finding| finding.field == Field::MaxInFlight);
    let outcome = match actions.map(|finding| finding.action).next() {
        Some(_) => &ruling.verdict.outcome,
        None => &Outcome::Pass,
    };
    Some(Decision::of(outcome, ruling.set.mode))
}

/// The settings that are against the policy, or why they cannot be read.
fn violations(judgement: &Judgement<'_>) -> Vec<Violation> {
    let Some(ruling) = &judgement.ruling else {
        return Vec::new();
    };
    if let Err(fault) = &judgement.read {
        let action = if ruling.verdict.outcome == Outcome::Pass { "forward" } else { Action::Reject.name() };
        return vec![(fault.field.unwrap_or("body"), fault.reason.name(), action)];
    }
    let findings = ruling.verdict.findings.iter();
    findings.map(|finding| (finding.field.name(), finding.violation.name(), finding.action.name())).collect()
}

/// How often each decision was made, in the order of [`DECISIONS`].
pub(super) type Counts = [u64; DECISIONS.len()];

/// A violation: the name of its field, what is wrong, and what is done.
pub(super) type Violation = (&'static str, &'static str, &'static str);

/// The counts of one policy.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By tenant, operation and rule.
    pub(super) rows: BTreeMap<Key, Counts>,
    /// By tenant, operation, rule and violation.
    pub(super) violations: BTreeMap<(Key, Violation), u64>,
    /// What was only tried, by why and by which rule.
    pub(super) tried: BTreeMap<(&'static str, String), Counts>,
    /// What the limits say, by limit, tenant and operation.
    pub(super) limits: BTreeMap<[String; 3], Counts>,
}

impl Tally {
    /// Counts a request.
    pub(super) fn add(&mut self, told: &Told) {
        let mut key = told.key.clone();
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&key) {
            OTHERS.clone_into(&mut key.tenant);
        }
        for (limit, decision) in &told.limits {
            let mut key = [limit.clone(), key.tenant.clone(), key.operation.clone()];
            if self.limits.len() >= MAX_ROWS && !self.limits.contains_key(&key) {
                let [_, tenant, _] = &mut key;
                OTHERS.clone_into(tenant);
            }
            count(self.limits.entry(key).or_default(), *decision);
        }
        for violation in &told.violations {
            *self.violations.entry((key.clone(), *violation)).or_default() += 1;
        }
        count(self.rows.entry(key).or_default(), told.decision);
        for (scope, rule, decision) in &told.tried {
            count(self.tried.entry((scope.name(), rule.clone())).or_default(), *decision);
        }
    }

    /// All decisions together.
    pub(super) fn sum(&self) -> Counts {
        let mut sum = Counts::default();
        for counts in self.rows.values() {
            for (sum, count) in sum.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        sum
    }
}

fn count(counts: &mut Counts, decision: Decision) {
    let columns = DECISIONS.iter().zip(counts);
    for (_, count) in columns.filter(|(column, _)| **column == decision) {
        *count += 1;
    }
}
