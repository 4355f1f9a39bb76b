//! Reads a `google.protobuf.Struct` in its binary form.
//!
//! A policy that stands as YAML in Envoy's configuration reaches the plugin so (Envoy 1.40 hands over the bytes of
//! whatever message the configuration holds). A Struct is unordered: members are put in the order of their names, so
//! that every worker tells the same faults in the same order.

use std::borrow::Cow;

use crate::json::{Content, MAX_DEPTH, Member, Node};
use crate::order::ordered;

/// The wire types that a Struct is made of.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;

/// The document that `bytes` hold. `None` where they are no Struct: JSON begins with `{` or whitespace, and what of
/// that could be a Struct's first byte is never followed by a whole one.
pub(super) fn read(bytes: &[u8]) -> Option<Node<'_>> {
    if bytes.is_empty() { None } else { structure(bytes, 0) }
}

fn structure(bytes: &[u8], depth: u32) -> Option<Node<'_>> {
    let mut members = Vec::new();
    for field in fields(bytes) {
        match field? {
            (1, Wire::Bytes(entry)) => members.push(member(entry, depth)?),
            _ => return None,
        }
    }
    let members = ordered(members, |one: &Member<'_>, other| one.name.cmp(&other.name));
    Some(placeless(Content::Object(members)))
}

fn member(bytes: &[u8], depth: u32) -> Option<Member<'_>> {
    let mut name = "";
    let mut node = placeless(Content::Null);
    for field in fields(bytes) {
        match field? {
            (1, Wire::Bytes(text)) => name = core::str::from_utf8(text).ok()?,
            (2, Wire::Bytes(inner)) => node = value(inner, depth)?,
            _ => return None,
        }
    }
    Some(Member { name: Cow::Borrowed(name), place: None, node })
}

fn value(bytes: &[u8], depth: u32) -> Option<Node<'_>> {
    if depth >= MAX_DEPTH {
        return None;
    }
    let mut node = placeless(Content::Null);
    for field in fields(bytes) {
        node = match field? {
            (1, Wire::Varint(_)) => placeless(Content::Null),
            (2, Wire::Fixed64(bits)) => placeless(Content::Number(Cow::Owned(f64::from_bits(bits).to_string()))),
            (3, Wire::Bytes(text)) => placeless(Content::String(Cow::Borrowed(core::str::from_utf8(text).ok()?))),
            (4, Wire::Varint(flag)) => placeless(Content::Bool(flag != 0)),
            (5, Wire::Bytes(inner)) => structure(inner, depth + 1)?,
            (6, Wire::Bytes(inner)) => list(inner, depth + 1)?,
            _ => return None,
        };
    }
    Some(node)
}

fn list(bytes: &[u8], depth: u32) -> Option<Node<'_>> {
    let mut elements = Vec::new();
    for field in fields(bytes) {
        match field? {
            (1, Wire::Bytes(inner)) => elements.push(value(inner, depth)?),
            _ => return None,
        }
    }
    Some(placeless(Content::Array(elements)))
}

/// A Struct is no text, so nothing in it has a place.
fn placeless(content: Content<'_>) -> Node<'_> {
    Node { place: None, content }
}

enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers; a last `None` where the bytes are no message.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = Option<(u64, Wire<'_>)>> {
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

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let tag = varint(rest)?;
    let content = match tag & 7 {
        VARINT => Wire::Varint(varint(rest)?),
        FIXED64 => {
            let (bits, after) = rest.split_first_chunk()?;
            *rest = after;
            Wire::Fixed64(u64::from_le_bytes(*bits))
        }
        LENGTH => {
            let length = usize::try_from(varint(rest)?).ok()?;
            let (bytes, after) = rest.split_at_checked(length)?;
            *rest = after;
            Wire::Bytes(bytes)
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
        let member = |name: &'static str, content| Member { name: name.into(), place: None, node: placeless(content) };
        let list = [Content::Number("1.5".into()), Content::Bool(false)].map(placeless);
        let members = vec![
            member("count", Content::Number("3".into())),
            member("flag", Content::Bool(true)),
            member("inner", Content::Object(vec![member("a", Content::Array(list.into()))])),
            member("null", Content::Null),
            member("text", Content::String(long.into())),
            member("unset", Content::Null),
        ];
        assert_eq!(read(&document), Some(placeless(Content::Object(members))));
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
