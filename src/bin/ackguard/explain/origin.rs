//! Where in a policy the value of a guarded field was set.

use ackguard::json::{Node, Place};
use ackguard::policy::Rule;
use ackguard::policy::rollout::Side;

/// A part of the document that may set fields, from the one that counts first to the one that counts last.
struct Layer<'d, 't> {
    name: String,
    node: &'d Node<'t>,
}

/// The parts of a document that a rule's guard was made of.
pub(crate) struct Origins<'d, 't> {
    layers: Vec<Layer<'d, 't>>,
    rule: Place,
}

/// Where one field's value comes from.
pub(crate) struct Origin<'o> {
    /// What set it, as a person says it.
    pub(crate) name: &'o str,
    /// Where it stands.
    pub(crate) place: Place,
}

impl<'d, 't> Origins<'d, 't> {
    /// The origins of `rule` in a document, on a side of its roll-out.
    pub(crate) fn of(document: &'d Node<'t>, rule: &Rule, side: Side) -> Self {
        let candidate = match side {
            Side::Candidate => document.member("rollout").and_then(|rollout| rollout.member("candidate")),
            Side::Current | Side::Tried => None,
        };
        let sets = [candidate.map(|node| ("candidate ", node)), Some(("", document))];
        let mut layers = Vec::new();
        let mut place = None;
        for (of, set) in sets.into_iter().flatten() {
            let rules = set.member("rules").and_then(Node::elements).unwrap_or_default();
            let named = |node: &&Node<'_>| node.member("name").and_then(Node::text) == Some(&rule.name);
            if let Some(node) = rules.iter().find(named) {
                place = place.or(node.place);
                layers.push(Layer { name: format!("{of}rule {}", rule.name), node });
            }
        }
        for (of, set) in sets.into_iter().flatten() {
            if let Some(node) = set.member("defaults") {
                layers.push(Layer { name: format!("{of}defaults"), node });
            }
        }
        let rule = place.or_else(|| layers.first().and_then(|layer| layer.node.place));
        Origins { layers, rule }
    }

    /// Where the rule stands; `defaults` where they decided and are in the document.
    pub(crate) fn rule(&self) -> Place {
        self.rule
    }

    /// What set the field at `path`, such as `ack_timeout.min`.
    pub(crate) fn field(&self, path: &str) -> Origin<'_> {
        let found = self.layers.iter().find_map(|layer| {
            let node = path.split('.').try_fold(layer.node, |node, name| node.member(name))?;
            Some(Origin { name: &layer.name, place: node.place })
        });
        found.unwrap_or(Origin { name: "built in", place: None })
    }
}
