//! The counters. Every label's values come from this crate, none from a client, so their number is bounded.

use crate::dialect::Dialect;
use crate::operation::{Kind, Reason};
use crate::policy::Mode;
use crate::policy::verdict::{Finding, Outcome};

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

/// A counter with its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// Consumers whose topic had to be forgotten for newer ones, or could not be remembered at all.
    SubscriptionEvictions,
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
            Counter::Requests { dialect, operation, decision } => format!(
                "ackguard_requests_total.dialect.{}.operation.{}.decision.{}",
                dialect.name(),
                operation.map_or("unknown", Kind::name),
                decision.name()
            ),
            Counter::Violations { dialect, finding } => format!(
                "ackguard_violations_total.dialect.{}.field.{}.kind.{}.action.{}",
                dialect.name(),
                finding.field.name(),
                finding.violation.name(),
                finding.action.name()
            ),
            Counter::SubscriptionEvictions => "ackguard_evictions_total.table.subscriptions".to_owned(),
            Counter::Undecidable { dialect, reason } => {
                format!("ackguard_undecidable_total.dialect.{}.reason.{}", dialect.name(), reason.name())
            }
        }
    }
}
