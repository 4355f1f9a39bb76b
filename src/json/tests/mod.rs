//! The reader against serde_json, which brokers read with.

mod stream;

use proptest::prelude::*;

use super::{Content, Node, Reader};

/// The tokens of a JSON text.
fn tokens() -> impl Strategy<Value = Vec<String>> {
    let scalar = prop_oneof![
        Just("null"),
        Just("true"),
        Just("false"),
        Just("0"),
        Just("-0.0E+1"),
        Just("12"),
        Just("\"\""),
        Just("\"ackTimeout\""),
        Just(r#""\u00e9\n\\""#),
        Just(r#""\ud83d\ude00é""#),
    ];
    let leaf = scalar.prop_map(|token| vec![token.to_owned()]);
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop_oneof![Just("\"a\""), Just("\"ack\\u0054imeout\""), Just("\"\"")];
        let member = (key, inner.clone()).prop_map(|(key, value)| {
            let mut tokens = vec![key.to_owned(), ":".to_owned()];
            tokens.extend(value);
            tokens
        });
        let list = |open: &'static str, close: &'static str| {
            move |items: Vec<Vec<String>>| {
                let mut tokens = vec![open.to_owned()];
                tokens.extend(items.join(&",".to_owned()));
                tokens.push(close.to_owned());
                tokens
            }
        };
        prop_oneof![
            proptest::collection::vec(member, 0..4).prop_map(list("{", "}")),
            proptest::collection::vec(inner, 0..4).prop_map(list("[", "]")),
        ]
    })
}

/// Text that is JSON, or was before some of its tokens were replaced.
fn jsonish() -> impl Strategy<Value = String> {
    let noise = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just(" \t\r\n"),
        Just("\""),
        Just("\\"),
        Just(r#""\ud800""#),
        Just(r#""\u12g4""#),
        Just("tru"),
        Just("01"),
        Just("1."),
        Just(".5"),
        Just("+1"),
        Just("-"),
        Just("1e"),
        Just("\u{1}"),
        Just("\u{feff}"),
        Just("\"\t\""),
    ];
    let changes = proptest::collection::vec((any::<proptest::sample::Index>(), noise), 0..3);
    (tokens(), changes).prop_map(|(mut tokens, changes)| {
        for (index, noise) in changes {
            let at = index.index(tokens.len());
            tokens[at] = noise.to_owned();
        }
        tokens.concat()
    })
}

fn reads(bytes: &[u8]) -> bool {
    Reader::new(bytes).and_then(|mut reader| reader.value().and_then(|_| reader.end())).is_ok()
}

fn serde_reads(bytes: &[u8]) -> bool {
    // IgnoredAny checks the grammar only, as Reader::value does; and it leaves UTF-8 inside strings unchecked.
    core::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// A tree as serde_json's value.
fn to_serde(node: &Node<'_>) -> serde_json::Value {
    match &node.content {
        Content::Null => serde_json::Value::Null,
        Content::Bool(flag) => (*flag).into(),
        Content::Number(number) => serde_json::from_str(number).unwrap(),
        Content::String(text) => text.as_ref().into(),
        Content::Array(elements) => elements.iter().map(to_serde).collect(),
        Content::Object(members) => {
            members.iter().map(|member| (member.name.to_string(), to_serde(&member.node))).collect()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn accepts_what_serde_json_accepts(text in jsonish()) {
        prop_assert_eq!(reads(text.as_bytes()), serde_reads(text.as_bytes()), "{}", text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(reads(&bytes), serde_reads(&bytes));
    }

    #[test]
    fn a_tree_is_what_serde_json_reads(text in jsonish()) {
        let theirs = serde_json::from_str::<serde_json::Value>(&text).ok();
        let ours = Node::parse(text.as_bytes()).ok().map(|node| to_serde(&node));
        prop_assert_eq!(ours, theirs, "{}", text);
    }
}

#[test]
fn nesting_is_bounded_where_serde_json_bounds_it() {
    for depth in [1, 64, 126, 127, 128, 129, 5_000] {
        let arrays = "[".repeat(depth) + &"]".repeat(depth);
        let objects = "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        for text in [arrays, objects] {
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            assert_eq!(reads(text.as_bytes()), theirs, "depth {depth}");
            assert_eq!(Node::parse(text.as_bytes()).is_ok(), theirs, "depth {depth}");
        }
    }
}

#[test]
fn a_fault_names_its_place_and_what_is_expected() {
    for (text, fault) in [
        ("", "byte 0: expected a value"),
        ("{\"a\":1,}", "byte 7: expected a key in quotes"),
        ("{\"a\" 1}", "byte 5: expected ':'"),
        ("[1 2]", "byte 3: expected ',' or ']'"),
        ("{} x", "byte 3: expected the end"),
        ("\"\\x\"", "byte 2: expected an escape"),
        ("-", "byte 1: expected a digit"),
        ("00", "byte 1: expected the end"),
        ("\"\u{1f}\"", "byte 1: expected an escape for a control character"),
        ("\u{feff}{}", "byte 0: expected a value"),
    ] {
        assert_eq!(Node::parse(text.as_bytes()).unwrap_err().to_string(), fault);
    }
    let not_utf8 = Node::parse(b"\"a\xff\"").unwrap_err();
    assert_eq!(not_utf8.to_string(), "byte 2: expected UTF-8");
}
