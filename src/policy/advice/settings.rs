//! Settings that let by what the policy is there to stop.

use std::collections::HashMap;

use crate::json::{Content, Node, Place};
use crate::operation::Millis;
use crate::policy::units::{duration, write_duration};
use crate::policy::{Mode, Pattern, Policy, Rule, RuleSet};

use super::{Advice, Concern};

/// The longest lease of SQS, in milliseconds: 12 hours. Only Azure Queue has a longer one.
const LONGEST_LEASE: Millis = Millis(12 * 3_600_000);

pub(super) fn advise(document: &Node<'_>, policy: &Policy) -> Vec<Advice> {
    let mut advisor = Advisor { found: Vec::new(), anonymous: policy.tenant_sources().is_empty() };
    if policy.current.mode == Mode::Shadow {
        advisor.add("mode", document.member("mode"), Concern::Shadow);
    }
    advisor.set("", document, &policy.current);
    if let Some(rollout) = &policy.rollout
        && let Some(node) = document.member("rollout").and_then(|node| node.member("candidate"))
    {
        advisor.set("rollout.candidate.", node, &rollout.candidate);
    }
    advisor.found
}

/// Whether a rule is about one topic or one group, whose dead letters may well have one place.
fn names_one_queue(rule: &Rule) -> bool {
    matches!(rule.topic, Pattern::Exact(_)) || matches!(rule.group, Pattern::Exact(_))
}

struct Advisor {
    found: Vec<Advice>,
    /// Whether nothing tells who a tenant is.
    anonymous: bool,
}

impl Advisor {
    /// The rules that stand in `node`, which compiled to `set`.
    fn set(&mut self, path: &str, node: &Node<'_>, set: &RuleSet) {
        if let Some(defaults) = node.member("defaults") {
            self.guard(&format!("{path}defaults"), defaults, true);
        }
        let compiled: HashMap<&str, &Rule> = set.rules.all().iter().map(|rule| (rule.name.as_ref(), rule)).collect();
        let nodes = node.member("rules").and_then(Node::elements).unwrap_or_default();
        for (index, node) in nodes.iter().enumerate() {
            let Some(rule) = node.member("name").and_then(Node::text).and_then(|name| compiled.get(name)) else {
                continue;
            };
            let path = format!("{path}rules[{index}]");
            let tenant = node.member("match").and_then(|fields| fields.member("tenant"));
            if self.anonymous && tenant.is_some() && rule.tenant != Pattern::Any {
                self.add(&format!("{path}.match.tenant"), tenant, Concern::NoTenantSource);
            }
            self.guard(&path, node, !names_one_queue(rule));
        }
    }

    fn add(&mut self, path: &str, node: Option<&Node<'_>>, concern: Concern) {
        let place: Place = node.and_then(|node| node.place);
        self.found.push(Advice { path: path.to_owned(), place, concern });
    }

    /// What one section sets itself. What it takes from `defaults` is told there.
    fn guard(&mut self, path: &str, section: &Node<'_>, many_queues: bool) {
        let words = [
            ("ack_timeout", "zero", "allow", Concern::ZeroAllowed),
            ("max_attempts", "outside", "allow", Concern::AttemptsAllowed),
            ("dead_letter", "missing", "allow", Concern::DeadLetterMissing),
        ];
        for (object, field, word, concern) in words {
            self.word(&format!("{path}.{object}.{field}"), value(section, object, field), word, concern);
        }
        let auto_ack = section.member("auto_ack");
        self.word(&format!("{path}.auto_ack"), auto_ack, "allow", Concern::AutoAckAllowed);
        let undecidable = section.member("undecidable");
        self.word(&format!("{path}.undecidable"), undecidable, "forward", Concern::UndecidableForwarded);
        let required = value(section, "dead_letter", "required");
        if required.is_some_and(|node| node.content == Content::Bool(false)) {
            self.add(&format!("{path}.dead_letter.required"), required, Concern::DeadLetterOptional);
        }
        let topic = value(section, "dead_letter", "topic");
        if let Some(template) = topic.and_then(Node::text)
            && many_queues
            && !["{topic}", "{group}"].iter().any(|part| template.contains(part))
        {
            let concern = Concern::DeadLetterShared { topic: template.to_owned() };
            self.add(&format!("{path}.dead_letter.topic"), topic, concern);
        }
        let max = value(section, "ack_timeout", "max");
        if let Some(longest) = max.and_then(Node::text).and_then(duration)
            && longest > LONGEST_LEASE
        {
            let concern = Concern::WideAckTimeout { max: write_duration(longest) };
            self.add(&format!("{path}.ack_timeout.max"), max, concern);
        }
    }

    fn word(&mut self, path: &str, node: Option<&Node<'_>>, word: &str, concern: Concern) {
        if node.and_then(Node::text) == Some(word) {
            self.add(path, node, concern);
        }
    }
}

fn value<'n, 't>(section: &'n Node<'t>, object: &str, field: &str) -> Option<&'n Node<'t>> {
    section.member(object)?.member(field)
}
