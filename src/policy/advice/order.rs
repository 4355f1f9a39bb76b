//! Rules and traffic that their order, or their likeness, leaves without effect.

use std::collections::{HashMap, HashSet};

use crate::json::{Node, Place};
use crate::policy::{Mode, Pattern, Policy, Rule, TrafficMatch};

use super::filed::Filed;
use super::{Advice, Concern, glob};

pub(super) fn advise(document: &Node<'_>, policy: &Policy) -> Vec<Advice> {
    let mut found = Vec::new();
    for (index, by) in hidden_traffic(policy.traffic()) {
        let (path, place) = element(document, "traffic", index);
        found.push(Advice { path, place, concern: Concern::HiddenTraffic { by } });
    }
    let set = &policy.current.rules;
    let rules = set.all();
    let (hidden, idle) = (hidden_rules(rules), idle_rules(rules, set.defaults()));
    let name = |index: usize| rules.get(index).map(|rule| rule.name.to_string()).unwrap_or_default();
    for index in 0..rules.len() {
        let concern = match (hidden.get(&index), idle.get(&index)) {
            (Some(by), _) => Concern::HiddenRule { by: name(*by) },
            (None, Some(Some(instead))) => Concern::IdleRule { without: format!("the rule \"{}\"", name(*instead)) },
            (None, Some(None)) => Concern::IdleRule { without: "`defaults`".to_owned() },
            (None, None) => continue,
        };
        let (path, place) = element(document, "rules", index);
        found.push(Advice { path, place, concern });
    }
    if let Some(rollout) = &policy.rollout {
        let known: HashSet<String> = hidden.keys().map(|index| name(*index)).collect();
        found.extend(candidate(document, rollout.candidate.rules.all(), &known));
    }
    found
}

/// The rules that are hidden where the candidate is in force, but for those that are hidden without it, too.
fn candidate(document: &Node<'_>, rules: &[Rule], known: &HashSet<String>) -> Vec<Advice> {
    let name = |index: usize| rules.get(index).map(|rule| rule.name.to_string()).unwrap_or_default();
    let candidate = document.member("rollout").and_then(|rollout| rollout.member("candidate"));
    let mut found = Vec::new();
    for (hidden, by) in hidden_rules(rules) {
        let hidden = name(hidden);
        if known.contains(&hidden) {
            continue;
        }
        let own = candidate.and_then(|node| named(node, &hidden)).map(|place| ("rollout.candidate.rules", place));
        let base = || named(document, &hidden).map(|place| ("rollout.candidate over rules", place));
        if let Some((list, (index, place))) = own.or_else(base) {
            let concern = Concern::HiddenRule { by: name(by) };
            found.push(Advice { path: format!("{list}[{index}]"), place, concern });
        }
    }
    found
}

/// The index and the place of the rule of this name in `set`, a document or a candidate.
fn named(set: &Node<'_>, name: &str) -> Option<(usize, Place)> {
    let rules = set.member("rules").and_then(Node::elements)?.iter();
    let named = |node: &&Node<'_>| node.member("name").and_then(Node::text) == Some(name);
    let (index, node) = rules.enumerate().find(|(_, node)| named(node))?;
    Some((index, node.place))
}

/// The path and the place of one element of a list of the document.
fn element(document: &Node<'_>, list: &str, index: usize) -> (String, Place) {
    let node = document.member(list).and_then(Node::elements).and_then(|elements| elements.get(index));
    (format!("{list}[{index}]"), node.and_then(|node| node.place))
}

/// The entries that fit nothing which an earlier one does not, each with the first such.
fn hidden_traffic(traffic: &[TrafficMatch]) -> Vec<(usize, usize)> {
    let covers = |wide: &Option<Pattern>, narrow: &Option<Pattern>| {
        glob::covers(wide.as_ref().unwrap_or(&Pattern::Any), narrow.as_ref().unwrap_or(&Pattern::Any))
    };
    let hides =
        |one: &TrafficMatch, other: &TrafficMatch| covers(&one.path, &other.path) && covers(&one.host, &other.host);
    let entries = traffic.iter().enumerate();
    entries
        .filter_map(|(index, entry)| {
            let by = traffic.iter().take(index).position(|earlier| hides(earlier, entry))?;
            Some((index, by))
        })
        .collect()
}

/// The rules that never decide, nor are tried, because of an earlier one: each with the first such.
fn hidden_rules(rules: &[Rule]) -> HashMap<usize, usize> {
    let mut earlier = Filed::default();
    let mut hidden = HashMap::new();
    for (index, rule) in rules.iter().enumerate() {
        // What is only tried decides for nobody, but it is tried before the others.
        let hides = |earlier: &Rule| earlier.mode == Mode::Enforce || rule.mode == Mode::Shadow;
        match earlier.first_cover(rule, hides) {
            // What hides this one hides all that it would hide.
            Some(by) => drop(hidden.insert(index, by)),
            None => earlier.add(index, rule),
        }
    }
    hidden
}

/// The rules without which the same requests would be held to the same: each with what would decide instead, a later
/// rule or none for `defaults`.
fn idle_rules(rules: &[Rule], defaults: &Rule) -> HashMap<usize, Option<usize>> {
    let mut classes = HashMap::new();
    let mut class = |rule: &Rule| {
        let next = classes.len();
        // A guard has no order and no hash of its own.
        *classes.entry(format!("{:?}", rule.guard)).or_insert(next)
    };
    let of_defaults = class(defaults);
    let class_of: Vec<usize> = rules.iter().map(&mut class).collect();
    let mut later = Filed::default();
    let mut idle = HashMap::new();
    for (index, (rule, class)) in rules.iter().zip(&class_of).enumerate().rev() {
        if rule.mode == Mode::Shadow {
            continue;
        }
        let instead = later.first_cover(rule, |_| true);
        later.add(index, rule);
        let instead_class = instead.and_then(|instead| class_of.get(instead)).unwrap_or(&of_defaults);
        if instead_class != class {
            continue;
        }
        let between = rules.iter().zip(&class_of).take(instead.unwrap_or(rules.len())).skip(index + 1);
        let differs = |(other, other_class): (&Rule, &usize)| {
            other_class != class && other.mode == Mode::Enforce && !apart(rule, other)
        };
        if !{ between }.any(differs) {
            idle.insert(index, instead);
        }
    }
    idle
}

/// Whether no caller fits both.
fn apart(one: &Rule, other: &Rule) -> bool {
    let dialects = one.dialect.zip(other.dialect).is_some_and(|(one, other)| one != other);
    dialects || one.patterns().into_iter().zip(other.patterns()).any(|(one, other)| glob::apart(one, other))
}
