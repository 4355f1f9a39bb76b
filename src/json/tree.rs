//! A document as a tree, for documents that are read once and whole. Text that needs no unescaping is borrowed.

use std::borrow::Cow;

use super::reader::{Kind, Malformed, Reader};
use super::text;

/// Where something stands: a byte offset in its text. None where there is no text, as in a `google.protobuf.Struct`.
pub type Place = Option<usize>;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'t> {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub content: Content<'t>,
}

/// A value with what is in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Content<'t> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it is written.
    Number(Cow<'t, str>),
    /// A string, its escapes read.
    String(Cow<'t, str>),
    /// An array's elements.
    Array(Vec<Node<'t>>),
    /// An object's members in their order. A name that stands twice is here twice.
    Object(Vec<Member<'t>>),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Member<'t> {
    /// Its name, escapes read.
    pub name: Cow<'t, str>,
    /// Where the name begins.
    pub place: Place,
    /// Its value.
    pub node: Node<'t>,
}

impl<'t> Node<'t> {
    /// Reads a whole document of JSON.
    ///
    /// # Errors
    /// Where it stops being JSON.
    pub fn parse(bytes: &'t [u8]) -> Result<Node<'t>, Malformed> {
        let mut reader = Reader::new(bytes)?;
        let node = Node::read(&mut reader)?;
        reader.end()?;
        Ok(node)
    }

    fn read(reader: &mut Reader<'t>) -> Result<Node<'t>, Malformed> {
        let kind = reader.peek_kind()?;
        let place = Some(reader.at());
        let content = match kind {
            Kind::Object => {
                let mut members = Vec::new();
                reader.members(|reader, key| {
                    let name = key.name().ok_or_else(|| not_text(reader))?;
                    let place = Some(key.at());
                    members.push(Member { name, place, node: Node::read(reader)? });
                    Ok(())
                })?;
                Content::Object(members)
            }
            Kind::Array => {
                let mut elements = Vec::new();
                reader.elements(|reader| {
                    elements.push(Node::read(reader)?);
                    Ok(())
                })?;
                Content::Array(elements)
            }
            Kind::Null | Kind::Bool | Kind::Number | Kind::String => scalar(reader)?,
        };
        Ok(Node { place, content })
    }

    /// The value of a member, where this is an object that has one of this name. The first, where it has several.
    pub fn member(&self, name: &str) -> Option<&Node<'t>> {
        match &self.content {
            Content::Object(members) => members.iter().find(|member| member.name == name).map(|member| &member.node),
            _ => None,
        }
    }

    /// The elements, where this is an array.
    pub fn elements(&self) -> Option<&[Node<'t>]> {
        match &self.content {
            Content::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The text, where this is a string.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::String(text) => Some(text),
            _ => None,
        }
    }
}

fn scalar<'t>(reader: &mut Reader<'t>) -> Result<Content<'t>, Malformed> {
    let value = reader.value()?;
    let raw = reader.slice(&value.span);
    Ok(match value.kind {
        Kind::Bool => Content::Bool(raw == "true"),
        Kind::Number => Content::Number(Cow::Borrowed(raw)),
        Kind::String => Content::String(text::unquote(raw).ok_or_else(|| not_text(reader))?),
        Kind::Null | Kind::Array | Kind::Object => Content::Null,
    })
}

fn not_text(reader: &Reader<'_>) -> Malformed {
    Malformed { at: reader.at(), expected: "whole surrogate pairs" }
}
