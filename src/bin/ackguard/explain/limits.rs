//! The limits that a request is asked by.

use ackguard::json::Node;
use ackguard::judgement::{Guarded, Judgement};
use ackguard::limit::bill::Facts;
use ackguard::policy::limit::{Key, Limit, OnError};

use crate::loaded::Loaded;

/// One limit, and what it makes of the request.
pub(super) struct Asking<'e> {
    /// The limit.
    pub(super) limit: &'e Limit,
    /// In which line it stands.
    pub(super) line: Option<usize>,
    /// What the request says of its key; nothing where that is not known.
    pub(super) key: Vec<(Key, Option<&'e str>)>,
    /// What the request costs before it goes on.
    pub(super) cost: u64,
}

/// The limits that are for a request, in the policy's order.
pub(super) fn asking<'e>(
    loaded: &'e Loaded<'e>,
    guarded: &'e Guarded,
    judgement: &'e Judgement<'_>,
) -> Vec<Asking<'e>> {
    let facts = judgement.facts(guarded);
    let nodes = loaded.node.member("limits").and_then(Node::elements).unwrap_or_default();
    let limits = loaded.policy.limits().iter().zip(nodes).filter(|(limit, _)| limit.operations.has(judgement.kind));
    limits
        .map(|(limit, node)| Asking {
            limit,
            line: loaded.line(node.place),
            key: limit.key.iter().map(|key| (*key, known(&facts, *key))).collect(),
            cost: facts.cost(limit.cost),
        })
        .collect()
}

/// What a policy writes for what holds without an answer.
pub(super) fn written(on_error: OnError) -> &'static str {
    match on_error {
        OnError::Allow => "allow",
        OnError::Reject => "reject",
    }
}

fn known<'f>(facts: &Facts<'f>, key: Key) -> Option<&'f str> {
    Some(facts.value(key)).filter(|value| !value.is_empty())
}
