//! What is allowed: the verdict on one operation.

use std::rc::Rc;

use crate::operation::{Field, Millis, Unreadable};

use super::limit::{Cost, Rate};

/// How a setting is against the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// Zero or less.
    Zero,
    /// Under the minimum.
    Short,
    /// Over the maximum.
    Long,
    /// Absent where one is wanted.
    Missing,
    /// On where it must be off.
    On,
}

impl Violation {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Violation::Zero => "zero",
            Violation::Short => "short",
            Violation::Long => "long",
            Violation::Missing => "missing",
            Violation::On => "on",
        }
    }
}

/// What the policy does about a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing.
    Allow,
    /// Sets the nearest allowed value.
    Clamp,
    /// Sets the policy's value where there was none.
    Default,
    /// Sets the opposite.
    Rewrite,
    /// Sets a dead-letter topic.
    Inject,
    /// Refuses the request.
    Reject,
}

impl Action {
    /// The name in metrics, logs and headers.
    pub fn name(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Clamp => "clamp",
            Action::Default => "default",
            Action::Rewrite => "rewrite",
            Action::Inject => "inject",
            Action::Reject => "reject",
        }
    }
}

/// One violation and what is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The setting.
    pub field: Field,
    /// How it is against the policy.
    pub violation: Violation,
    /// What is done about it.
    pub action: Action,
}

/// A value that the policy sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewValue {
    /// A time.
    Millis(Millis),
    /// A number of attempts.
    Count(i64),
    /// A switch.
    Flag(bool),
    /// A topic's name.
    Name(String),
}

/// One setting to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The setting.
    pub field: Field,
    /// By which action.
    pub action: Action,
    /// What it becomes.
    pub to: NewValue,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be read.
    Unreadable(Unreadable),
    /// A setting is against the policy.
    Setting {
        /// The setting.
        field: Field,
        /// What the request asks for, in words.
        found: String,
        /// What the policy allows, in words.
        expected: String,
        /// The rule that refuses.
        rule: String,
        /// The policy's version.
        policy: String,
    },
    /// There were too many.
    Throttled {
        /// The limit that refuses.
        limit: Rc<str>,
        /// What the limit allows, where it is a rate.
        quota: Option<Quota>,
        /// Why, and for how long.
        throttle: Throttle,
        /// The policy's version.
        policy: String,
    },
}

/// What a limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How much in which time.
    pub rate: Rate,
    /// Of what.
    pub unit: Cost,
}

/// Why a request has to wait, or cannot pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// There is too little left; after so long there may be enough.
    Wait {
        /// How long, rounded up.
        wait: Millis,
        /// How much is left.
        left: u64,
    },
    /// It costs more than may ever pass at once.
    TooCostly {
        /// What it costs.
        cost: u64,
        /// What may pass at once.
        burst: u64,
    },
}

/// What becomes of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passes as it came.
    Pass,
    /// It passes with these changes; never empty.
    Edit(Vec<Change>),
    /// It is refused.
    Reject(Refusal),
}

/// The verdict on one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Every violation that was found.
    pub findings: Vec<Finding>,
    /// What follows from them.
    pub outcome: Outcome,
}
