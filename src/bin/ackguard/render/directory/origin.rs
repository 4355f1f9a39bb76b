//! Where a rule of the merged document comes from.

use std::fmt;

use ackguard::json::{Node, Place};
use ackguard::policy::Fault;

/// A rule's file and its path there, such as `rules[0]`.
#[derive(Clone, Debug)]
pub(super) struct Origin<'s> {
    pub(super) file: &'s str,
    pub(super) path: String,
    pub(super) place: Place,
    /// What the rule sets itself, where the rest of it comes from its file's `defaults`.
    own: Option<Node<'s>>,
}

impl<'s> Origin<'s> {
    /// A rule that stands as it is at an index of its file's `rules`.
    pub(super) fn rule(file: &'s str, index: usize, place: Place) -> Self {
        Origin { file, path: format!("rules[{index}]"), place, own: None }
    }

    /// The same where the file's `defaults` lie under the rule.
    pub(super) fn over_defaults(file: &'s str, index: usize, own: Node<'s>) -> Self {
        let rule = Origin::rule(file, index, own.place);
        Origin { own: Some(own), ..rule }
    }

    /// The rule that a file's `defaults` make.
    pub(super) fn defaults(file: &'s str, place: Place) -> Self {
        Origin { file, path: "defaults".to_owned(), place, own: None }
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

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.path, self.file)
    }
}

/// Whether a rule itself has something at a path such as `.ack_timeout.min`.
fn sets(rule: &Node<'_>, path: &str) -> bool {
    let mut names = path.split('.').filter(|name| !name.is_empty());
    names.try_fold(rule, |node, name| node.member(name)).is_some()
}

/// The file that a fault of the merged document stands in and its path there, where it is a rule's.
pub(super) fn attribute<'o>(fault: &Fault, origins: &'o [Origin<'_>]) -> Option<(&'o str, String)> {
    let (index, rest) = fault.path.strip_prefix("rules[")?.split_once(']')?;
    let origin = origins.get(index.parse::<usize>().ok()?)?;
    Some((origin.file, origin.path_of(rest)))
}
