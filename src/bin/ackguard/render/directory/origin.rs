//! Where a rule of the merged document comes from.

use std::fmt;

use super::BASE;
use crate::render::tree::Tree;

/// A rule's file and its path there, such as `rules[0]`.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) file: String,
    pub(super) path: String,
    /// What the rule sets itself, where the rest of it comes from its file's `defaults`.
    own: Option<Tree>,
}

impl Origin {
    /// A rule that stands as it is at an index of its file's `rules`.
    pub(super) fn rule(file: &str, index: usize) -> Origin {
        Origin { file: file.to_owned(), path: format!("rules[{index}]"), own: None }
    }

    /// The same where the file's `defaults` lie under the rule.
    pub(super) fn over_defaults(file: &str, index: usize, own: Tree) -> Origin {
        Origin { own: Some(own), ..Origin::rule(file, index) }
    }

    /// The rule that a file's `defaults` make.
    pub(super) fn defaults(file: &str) -> Origin {
        Origin { file: file.to_owned(), path: "defaults".to_owned(), own: None }
    }

    /// The path in the file of what stands at `rest` (such as `.ack_timeout.min`) of the merged rule.
    fn path_of(&self, rest: &str) -> String {
        let base = match &self.own {
            Some(own) if !rest.is_empty() && !sets(own, rest) => "defaults",
            _ => self.path.as_str(),
        };
        format!("{base}{rest}")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.path, self.file)
    }
}

/// Whether a rule itself has something at a path such as `.ack_timeout.min`.
fn sets(rule: &Tree, path: &str) -> bool {
    let mut names = path.split('.').filter(|name| !name.is_empty());
    names.try_fold(rule, |node, name| node.get(name)).is_some()
}

/// The file that a path of the merged document stands in, and what the path is there.
pub(super) fn attribute(path: &str, origins: &[Origin]) -> (String, String) {
    let of_rule = path.strip_prefix("rules[").and_then(|rest| rest.split_once(']'));
    let found = of_rule.and_then(|(index, rest)| Some((origins.get(index.parse::<usize>().ok()?)?, rest)));
    match found {
        Some((origin, rest)) => (origin.file.clone(), origin.path_of(rest)),
        None => (BASE.to_owned(), path.to_owned()),
    }
}
