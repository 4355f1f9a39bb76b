//! A document as a tree that keeps its order: what is rendered reads as its writer wrote it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
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

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Tree, D::Error> {
        source.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Tree, E> {
        i64::try_from(number).map(Tree::Integer).map_err(|_| E::custom(format!("{number} is too large")))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = source.next_element()? {
            elements.push(element);
        }
        Ok(Tree::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = source.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}
