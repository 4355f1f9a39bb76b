//! The rules of a document, and those of a candidate that is merged over it.

use std::collections::HashMap;
use std::rc::Rc;

use crate::hash::HashSet;
use crate::json::Node;
use crate::policy::guard::Guard;
use crate::policy::rules::DEFAULTS;
use crate::policy::section::{Section, Trail};
use crate::policy::{MAX_RULES, Problem, Rule, Rules};

use super::{MODES, dialect, guard};

/// Reads the rules of a document over its `defaults`.
#[inline(never)]
pub(super) fn read(document: &mut Section<'_, '_>, defaults: &Guard) -> Rules {
    let entries = entries(document);
    let mut names = HashSet::with_capacity_and_hasher(entries.len(), Default::default());
    let mut rules = Vec::with_capacity(entries.len());
    for (index, node) in entries.iter().enumerate() {
        if let Some(mut entry) = document.element("rules", index, node) {
            let name = name(&mut entry, &mut names);
            require_match(&mut entry);
            rules.push(rule(name, &mut [&mut entry], defaults));
            entry.close(&guard::UNAVAILABLE);
        }
    }
    Rules::new(rules, Rule::defaults(defaults.clone()))
}

/// The rules of a `candidate` that is merged over a document with the rules `base`: one that has the name of a rule
/// there changes it part by part, in its place; the others come first, in the candidate's order. `defaults` are the
/// candidate's.
#[inline(never)]
pub(super) fn merge(candidate: &mut Section<'_, '_>, base: &[Node<'_>], defaults: &Guard) -> Rules {
    let entries = entries(candidate);
    let mut names = HashSet::with_capacity_and_hasher(entries.len(), Default::default());
    let known: HashSet<&str> = base.iter().filter_map(|node| node.member("name")?.text()).collect();
    let mut rules = Vec::new();
    let mut changes = HashMap::new();
    for (index, node) in entries.iter().enumerate() {
        let Some(mut entry) = candidate.element("rules", index, node) else {
            continue;
        };
        let name = name(&mut entry, &mut names);
        if known.contains(name) {
            changes.insert(name, (index, node));
            // For its own faults; what it comes to is seen when it stands over the rule that it changes.
            layered(name, &mut [&mut entry], defaults);
        } else {
            require_match(&mut entry);
            rules.push(rule(name, &mut [&mut entry], defaults));
        }
        entry.close(&guard::UNAVAILABLE);
    }
    if candidate.any_faults() {
        // Each would be told a second time.
        return Rules::new(rules, Rule::defaults(defaults.clone()));
    }
    for (index, node) in base.iter().enumerate() {
        let trail = Trail::Element(&Trail::Root, "rollout.candidate over rules", index);
        let Some(mut entry) = candidate.elsewhere(trail, node) else {
            continue;
        };
        let name = entry.text("name").unwrap_or_default();
        let change = changes.get(name).and_then(|(index, node)| candidate.element("rules", *index, node));
        rules.push(match change {
            Some(mut change) => rule(name, &mut [&mut entry, &mut change], defaults),
            None => rule(name, &mut [&mut entry], defaults),
        });
    }
    if rules.len() > MAX_RULES {
        candidate.fault("rules", Problem::TooMany { count: rules.len(), what: "rules when merged", most: MAX_RULES });
    }
    Rules::new(rules, Rule::defaults(defaults.clone()))
}

fn entries<'n>(section: &mut Section<'n, '_>) -> &'n [Node<'n>] {
    section.short_list("rules", "rules", MAX_RULES).unwrap_or_default()
}

/// The name of a rule; a fault where it has none of its own.
#[inline(never)]
fn name<'n>(entry: &mut Section<'n, '_>, names: &mut HashSet<&'n str>) -> &'n str {
    entry.require("name", "a name for headers, logs and metrics");
    let name = entry.label("name").unwrap_or_default();
    if name == DEFAULTS {
        entry.fault("name", Problem::Reserved { name: name.to_owned() });
    } else if !name.is_empty() && !names.insert(name) {
        entry.fault("name", Problem::Taken { name: name.to_owned(), by: "an earlier rule" });
    }
    name
}

fn require_match(entry: &mut Section<'_, '_>) {
    entry.require("match", "some of tenant, topic, group and dialect");
}

/// The rule that these sections make, each over the ones before it, and all over `defaults`; its bounds are checked.
#[inline(never)]
fn rule(name: &str, layers: &mut [&mut Section<'_, '_>], defaults: &Guard) -> Rule {
    let rule = layered(name, layers, defaults);
    guard::check_bounds(layers, &rule.guard);
    rule
}

fn layered(name: &str, layers: &mut [&mut Section<'_, '_>], defaults: &Guard) -> Rule {
    let mut rule = Rule::defaults(defaults.clone());
    rule.name = Rc::from(name);
    for entry in layers {
        entry.choice("mode", &MODES, &mut rule.mode);
        if let Some(mut fields) = entry.section("match") {
            for (field, slot) in [("tenant", &mut rule.tenant), ("topic", &mut rule.topic), ("group", &mut rule.group)]
            {
                if let Some(pattern) = fields.pattern(field) {
                    *slot = pattern;
                }
            }
            rule.dialect = dialect(&mut fields).or(rule.dialect);
            fields.close(&[]);
        }
        guard::read(entry, &mut rule.guard);
    }
    rule
}
