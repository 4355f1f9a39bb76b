//! A tenant's file.

use std::collections::HashSet;
use std::path::Path;

use ackguard::json::{Content, Member, Node, Place};

use super::Rule;
use super::conflicts::Conflicts;
use super::origin::Origin;
use crate::render::build::{members, object, overlaid, text, without};

/// The longest name of a rule, as the policy has it.
const MAX_NAME: usize = 64;
/// The name of the rule that a tenant's `defaults` make.
const DEFAULTS: &str = "defaults";
/// What a tenant's file has.
const FIELDS: [&str; 3] = ["tenant", DEFAULTS, "rules"];

/// What one file says of one tenant.
pub(super) struct Tenant<'s> {
    /// The file.
    pub(super) file: &'s str,
    /// The exact name.
    pub(super) name: String,
    /// Where the name stands, unless it is the file's.
    pub(super) place: Place,
    rules: Vec<Rule<'s>>,
}

impl<'s> Tenant<'s> {
    /// Reads a file's document; tells what it may not say.
    pub(super) fn read(file: &'s str, document: &Node<'s>, conflicts: &mut Conflicts<'s>) -> Option<Self> {
        if !matches!(document.content, Content::Object(_)) {
            conflicts.add(file, document.place, String::new(), "not an object; expected tenant, defaults and rules");
            return None;
        }
        check_fields(file, members(document), conflicts);
        let stem = || Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let (name, place) = match document.member("tenant") {
            None => (stem(), None),
            Some(node) => (node.text().map(str::to_owned), node.place),
        };
        let Some(name) = name.filter(|name| is_exact(name)) else {
            let problem = "not one tenant's exact name; expected letters, digits and -_./:@+";
            conflicts.add(file, place, "tenant".to_owned(), problem);
            return None;
        };
        let mut tenant = Tenant { file, name, place, rules: Vec::new() };
        let defaults = document.member(DEFAULTS);
        if let Some(guards) = defaults {
            tenant.check_defaults(guards, conflicts);
        }
        match document.member("rules").map(|rules| (rules, rules.elements())) {
            None => {}
            Some((_, Some(rules))) => {
                for (index, rule) in rules.iter().enumerate() {
                    tenant.add(index, rule, defaults, conflicts);
                }
            }
            Some((rules, None)) => conflicts.add(file, rules.place, "rules".to_owned(), "not a list"),
        }
        if let Some(guards) = defaults {
            let rule = tenant.rule(DEFAULTS, guards.place, DEFAULTS, None, guards, conflicts);
            tenant.rules.push(Rule { rule, origin: Origin::defaults(file, guards.place) });
        }
        Some(tenant)
    }

    /// The tenant's rules in their order.
    pub(super) fn into_rules(self) -> Vec<Rule<'s>> {
        self.rules
    }

    fn check_defaults(&self, guards: &Node<'s>, conflicts: &mut Conflicts<'s>) {
        if !matches!(guards.content, Content::Object(_)) {
            conflicts.add(self.file, guards.place, DEFAULTS.to_owned(), "not an object");
        }
        for member in members(guards).iter().filter(|member| member.name == "name" || member.name == "match") {
            conflicts.add(self.file, member.place, format!("{DEFAULTS}.{}", member.name), "not a guard");
        }
    }

    /// Adds a rule of the file: what it does not set comes from the file's `defaults`, as it does in a document.
    fn add(&mut self, index: usize, rule: &Node<'s>, defaults: Option<&Node<'s>>, conflicts: &mut Conflicts<'s>) {
        let path = format!("rules[{index}]");
        let Some(name) = rule.member("name").and_then(Node::text) else {
            let problem = "missing; expected a name for headers, logs and metrics";
            conflicts.add(self.file, rule.place, format!("{path}.name"), problem);
            return;
        };
        let matched = rule.member("match");
        if let Some(fields) = matched.filter(|fields| !matches!(fields.content, Content::Object(_))) {
            conflicts.add(self.file, fields.place, format!("{path}.match"), "not an object");
            return;
        }
        let tenant = matched.and_then(|fields| fields.member("tenant"));
        if let Some(other) = tenant.filter(|tenant| tenant.text() != Some(self.name.as_str())) {
            let problem = format!("another tenant than \"{}\", whose file this is", self.name);
            conflicts.add(self.file, other.place, format!("{path}.match.tenant"), problem);
        }
        let guards = without(rule, &["name", "match"]);
        let guards = match defaults {
            Some(defaults) => overlaid(defaults.clone(), &guards),
            None => guards,
        };
        let merged = self.rule(&path, rule.place, name, matched, &guards, conflicts);
        self.rules.push(Rule { rule: merged, origin: Origin::over_defaults(self.file, index, rule.clone()) });
    }

    /// A rule of the merged document.
    fn rule(
        &self,
        path: &str,
        place: Place,
        name: &str,
        matched: Option<&Node<'s>>,
        guards: &Node<'s>,
        conflicts: &mut Conflicts<'s>,
    ) -> Node<'s> {
        let name = format!("{}/{name}", self.name);
        if name.len() > MAX_NAME {
            let problem = format!("the name \"{name}\" has {} bytes; expected at most {MAX_NAME}", name.len());
            conflicts.add(self.file, place, path.to_owned(), problem);
        }
        let mut fields = object([("tenant", text(self.name.clone()))]);
        let mut rule = object([("name", Node { place, ..text(name) })]);
        if let (Content::Object(fields), Some(matched)) = (&mut fields.content, matched) {
            fields.extend(members(&without(matched, &["tenant"])).iter().cloned());
        }
        if let Content::Object(rule) = &mut rule.content {
            rule.push(Member { name: "match".into(), place, node: fields });
            rule.extend(members(guards).iter().cloned());
        }
        Node { place, ..rule }
    }
}

/// Fields that a tenant's file may not have, and those that it has twice.
fn check_fields<'s>(file: &str, members: &[Member<'s>], conflicts: &mut Conflicts<'s>) {
    let mut seen = HashSet::new();
    for member in members {
        let name = member.name.as_ref();
        if !FIELDS.contains(&name) {
            let problem = "not of a tenant's file, which has tenant, defaults and rules";
            conflicts.add(file, member.place, name.to_owned(), problem);
        } else if !seen.insert(name) {
            conflicts.add(file, member.place, name.to_owned(), "stands more than once");
        }
    }
}

/// Whether a name can begin a rule's name, and is no pattern, which would match other tenants.
fn is_exact(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@+".contains(&byte))
}
