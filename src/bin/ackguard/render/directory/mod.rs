//! A directory of policies, one file a tenant, as one document.
//!
//! `base.yaml` is the document but for its tenants. Of each other file the tenant's rules come first, in the order of
//! the files' names, then those of `base.yaml`. What cannot be merged, and what the merged policy is refused for, is told
//! by the file that it stands in.

mod conflicts;
mod origin;
mod tenant;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ackguard::json::{Content, Member, Node};
use ackguard::policy::{MAX_RULES, Policy};

use super::build::{Written, list};
use super::refusal::Refusal;
use crate::document;
use crate::source::Source;
use conflicts::Conflicts;
use origin::Origin;
use tenant::Tenant;

const BASE: &str = "base.yaml";
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// The files of a directory, by name.
pub(super) struct Directory {
    path: PathBuf,
    files: BTreeMap<String, Source>,
}

/// A rule of the merged document.
struct Rule<'s> {
    rule: Node<'s>,
    origin: Origin<'s>,
}

impl Directory {
    /// Reads the documents. Hidden files are left out: editors keep theirs so, and Kubernetes its links.
    ///
    /// # Errors
    /// The directory or file that cannot be read, and why.
    pub(super) fn read(path: &Path) -> Result<Directory, (PathBuf, io::Error)> {
        let unreadable = |fault| (path.to_owned(), fault);
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let chosen = Path::new(&name).extension().is_some_and(|one| EXTENSIONS.iter().any(|known| one == *known));
            if chosen && !name.starts_with('.') && !file.is_dir() {
                let source = Source::read(&file).map_err(|fault| (file, fault))?;
                files.insert(name, source);
            }
        }
        // It need not be there, to be told of by its name.
        let base = path.join(BASE).display().to_string();
        files.entry(BASE.to_owned()).or_insert_with(|| Source::new(base, String::new()));
        Ok(Directory { path: path.to_owned(), files })
    }

    /// Merges and compiles them.
    ///
    /// # Errors
    /// Every conflict, by file; or every fault of the merged policy, by file.
    pub(super) fn merge(&self) -> Result<(Node<'_>, Policy), Refusal> {
        let mut conflicts = Conflicts::new(self);
        let (base, mut rules) = self.parts(&mut conflicts);
        let base = match base {
            Some(base) if conflicts.is_empty() => base,
            _ => return Err(conflicts.refusal()),
        };
        let (nodes, origins): (Vec<Node<'_>>, Vec<Origin<'_>>) =
            rules.drain(..).map(|rule| (rule.rule, rule.origin)).unzip();
        let document = with_rules(base, nodes);
        if let Err(faults) = Policy::compile(&document) {
            for fault in faults.told() {
                conflicts.fault(fault, &origins);
            }
            return Err(conflicts.refusal_of(&faults));
        }
        // What the filter reads is the merged document as JSON, which may be too large.
        let json = serde_json::to_vec(&Written(&document)).map_err(|error| Refusal::unwritten(&error))?;
        match Policy::parse(&json) {
            Ok(policy) => Ok((document, policy)),
            Err(faults) => {
                for fault in faults.told() {
                    conflicts.add(BASE, None, String::new(), format!("with all tenants' files: {}", fault.problem));
                }
                Err(conflicts.refusal())
            }
        }
    }

    /// The document of `base.yaml`, and all rules in their order.
    fn parts<'s>(&'s self, conflicts: &mut Conflicts<'s>) -> (Option<Node<'s>>, Vec<Rule<'s>>) {
        let mut base = None;
        let mut tenants: Vec<Tenant<'s>> = Vec::new();
        for (file, source) in &self.files {
            let document = match document::tree(source) {
                Ok(document) => document,
                Err(fault) => {
                    conflicts.unreadable(file, fault);
                    continue;
                }
            };
            if file != BASE {
                let Some(tenant) = Tenant::read(file, &document, conflicts) else { continue };
                if let Some(earlier) = tenants.iter().find(|earlier| earlier.name == tenant.name) {
                    let problem = format!("\"{}\" has a file already: {}", tenant.name, earlier.file);
                    conflicts.add(file, tenant.place, "tenant".to_owned(), problem);
                }
                tenants.push(tenant);
            } else if matches!(document.content, Content::Object(_)) {
                base = Some(document);
            } else {
                let missing = source.text().is_empty();
                let problem = if missing { "missing" } else { "not an object" };
                let problem = format!("{problem}; expected the whole policy but for its tenants' parts");
                conflicts.add(file, None, String::new(), problem);
            }
        }
        let mut rules: Vec<Rule<'s>> = tenants.into_iter().flat_map(Tenant::into_rules).collect();
        let own = base.as_ref().and_then(|base| base.member("rules")).and_then(Node::elements).unwrap_or_default();
        rules.extend(
            own.iter()
                .enumerate()
                .map(|(index, rule)| Rule { rule: rule.clone(), origin: Origin::rule(BASE, index, rule.place) }),
        );
        check_rules(&rules, conflicts);
        (base, rules)
    }
}

/// Two rules of one name, which may stand in two files, and more rules than a policy may have.
fn check_rules<'s>(rules: &[Rule<'s>], conflicts: &mut Conflicts<'s>) {
    let mut seen: BTreeMap<&str, &Origin<'_>> = BTreeMap::new();
    for Rule { rule, origin } in rules {
        let Some(name) = rule.member("name").and_then(Node::text) else { continue };
        match seen.get(name) {
            Some(earlier) => {
                let problem = format!("\"{name}\" is the name of {earlier} already");
                conflicts.add(origin.file, origin.place, origin.path.clone(), problem);
            }
            None => {
                seen.insert(name, origin);
            }
        }
    }
    if rules.len() > MAX_RULES {
        let problem = format!("{} with all tenants' files; expected at most {MAX_RULES}", rules.len());
        conflicts.add(BASE, None, "rules".to_owned(), problem);
    }
}

/// The document with these rules in place of its own. What is no list stays, for the policy's own fault.
fn with_rules<'s>(mut document: Node<'s>, rules: Vec<Node<'s>>) -> Node<'s> {
    if let Content::Object(members) = &mut document.content {
        match members.iter_mut().find(|member| member.name == "rules") {
            Some(Member { node: Node { content: content @ Content::Array(_), .. }, .. }) => {
                *content = Content::Array(rules);
            }
            Some(_) => {}
            None => members.push(Member { name: "rules".into(), place: None, node: list(rules) }),
        }
    }
    document
}
