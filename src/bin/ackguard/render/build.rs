//! Builds and writes documents. What is rendered reads as its writer wrote it: in the same order.

use std::borrow::Cow;

use ackguard::json::{Content, Member, Node};
use serde::ser::{Serialize, Serializer};

/// A text.
pub(super) fn text<'t>(text: impl Into<Cow<'t, str>>) -> Node<'t> {
    node(Content::String(text.into()))
}

/// A switch.
pub(super) fn flag<'t>(flag: bool) -> Node<'t> {
    node(Content::Bool(flag))
}

/// A list.
pub(super) fn list<'t>(elements: impl Into<Vec<Node<'t>>>) -> Node<'t> {
    node(Content::Array(elements.into()))
}

/// An object of these members.
pub(super) fn object<'t, N: Into<Cow<'t, str>>>(members: impl IntoIterator<Item = (N, Node<'t>)>) -> Node<'t> {
    let member = |(name, node): (N, Node<'t>)| Member { name: name.into(), place: None, node };
    node(Content::Object(members.into_iter().map(member).collect()))
}

fn node(content: Content<'_>) -> Node<'_> {
    Node { place: None, content }
}

/// The members of an object; of anything else, none.
pub(super) fn members<'n, 't>(node: &'n Node<'t>) -> &'n [Member<'t>] {
    match &node.content {
        Content::Object(members) => members,
        _ => &[],
    }
}

/// An object without what stands in it under these names.
pub(super) fn without<'t>(node: &Node<'t>, names: &[&str]) -> Node<'t> {
    let members = members(node).iter().filter(|member| !names.contains(&member.name.as_ref())).cloned().collect();
    Node { place: node.place, content: Content::Object(members) }
}

/// `under` with `over` laid on it: objects part by part, everything else as a whole.
pub(super) fn overlaid<'t>(mut under: Node<'t>, over: &Node<'t>) -> Node<'t> {
    let (Content::Object(members), Content::Object(others)) = (&mut under.content, &over.content) else {
        return over.clone();
    };
    // A name that stands twice stays twice, for the policy's own fault.
    let mut below: Vec<Option<usize>> = (0..members.len()).map(Some).collect();
    for other in others {
        let found = below
            .iter_mut()
            .find_map(|at| at.take_if(|at| members.get(*at).is_some_and(|member| member.name == other.name)));
        match found.and_then(|at| members.get_mut(at)) {
            Some(member) => {
                let under = std::mem::replace(&mut member.node, node(Content::Null));
                *member = Member { node: overlaid(under, &other.node), ..other.clone() };
            }
            None => members.push(other.clone()),
        }
    }
    under
}

/// A document, to be written as YAML or JSON.
pub(super) struct Written<'n, 't>(pub(super) &'n Node<'t>);

impl Serialize for Written<'_, '_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match &self.0.content {
            Content::Null => out.serialize_unit(),
            Content::Bool(flag) => out.serialize_bool(*flag),
            Content::Number(number) => match (number.parse::<i64>(), number.parse::<f64>()) {
                (Ok(number), _) => out.serialize_i64(number),
                (_, Ok(number)) => out.serialize_f64(number),
                _ => out.serialize_str(number),
            },
            Content::String(text) => out.serialize_str(text),
            Content::Array(elements) => out.collect_seq(elements.iter().map(Written)),
            Content::Object(members) => {
                out.collect_map(members.iter().map(|member| (&member.name, Written(&member.node))))
            }
        }
    }
}
