//! A JSON document as a tree, for documents that are read once and whole.

use super::reader::{Kind, Malformed, Reader};
use super::text;

/// A value with what is in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it is written.
    Number(String),
    /// A string, its escapes read.
    String(String),
    /// An array's elements.
    Array(Vec<Node>),
    /// An object's members in their order. A name that stands twice is here twice.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// Reads a whole document.
    pub fn parse(bytes: &[u8]) -> Result<Node, Malformed> {
        let mut reader = Reader::new(bytes)?;
        let node = Node::read(&mut reader)?;
        reader.end()?;
        Ok(node)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Node, Malformed> {
        match reader.peek_kind()? {
            Kind::Object => {
                let mut members = Vec::new();
                reader.members(|reader, key| {
                    let name = key.name().ok_or_else(|| not_text(reader))?;
                    members.push((name, Node::read(reader)?));
                    Ok(())
                })?;
                Ok(Node::Object(members))
            }
            Kind::Array => {
                let mut elements = Vec::new();
                reader.elements(|reader| {
                    elements.push(Node::read(reader)?);
                    Ok(())
                })?;
                Ok(Node::Array(elements))
            }
            Kind::Null | Kind::Bool | Kind::Number | Kind::String => Node::scalar(reader),
        }
    }

    fn scalar(reader: &mut Reader<'_>) -> Result<Node, Malformed> {
        let value = reader.value()?;
        let raw = reader.slice(&value.span);
        Ok(match value.kind {
            Kind::Bool => Node::Bool(raw == "true"),
            Kind::Number => Node::Number(raw.to_owned()),
            Kind::String => {
                let plain = text::unquote(raw).ok_or_else(|| not_text(reader))?;
                Node::String(plain.into_owned())
            }
            Kind::Null | Kind::Array | Kind::Object => Node::Null,
        })
    }
}

fn not_text(reader: &Reader<'_>) -> Malformed {
    Malformed { at: reader.at(), expected: "whole surrogate pairs" }
}
