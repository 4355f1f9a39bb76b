//! What a second policy would do otherwise than the first.

use std::collections::BTreeMap;

use ackguard::telemetry::Decision;

use super::tally::Told;

/// The most kinds of change that are told apart.
const MAX_KINDS: usize = 10_000;
/// How many requests of each kind are shown.
const EXAMPLES: usize = 3;

/// Requests that fare alike: who asks for what, and what each policy makes of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) tenant: String,
    pub(super) operation: String,
    pub(super) before: Fate,
    pub(super) after: Fate,
}

/// What one policy makes of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fate {
    pub(super) rule: String,
    /// The limit that refuses it.
    pub(super) limit: Option<String>,
    pub(super) decision: &'static str,
}

/// One such request.
#[derive(Clone, Debug)]
pub(super) struct Example {
    /// Its line, or its entry, in the capture.
    pub(super) number: u64,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// How many there are of a kind, and the first of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Cases {
    pub(super) count: u64,
    pub(super) examples: Vec<Example>,
}

/// All changes of a capture.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) kinds: BTreeMap<Kind, Cases>,
    /// How many requests change.
    pub(super) count: u64,
}

impl Changes {
    /// Notes a request if the two policies do not do the same with it. One that no dialect of a policy reads passes.
    pub(super) fn add(&mut self, number: u64, before: Option<&Told>, after: Option<&Told>) {
        let same = match (before, after) {
            (Some(before), Some(after)) => before.decision == after.decision && before.outcome == after.outcome,
            (Some(told), None) | (None, Some(told)) => told.decision == Decision::Pass,
            (None, None) => true,
        };
        let Some(named) = after.or(before).filter(|_| !same) else { return };
        self.count += 1;
        let kind = Kind {
            tenant: named.key.tenant.clone(),
            operation: named.key.operation.clone(),
            before: fate(before),
            after: fate(after),
        };
        if self.kinds.len() >= MAX_KINDS && !self.kinds.contains_key(&kind) {
            return;
        }
        let cases = self.kinds.entry(kind).or_default();
        cases.count += 1;
        if cases.examples.len() < EXAMPLES {
            let header = |told: Option<&Told>| told.and_then(|told| told.header.clone());
            cases.examples.push(Example { number, before: header(before), after: header(after) });
        }
    }
}

fn fate(told: Option<&Told>) -> Fate {
    match told {
        Some(told) => Fate {
            rule: told.key.rule.clone(),
            limit: told.refused_by().map(str::to_owned),
            decision: told.decision.name(),
        },
        None => Fate { rule: String::new(), limit: None, decision: "foreign" },
    }
}
