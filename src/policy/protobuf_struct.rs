//! Reads a `google.protobuf.Struct` in its binary form.
//!
//! A policy that stands as YAML in Envoy's configuration reaches the plugin so (Envoy 1.40 hands over the bytes of
//! whatever message the configuration holds). A Struct is unordered: members are put in the order of their names, so
//! that every worker tells the same faults in the same order.

use crate::json::{MAX_DEPTH, Node};

/// The wire types that a Struct is made of.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;

/// The document that `bytes` hold. `None` where they are no Struct: JSON begins with `{` or whitespace, and what of
/// that could be a Struct's first byte is never followed by a whole one.
pub(super) fn read(bytes: &[u8]) -> Option<Node> {
    if bytes.is_empty() { None } else { structure(bytes, 0) }
}

fn structure(bytes: &[u8], depth: u32) -> Option<Node> {
    let mut members = Vec::new();
    for field in fields(bytes) {
        match field? {
            (1, Content::Bytes(entry)) => members.push(member(entry, depth)?),
            _ => return None,
        }
    }
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    Some(Node::Object(members))
}

fn member(bytes: &[u8], depth: u32) -> Option<(String, Node)> {
    let mut name = String::new();
    let mut node = Node::Null;
    for field in fields(bytes) {
        match field? {
            (1, Content::Bytes(text)) => name = String::from_utf8(text.to_vec()).ok()?,
            (2, Content::Bytes(inner)) => node = value(inner, depth)?,
            _ => return None,
        }
    }
    Some((name, node))
}

fn value(bytes: &[u8], depth: u32) -> Option<Node> {
    if depth >= MAX_DEPTH {
        return None;
    }
    let mut node = Node::Null;
    for field in fields(bytes) {
        node = match field? {
            (1, Content::Varint(_)) => Node::Null,
            (2, Content::Fixed64(bits)) => Node::Number(f64::from_bits(bits).to_string()),
            (3, Content::Bytes(text)) => Node::String(String::from_utf8(text.to_vec()).ok()?),
            (4, Content::Varint(flag)) => Node::Bool(flag != 0),
            (5, Content::Bytes(inner)) => structure(inner, depth + 1)?,
            (6, Content::Bytes(inner)) => list(inner, depth + 1)?,
            _ => return None,
        };
    }
    Some(node)
}

fn list(bytes: &[u8], depth: u32) -> Option<Node> {
    let mut elements = Vec::new();
    for field in fields(bytes) {
        match field? {
            (1, Content::Bytes(inner)) => elements.push(value(inner, depth)?),
            _ => return None,
        }
    }
    Some(Node::Array(elements))
}

enum Content<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers; a last `None` where the bytes are no message.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = Option<(u64, Content<'_>)>> {
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_none() {
            rest = &[];
        }
        Some(field)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Content<'a>)> {
    let tag = varint(rest)?;
    let content = match tag & 7 {
        VARINT => Content::Varint(varint(rest)?),
        FIXED64 => {
            let (bits, after) = rest.split_first_chunk()?;
            *rest = after;
            Content::Fixed64(u64::from_le_bytes(*bits))
        }
        LENGTH => {
            let length = usize::try_from(varint(rest)?).ok()?;
            let (bytes, after) = rest.split_at_checked(length)?;
            *rest = after;
            Content::Bytes(bytes)
        }
        _ => return None,
    };
    Some((tag >> 3, content))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of `number` that holds `bytes`.
    fn nested(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length > 0x7F {
            out.push((length & 0x7F) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(bytes);
        out
    }

    fn entry(name: &str, value: &[u8]) -> Vec<u8> {
        nested(1, &[nested(1, name.as_bytes()), nested(2, value)].concat())
    }

    fn number(number: f64) -> Vec<u8> {
        [&[0x11], number.to_le_bytes().as_slice()].concat()
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let list = [nested(1, &number(1.5)), nested(1, &[0x20, 0])].concat();
        let long = "x".repeat(300);
        let document = [
            entry("text", &nested(3, long.as_bytes())),
            entry("null", &[0x08, 0]),
            entry("count", &number(3.0)),
            entry("flag", &[0x20, 1]),
            entry("inner", &nested(5, &entry("a", &nested(6, &list)))),
            entry("unset", &[]),
        ]
        .concat();
        let list = Node::Array(vec![Node::Number("1.5".to_owned()), Node::Bool(false)]);
        let members = [
            ("count", Node::Number("3".to_owned())),
            ("flag", Node::Bool(true)),
            ("inner", Node::Object(vec![("a".to_owned(), list)])),
            ("null", Node::Null),
            ("text", Node::String(long)),
            ("unset", Node::Null),
        ];
        let members = members.into_iter().map(|(name, node)| (name.to_owned(), node)).collect();
        assert_eq!(read(&document), Some(Node::Object(members)));
    }

    #[test]
    fn json_and_broken_messages_are_no_struct() {
        let whole = entry("text", &nested(3, b"orders"));
        let cases: [&[u8]; 8] = [
            b"",
            b"{}",
            b"\n{\n\"apiVersion\":\"ackguard/v1\"}",
            b"\n\n{}",
            b" {}",
            &whole[..whole.len() - 1],
            &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
            &[0x0A, 0x80],
        ];
        for bytes in cases {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let mut value = number(1.0);
        for _ in 0..200 {
            value = nested(5, &entry("a", &value));
        }
        assert_eq!(read(&entry("a", &value)), None);
    }
}
