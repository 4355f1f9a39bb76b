//! A document as a tree that keeps its order: what is rendered reads as its writer wrote it.

use ackguard::json::{Content, Node};
use serde::ser::{Serialize, Serializer};

/// A value with what is in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// An object of these members.
    pub(super) fn object<const N: usize>(members: [(&str, Tree); N]) -> Tree {
        Tree::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// The member `name` of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Tree> {
        let (_, value) = self.members().iter().find(|(member, _)| member == name)?;
        Some(value)
    }

    /// The members of an object; of anything else, none.
    pub(super) fn members(&self) -> &[(String, Tree)] {
        match self {
            Tree::Object(members) => members,
            _ => &[],
        }
    }

    /// Adds a member to an object.
    pub(super) fn push(&mut self, name: &str, value: Tree) {
        if let Tree::Object(members) = self {
            members.push((name.to_owned(), value));
        }
    }

    /// This with `other` laid over it: objects part by part, everything else as a whole.
    pub(super) fn overlaid(mut self, other: &Tree) -> Tree {
        let (Tree::Object(members), Tree::Object(others)) = (&mut self, other) else { return other.clone() };
        for (name, value) in others {
            match members.iter_mut().find(|(member, _)| member == name) {
                Some((_, slot)) => *slot = std::mem::replace(slot, Tree::Null).overlaid(value),
                None => members.push((name.clone(), value.clone())),
            }
        }
        self
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Tree {
        Tree::Text(text.to_owned())
    }
}

impl From<&Node<'_>> for Tree {
    fn from(node: &Node<'_>) -> Tree {
        match &node.content {
            Content::Null => Tree::Null,
            Content::Bool(flag) => Tree::Bool(*flag),
            // A number that is neither is no JSON.
            Content::Number(number) => number
                .parse()
                .map(Tree::Integer)
                .or_else(|_| number.parse().map(Tree::Float))
                .unwrap_or_else(|_| Tree::Text(number.to_string())),
            Content::String(text) => Tree::Text(text.to_string()),
            Content::Array(elements) => Tree::List(elements.iter().map(Tree::from).collect()),
            Content::Object(members) => {
                let member = |member: &ackguard::json::Member<'_>| (member.name.to_string(), Tree::from(&member.node));
                Tree::Object(members.iter().map(member).collect())
            }
        }
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Tree::Null => out.serialize_unit(),
            Tree::Bool(flag) => out.serialize_bool(*flag),
            Tree::Integer(number) => out.serialize_i64(*number),
            Tree::Float(number) => out.serialize_f64(*number),
            Tree::Text(text) => out.serialize_str(text),
            Tree::List(elements) => out.collect_seq(elements),
            Tree::Object(members) => out.collect_map(members.iter().map(|(name, value)| (name, value))),
        }
    }
}
