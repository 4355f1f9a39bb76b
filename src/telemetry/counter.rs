//! The counters.

use std::rc::Rc;

use crate::dialect::Dialect;
use crate::operation::{Kind, Reason};
use crate::policy::Mode;
use crate::policy::verdict::{Finding, Outcome};
use crate::rollout::Transition;

use super::FleetResult;
use super::label::Label;
use super::metric::{self, Metric};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It passed as it came.
    Pass,
    /// It passed with changes.
    Edit,
    /// It was refused.
    Reject,
    /// Shadow: it would have been changed.
    WouldEdit,
    /// Shadow: it would have been refused.
    WouldReject,
}

impl Decision {
    /// What an outcome comes to in a mode.
    pub fn of(outcome: &Outcome, mode: Mode) -> Decision {
        match (outcome, mode) {
            (Outcome::Pass, _) => Decision::Pass,
            (Outcome::Edit(_), Mode::Enforce) => Decision::Edit,
            (Outcome::Edit(_), Mode::Shadow) => Decision::WouldEdit,
            (Outcome::Reject(_), Mode::Enforce) => Decision::Reject,
            (Outcome::Reject(_), Mode::Shadow) => Decision::WouldReject,
        }
    }

    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Decision::Pass => "pass",
            Decision::Edit => "edit",
            Decision::Reject => "reject",
            Decision::WouldEdit => "would_edit",
            Decision::WouldReject => "would_reject",
        }
    }
}

/// Why a ruling is only tried, beside the one that is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Its rule is in shadow.
    Rule,
    /// The roll-out's stage is in shadow.
    Rollout,
    /// It is a limit's, which is in shadow.
    Limit,
}

impl Scope {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Rule => "rule",
            Scope::Rollout => "rollout",
            Scope::Limit => "limit",
        }
    }
}

/// A counter with its labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Requests of a dialect; `operation` is none where the wire does not define what was asked.
    Requests {
        /// The wire.
        dialect: Dialect,
        /// What was asked.
        operation: Option<Kind>,
        /// What became of it.
        decision: Decision,
    },
    /// Settings against the policy.
    Violations {
        /// The wire.
        dialect: Dialect,
        /// The setting, how it was wrong and what the policy does about it.
        finding: Finding,
        /// The rule that says so.
        rule: Rc<str>,
    },
    /// Requests with settings against the policy.
    TenantViolations {
        /// Who sent them.
        tenant: Rc<str>,
    },
    /// Requests that a roll-out's candidate decided on; they are among [`Counter::Requests`] too.
    CandidateRequests {
        /// The wire.
        dialect: Dialect,
        /// What was asked.
        operation: Kind,
        /// What became of it.
        decision: Decision,
    },
    /// Requests by what would have become of them.
    ShadowRequests {
        /// Why it did not.
        scope: Scope,
        /// The wire.
        dialect: Dialect,
        /// What was asked.
        operation: Kind,
        /// What would have become of it.
        decision: Decision,
    },
    /// Settings against rules that are only tried.
    ShadowViolations {
        /// Why they are.
        scope: Scope,
        /// The wire.
        dialect: Dialect,
        /// The setting, how it was wrong and what would be done about it.
        finding: Finding,
        /// The rule that says so.
        rule: Rc<str>,
    },
    /// Policies that Envoy handed over.
    Reloads {
        /// Whether it was accepted.
        accepted: bool,
    },
    /// Steps of a roll-out.
    Transitions(Transition),
    /// Requests over a limit of the policy.
    Limited {
        /// The limit's name.
        limit: Rc<str>,
        /// Whether they were refused, or would have been.
        mode: Mode,
    },
    /// Buckets that had to be forgotten before they were full: who comes back finds no more tokens than were left, and a
    /// newcomer may find fewer than the burst.
    LimitEvictions,
    /// Requests that were held for over a limit because too many workers wrote its bucket at once.
    LimitContention,
    /// Charges after the fact, and tokens to put back, that never reached their bucket for the same reason.
    LimitLostWrites,
    /// Answers whose leases, or some of them, could not be counted: they could not be read, or the group's slot has no
    /// room.
    LeaseEvictions,
    /// Consumers whose topic had to be forgotten for newer ones, or could not be remembered at all.
    SubscriptionEvictions,
    /// Questions to the fleet's rate limit service.
    FleetCalls(FleetResult),
    /// Messages that an answer to a pull brought.
    Deliveries(Dialect),
    /// Those of them that had been delivered before.
    Redeliveries(Dialect),
    /// Those of them that are not delivered again.
    LastAttempts(Dialect),
    /// Receipts in acks whose lease was over.
    LateAcks(Dialect),
    /// Answers to pulls and acks that could not be read to their end.
    UnreadAnswers(Dialect),
    /// Leases that ended by their time.
    LeasesExpired,
    /// Requests that could not be read.
    Undecidable {
        /// The wire.
        dialect: Dialect,
        /// Why.
        reason: Reason,
    },
}

impl Counter {
    /// The same counter, with what `admit` makes of the value that comes from outside, if it has one.
    pub fn bounded(self, mut admit: impl FnMut(Label, &str) -> Rc<str>) -> Counter {
        match self {
            Counter::Violations { dialect, finding, rule } => {
                Counter::Violations { dialect, finding, rule: admit(Label::Rule, &rule) }
            }
            Counter::ShadowViolations { scope, dialect, finding, rule } => {
                Counter::ShadowViolations { scope, dialect, finding, rule: admit(Label::Rule, &rule) }
            }
            Counter::TenantViolations { tenant } => Counter::TenantViolations { tenant: admit(Label::Tenant, &tenant) },
            Counter::Limited { limit, mode } => Counter::Limited { limit: admit(Label::Limit, &limit), mode },
            closed => closed,
        }
    }

    /// The name of its series.
    pub fn name(&self) -> String {
        let requests =
            |metric: &Metric, scope: Option<&str>, dialect: &Dialect, operation: &str, decision: &Decision| {
                let of: Vec<&str> = scope.into_iter().chain([dialect.name(), operation, decision.name()]).collect();
                metric.series(&of)
            };
        let violations = |metric: &Metric, scope: Option<&str>, dialect: &Dialect, finding: &Finding, rule: &str| {
            let Finding { field, violation, action } = finding;
            let of = [dialect.name(), field.name(), violation.name(), action.name(), rule];
            metric.series(&scope.into_iter().chain(of).collect::<Vec<_>>())
        };
        match self {
            Counter::Requests { dialect, operation, decision } => {
                let operation = operation.map_or("unknown", Kind::name);
                requests(&metric::REQUESTS, None, dialect, operation, decision)
            }
            Counter::CandidateRequests { dialect, operation, decision } => {
                requests(&metric::CANDIDATE_REQUESTS, None, dialect, operation.name(), decision)
            }
            Counter::ShadowRequests { scope, dialect, operation, decision } => {
                requests(&metric::SHADOW_REQUESTS, Some(scope.name()), dialect, operation.name(), decision)
            }
            Counter::Violations { dialect, finding, rule } => {
                violations(&metric::VIOLATIONS, None, dialect, finding, rule)
            }
            Counter::ShadowViolations { scope, dialect, finding, rule } => {
                violations(&metric::SHADOW_VIOLATIONS, Some(scope.name()), dialect, finding, rule)
            }
            Counter::TenantViolations { tenant } => metric::TENANT_VIOLATIONS.series(&[tenant]),
            Counter::Reloads { accepted } => {
                metric::POLICY_RELOADS.series(&[if *accepted { "accepted" } else { "refused" }])
            }
            Counter::Transitions(to) => metric::ROLLOUT_TRANSITIONS.series(&[to.name()]),
            Counter::Limited { limit, mode: Mode::Enforce } => metric::LIMITED.series(&[limit]),
            Counter::Limited { limit, mode: Mode::Shadow } => metric::SHADOW_LIMITED.series(&[limit]),
            Counter::LimitEvictions => metric::EVICTIONS.series(&["limits"]),
            Counter::LimitContention => metric::LIMIT_CONTENTION.series(&[]),
            Counter::LimitLostWrites => metric::LIMIT_LOST_WRITES.series(&[]),
            Counter::LeaseEvictions => metric::EVICTIONS.series(&["leases"]),
            Counter::SubscriptionEvictions => metric::EVICTIONS.series(&["subscriptions"]),
            Counter::FleetCalls(result) => metric::FLEET_CALLS.series(&[result.name()]),
            Counter::Deliveries(dialect) => metric::DELIVERIES.series(&[dialect.name()]),
            Counter::Redeliveries(dialect) => metric::REDELIVERIES.series(&[dialect.name()]),
            Counter::LastAttempts(dialect) => metric::LAST_ATTEMPTS.series(&[dialect.name()]),
            Counter::LateAcks(dialect) => metric::LATE_ACKS.series(&[dialect.name()]),
            Counter::UnreadAnswers(dialect) => metric::UNREAD_ANSWERS.series(&[dialect.name()]),
            Counter::LeasesExpired => metric::LEASES_EXPIRED.series(&[]),
            Counter::Undecidable { dialect, reason } => metric::UNDECIDABLE.series(&[dialect.name(), reason.name()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Field;
    use crate::policy::verdict::{Action, Violation};

    #[test]
    fn a_counter_has_its_labels_in_its_name() {
        let finding = Finding { field: Field::AckTimeout, violation: Violation::Zero, action: Action::Clamp };
        for (counter, name) in [
            (
                Counter::Requests { dialect: Dialect::Tmq, operation: None, decision: Decision::Pass },
                "ackguard_requests_total;dialect=tmq;operation=unknown;decision=pass",
            ),
            (
                Counter::ShadowViolations { scope: Scope::Rule, dialect: Dialect::Tmq, finding, rule: "a;b".into() },
                "ackguard_shadow_violations_total;scope=rule;dialect=tmq;field=ack_timeout;kind=zero;action=clamp;rule=a%3Bb",
            ),
            (Counter::LimitContention, "ackguard_limit_contention_total"),
        ] {
            assert_eq!(counter.name(), name);
        }
    }

    #[test]
    fn what_comes_from_outside_is_bounded_and_nothing_else() {
        let other = |_: Label, _: &str| "other".into();
        let limited = |limit: &str| Counter::Limited { limit: limit.into(), mode: Mode::Enforce };
        assert_eq!(limited("made up").bounded(other), limited("other"));
        assert_eq!(Counter::LimitContention.bounded(other), Counter::LimitContention);
    }
}
