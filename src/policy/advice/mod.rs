//! What a document may say and is better not said: legal, in force, and likely not what its author wants.
//!
//! Pure, like the compiler: a document and the policy that it compiled to, in; concerns with their places, out. The
//! filter never asks for advice; people do, before they load a policy.

mod concern;
mod filed;
mod glob;
mod limits;
mod order;
mod rollout;
mod settings;

#[cfg(test)]
mod tests;

pub use concern::Concern;

use crate::json::{Node, Place};

use super::Policy;

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The path in the document, such as `rules[0]`.
    pub path: String,
    /// Where in the text it stands, as the tree's maker counts.
    pub place: Place,
    /// What is unwise there.
    pub concern: Concern,
}

/// Everything unwise in `document`, which compiled to `policy`, in the order of its places.
pub fn advise(document: &Node<'_>, policy: &Policy) -> Vec<Advice> {
    let mut found = settings::advise(document, policy);
    found.extend(limits::advise(document, policy));
    found.extend(order::advise(document, policy));
    found.extend(rollout::advise(document, policy));
    found.sort_by_key(|advice| advice.place);
    found
}
