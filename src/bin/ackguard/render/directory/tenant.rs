//! A tenant's file.

use std::path::Path;

use super::origin::Origin;
use super::{Conflicts, Rule};
use crate::render::tree::Tree;

/// The longest name of a rule, as the policy has it.
const MAX_NAME: usize = 64;

/// The name of the rule that a tenant's `defaults` make.
const DEFAULTS: &str = "defaults";

/// What one file says of one tenant.
pub(super) struct Tenant {
    /// The file.
    pub(super) file: String,
    /// The exact name.
    pub(super) name: String,
    rules: Vec<Rule>,
}

impl Tenant {
    /// Reads a file's document; tells what it may not say.
    pub(super) fn read(file: &str, document: &Tree, conflicts: &mut Conflicts) -> Option<Tenant> {
        let Tree::Object(members) = document else {
            // One that is no YAML has been told of already.
            if *document != Tree::Null {
                conflicts.add(file, "not an object; expected tenant, defaults and rules");
            }
            return None;
        };
        for (field, _) in members {
            if !["tenant", "defaults", "rules"].contains(&field.as_str()) {
                conflicts.add(file, format!("{field}: not of a tenant's file, which has tenant, defaults and rules"));
            }
        }
        let name = name(file, document, conflicts)?;
        let defaults = match document.get("defaults") {
            None => None,
            Some(Tree::Object(guards)) => {
                for field in ["name", "match"].into_iter().filter(|field| guards.iter().any(|(name, _)| name == field))
                {
                    conflicts.add(file, format!("defaults.{field}: not a guard"));
                }
                document.get("defaults")
            }
            Some(_) => {
                conflicts.add(file, "defaults: not an object");
                None
            }
        };
        let mut tenant = Tenant { file: file.to_owned(), name, rules: Vec::new() };
        let rules: &[Tree] = match document.get("rules") {
            None => &[],
            Some(Tree::List(rules)) => rules,
            Some(_) => {
                conflicts.add(file, "rules: not a list");
                &[]
            }
        };
        for (index, rule) in rules.iter().enumerate() {
            tenant.add(index, rule, defaults, conflicts);
        }
        if let Some(guards) = defaults {
            let rule = tenant.rule(DEFAULTS, DEFAULTS, Vec::new(), guards, conflicts);
            tenant.rules.push(Rule { rule, origin: Origin::defaults(file) });
        }
        Some(tenant)
    }

    /// The tenant's rules in their order.
    pub(super) fn into_rules(self) -> Vec<Rule> {
        self.rules
    }

    /// Adds a rule of the file: what it does not set comes from the file's `defaults`, as it does in a document.
    fn add(&mut self, index: usize, rule: &Tree, defaults: Option<&Tree>, conflicts: &mut Conflicts) {
        let path = format!("rules[{index}]");
        let (Tree::Object(members), Some(Tree::Text(name))) = (rule, rule.get("name")) else {
            conflicts.add(&self.file, format!("{path}.name: missing; expected a name for headers, logs and metrics"));
            return;
        };
        let matched = match rule.get("match") {
            None => Vec::new(),
            Some(Tree::Object(fields)) => fields.clone(),
            Some(_) => {
                conflicts.add(&self.file, format!("{path}.match: not an object"));
                return;
            }
        };
        if matched.iter().any(|(field, value)| field == "tenant" && *value != Tree::Text(self.name.clone())) {
            let problem = format!("{path}.match.tenant: another tenant than \"{}\", whose file this is", self.name);
            conflicts.add(&self.file, problem);
        }
        let matched = matched.into_iter().filter(|(field, _)| field != "tenant").collect();
        let guards = members.iter().filter(|(field, _)| field != "name" && field != "match").cloned().collect();
        let guards = defaults.cloned().unwrap_or(Tree::object([])).overlaid(&Tree::Object(guards));
        let merged = self.rule(&path, name, matched, &guards, conflicts);
        self.rules.push(Rule { rule: merged, origin: Origin::over_defaults(&self.file, index, rule.clone()) });
    }

    /// A rule of the merged document.
    fn rule(
        &self,
        path: &str,
        name: &str,
        matched: Vec<(String, Tree)>,
        guards: &Tree,
        conflicts: &mut Conflicts,
    ) -> Tree {
        let name = format!("{}/{name}", self.name);
        if name.len() > MAX_NAME {
            let problem = format!("{path}: the name \"{name}\" has {} bytes; expected at most {MAX_NAME}", name.len());
            conflicts.add(&self.file, problem);
        }
        let mut fields = vec![("tenant".to_owned(), self.name.as_str().into())];
        fields.extend(matched);
        let mut rule = vec![("name".to_owned(), Tree::Text(name)), ("match".to_owned(), Tree::Object(fields))];
        rule.extend(guards.members().iter().cloned());
        Tree::Object(rule)
    }
}

/// The tenant's exact name, which begins the names of its rules.
fn name(file: &str, document: &Tree, conflicts: &mut Conflicts) -> Option<String> {
    let stem = || Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = match document.get("tenant") {
        None => stem(),
        Some(Tree::Text(name)) => Some(name.clone()),
        Some(_) => None,
    };
    // A pattern would match other tenants.
    let fits = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@+".contains(&byte))
    };
    let found = name.filter(fits);
    if found.is_none() {
        conflicts.add(file, "tenant: expected one tenant's exact name, of letters, digits and -_./:@+");
    }
    found
}
