//! A directory of policies, one file a tenant, as one document.
//!
//! `base.yaml` is the document but for its tenants. Of each other file the tenant's rules come first, in the order of
//! the files' names, then those of `base.yaml`. What cannot be merged, and what the merged policy is refused for, is told
//! by the file that it stands in.

mod origin;
mod tenant;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ackguard::policy::{MAX_RULES, Policy};

use super::Refusal;
use super::read::{self, Unreadable};
use super::tree::Tree;
use origin::{Origin, attribute};
use tenant::Tenant;

const BASE: &str = "base.yaml";
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// A rule of the merged document.
struct Rule {
    rule: Tree,
    origin: Origin,
}

/// What does not fit together: files and problems.
#[derive(Default)]
struct Conflicts(Vec<(String, String)>);

impl Conflicts {
    fn add(&mut self, file: &str, problem: impl std::fmt::Display) {
        self.0.push((file.to_owned(), problem.to_string()));
    }

    /// All of them, once each, by file and then in the order that they were found in; or nothing.
    fn refuse(self, directory: &Path) -> Result<(), Refusal> {
        let mut by_file: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (file, problem) in self.0 {
            let problems = by_file.entry(directory.join(file).display().to_string()).or_default();
            // A fault of a tenant's `defaults` shows in each of its rules.
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        let told = |(file, problems): (String, Vec<String>)| {
            problems.into_iter().map(move |problem| format!("{file}: {problem}")).collect::<Vec<_>>()
        };
        let lines: Vec<String> = by_file.into_iter().flat_map(told).collect();
        if lines.is_empty() { Ok(()) } else { Err(Refusal::Policy(lines)) }
    }
}

/// Merges and compiles the policies of a directory.
pub(super) fn load(directory: &Path) -> Result<(Tree, Policy), Refusal> {
    let mut conflicts = Conflicts::default();
    let files = documents(directory, &mut conflicts)?;
    let (base, tenants) = sort_out(files, &mut conflicts);
    let mut rules: Vec<Rule> = tenants.into_iter().flat_map(Tenant::into_rules).collect();
    let (document, own) = base_rules(base);
    rules.extend(own);
    check_names(&rules, &mut conflicts);
    if rules.len() > MAX_RULES {
        conflicts.add(BASE, format!("{} rules with all tenants' files; expected at most {MAX_RULES}", rules.len()));
    }
    conflicts.refuse(directory)?;

    let (list, origins): (Vec<Tree>, Vec<Origin>) = rules.into_iter().map(|rule| (rule.rule, rule.origin)).unzip();
    let document = with_rules(document, list);
    let json = serde_json::to_vec(&document).map_err(|error| Refusal::Form(error.to_string()))?;
    match Policy::parse(&json) {
        Ok(policy) => Ok((document, policy)),
        Err(faults) => {
            let mut told = Conflicts::default();
            for fault in faults.told() {
                let (file, path) = attribute(&fault.path, &origins);
                let colon = if path.is_empty() { "" } else { ": " };
                told.add(&file, format!("{path}{colon}{}", fault.problem));
            }
            told.refuse(directory)?;
            Err(Refusal::Form("the merged policy is refused".to_owned()))
        }
    }
}

/// The documents by their files' names. Hidden files are left out: editors keep theirs so, and Kubernetes its links.
fn documents(directory: &Path, conflicts: &mut Conflicts) -> Result<BTreeMap<String, Tree>, Refusal> {
    let unreadable = |path: &Path, error| Refusal::File(path.to_owned(), error);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(|error| unreadable(directory, error))? {
        let path = entry.map_err(|error| unreadable(directory, error))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned());
        let chosen = extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()));
        if !chosen || name.starts_with('.') || path.is_dir() {
            continue;
        }
        match read::read(&path) {
            Ok(read) => {
                found.insert(name, read.tree);
            }
            Err(Unreadable::Syntax(problem)) => {
                conflicts.add(&name, problem);
                // Its place is kept, so that a broken base.yaml is not missed besides.
                found.insert(name, Tree::Null);
            }
            Err(Unreadable::File(error)) => return Err(unreadable(&path, error)),
        }
    }
    Ok(found)
}

/// `base.yaml`, and the tenants in the order of their files.
fn sort_out(mut files: BTreeMap<String, Tree>, conflicts: &mut Conflicts) -> (Tree, Vec<Tenant>) {
    let base = files.remove(BASE);
    match &base {
        None => conflicts.add(BASE, "missing; expected the whole policy but for its tenants' parts"),
        // One that is no YAML has been told of already.
        Some(Tree::Object(_) | Tree::Null) => {}
        Some(_) => conflicts.add(BASE, "not an object"),
    }
    let mut tenants: Vec<Tenant> = Vec::new();
    for (file, document) in files {
        let Some(tenant) = Tenant::read(&file, &document, conflicts) else { continue };
        if let Some(earlier) = tenants.iter().find(|earlier| earlier.name == tenant.name) {
            conflicts.add(&file, format!("tenant \"{}\" has a file already: {}", tenant.name, earlier.file));
        }
        tenants.push(tenant);
    }
    (base.unwrap_or(Tree::Null), tenants)
}

/// The document of `base.yaml`, and its rules with their places.
fn base_rules(base: Tree) -> (Tree, Vec<Rule>) {
    let rules = match base.get("rules") {
        Some(Tree::List(rules)) => rules.clone(),
        _ => Vec::new(),
    };
    let rules =
        rules.into_iter().enumerate().map(|(index, rule)| Rule { rule, origin: Origin::rule(BASE, index) }).collect();
    (base, rules)
}

/// Two rules of one name, which may stand in two files.
fn check_names(rules: &[Rule], conflicts: &mut Conflicts) {
    let mut seen: BTreeMap<&str, &Origin> = BTreeMap::new();
    for Rule { rule, origin } in rules {
        let Some(Tree::Text(name)) = rule.get("name") else { continue };
        match seen.get(name.as_str()) {
            Some(earlier) => {
                conflicts.add(&origin.file, format!("{}: \"{name}\" is the name of {earlier} already", origin.path));
            }
            None => {
                seen.insert(name, origin);
            }
        }
    }
}

/// The document with these rules in place of its own. What is no list stays, for the policy's own fault.
fn with_rules(document: Tree, rules: Vec<Tree>) -> Tree {
    let Tree::Object(mut members) = document else { return document };
    match members.iter_mut().find(|(name, _)| name == "rules") {
        Some((_, slot @ Tree::List(_))) => *slot = Tree::List(rules),
        Some(_) => {}
        None => members.push(("rules".to_owned(), Tree::List(rules))),
    }
    Tree::Object(members)
}
