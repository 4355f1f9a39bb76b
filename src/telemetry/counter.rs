//! The counters. Every label's values come from this crate or from the policy, none from a client, so their number is
//! bounded.

use std::rc::Rc;

use crate::dialect::Dialect;
use crate::operation::{Kind, Reason};
use crate::policy::Mode;
use crate::policy::verdict::{Finding, Outcome};
use crate::rollout::Transition;

use super::FleetResult;

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
    /// Requests that could not be read.
    Undecidable {
        /// The wire.
        dialect: Dialect,
        /// Why.
        reason: Reason,
    },
}

impl Counter {
    /// The statistic's name: the metric's, then its labels as `.label.value`. No value contains a dot, so that
    /// Envoy's `stats_tags` can take the labels out again.
    pub fn name(&self) -> String {
        match self {
            Counter::Requests { dialect, operation, decision } => {
                requests("ackguard_requests_total", *dialect, operation.map_or("unknown", Kind::name), *decision)
            }
            Counter::CandidateRequests { dialect, operation, decision } => {
                requests("ackguard_candidate_requests_total", *dialect, operation.name(), *decision)
            }
            Counter::ShadowRequests { scope, dialect, operation, decision } => {
                let name = format!("ackguard_shadow_requests_total.scope.{}", scope.name());
                requests(&name, *dialect, operation.name(), *decision)
            }
            Counter::Violations { dialect, finding } => violations("ackguard_violations_total", *dialect, finding),
            Counter::ShadowViolations { scope, dialect, finding } => {
                let name = format!("ackguard_shadow_violations_total.scope.{}", scope.name());
                violations(&name, *dialect, finding)
            }
            Counter::Reloads { accepted } => {
                let result = if *accepted { "accepted" } else { "refused" };
                format!("ackguard_policy_reloads_total.result.{result}")
            }
            Counter::Transitions(to) => format!("ackguard_rollout_transitions_total.to.{}", to.name()),
            Counter::Limited { limit, mode } => {
                let name = match mode {
                    Mode::Enforce => "ackguard_limited_total",
                    Mode::Shadow => "ackguard_shadow_limited_total",
                };
                format!("{name}.limit.{}", limit.replace('.', "_"))
            }
            Counter::LimitEvictions => "ackguard_evictions_total.table.limits".to_owned(),
            Counter::LimitContention => "ackguard_limit_contention_total".to_owned(),
            Counter::LimitLostWrites => "ackguard_limit_lost_writes_total".to_owned(),
            Counter::LeaseEvictions => "ackguard_evictions_total.table.leases".to_owned(),
            Counter::SubscriptionEvictions => "ackguard_evictions_total.table.subscriptions".to_owned(),
            Counter::FleetCalls(result) => format!("ackguard_fleet_calls_total.result.{}", result.name()),
            Counter::Undecidable { dialect, reason } => {
                format!("ackguard_undecidable_total.dialect.{}.reason.{}", dialect.name(), reason.name())
            }
        }
    }
}

fn requests(name: &str, dialect: Dialect, operation: &str, decision: Decision) -> String {
    format!("{name}.dialect.{}.operation.{operation}.decision.{}", dialect.name(), decision.name())
}

fn violations(name: &str, dialect: Dialect, finding: &Finding) -> String {
    let Finding { field, violation, action } = finding;
    let (field, violation, action) = (field.name(), violation.name(), action.name());
    format!("{name}.dialect.{}.field.{field}.kind.{violation}.action.{action}", dialect.name())
}
