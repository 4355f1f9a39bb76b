//! The stream against serde_json, and against the reader where a text is broken.

use proptest::prelude::*;
use serde_json::Value;

use super::jsonish;
use crate::json::{Event, Reader, Scalar, Stream, Wanted};

const WANTED: &[Wanted] = &[
    Wanted { list: "messages", field: Some("receipt") },
    Wanted { list: "messages", field: Some("ackTimeout") },
    Wanted { list: "acked", field: None },
];

/// What is found, one line for each event; none where the text is not JSON.
fn streamed(pieces: &[&[u8]]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut stream = Stream::new(WANTED);
    for piece in pieces {
        let tell = &mut |event: Event<'_>| {
            found.push(match event {
                Event::Found(place, Scalar::Text(text)) => format!("{place} {text}"),
                Event::Found(place, Scalar::Number(number)) => format!("{place} number {number}"),
                Event::Ended => "ended".to_owned(),
            });
        };
        stream.push(piece, tell).ok()?;
    }
    stream.end().ok()?;
    Some(found)
}

/// The same from the whole text, with serde_json.
fn parsed(text: &str) -> Vec<String> {
    let whole: Value = serde_json::from_str(text).unwrap();
    let mut found = Vec::new();
    let mut tell = |place: usize, value: &Value| match value {
        Value::String(text) => found.push(format!("{place} {text}")),
        Value::Number(number) => found.push(format!("{place} number {number}")),
        _ => {}
    };
    let Value::Object(members) = &whole else { return found };
    for (key, value) in members {
        let Value::Array(elements) = value else { continue };
        for element in elements {
            match (key.as_str(), element) {
                ("messages", Value::Object(message)) => {
                    for (key, value) in message {
                        let field = |wanted: &Wanted| wanted.field == Some(key.as_str());
                        if let Some(place) = WANTED.iter().position(field) {
                            tell(place, value);
                        }
                    }
                    tell(usize::MAX, &Value::Null);
                }
                ("acked", element) => tell(2, element),
                _ => {}
            }
        }
    }
    found
}

/// A value, often one that has something to find.
fn value() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        3 => prop_oneof![Just("messages"), Just("receipt"), Just("ackTimeout"), Just("acked")].prop_map(str::to_owned),
        1 => "[a-z\"\\\\é]{0,3}",
    ];
    let leaf = prop_oneof![
        3 => "[a-z\"\\\\/\n\u{1f600}é]{0,12}".prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => prop_oneof![Just(Value::Null), Just(Value::from(true)), Just(Value::from(0)), Just(Value::from(-1))],
    ];
    let any = leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(key.clone(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    });
    let message =
        proptest::collection::hash_map(prop_oneof![Just("receipt"), Just("ackTimeout"), Just("body")], any, 0..4);
    let message = message.prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
    let list = |elements: BoxedStrategy<Value>| proptest::collection::vec(elements, 0..5).prop_map(Value::from);
    let element = prop_oneof![4 => message.boxed(), 1 => value_of_any()].boxed();
    let acked = prop_oneof![4 => "[a-z\\\\é]{0,9}".prop_map(Value::from), 1 => value_of_any()].boxed();
    (list(element), list(acked), value_of_any(), 0..3_usize).prop_map(|(messages, acked, other, form)| match form {
        0 => serde_json::json!({"messages": messages, "acked": acked, "other": other}),
        1 => serde_json::json!({"other": other, "messages": messages}),
        _ => other,
    })
}

/// Any value, with the names that are looked for in all the wrong places.
fn value_of_any() -> BoxedStrategy<Value> {
    let leaf = prop_oneof!["[a-z\"]{0,4}".prop_map(Value::from), any::<i32>().prop_map(Value::from), Just(Value::Null)];
    let key = prop_oneof![Just("messages"), Just("receipt"), Just("ackTimeout"), Just("acked"), Just("")];
    leaf.prop_recursive(4, 16, 3, move |inner| {
        let members = proptest::collection::hash_map(key.clone(), inner.clone(), 0..4);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
    .boxed()
}

/// The text in pieces that end at `ends`.
fn pieces(text: &[u8], ends: Vec<prop::sample::Index>) -> Vec<&[u8]> {
    let mut ends: Vec<usize> = ends.into_iter().map(|end| end.index(text.len() + 1)).collect();
    ends.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for end in ends.into_iter().chain([text.len()]) {
        pieces.push(&text[start..end]);
        start = end;
    }
    pieces
}

fn ends() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    proptest::collection::vec(any::<prop::sample::Index>(), 0..12)
}

proptest! {
    #[test]
    fn any_split_finds_what_serde_json_finds(value in value(), pretty in any::<bool>(), ends in ends()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut found = streamed(&pieces(text.as_bytes(), ends)).expect("it is JSON");
        found.retain(|line| line != "ended");
        prop_assert_eq!(found, parsed(&text), "{}", text);
    }

    #[test]
    fn any_split_of_any_text_is_judged_as_the_reader_judges_it(text in jsonish(), ends in ends()) {
        let read = Reader::new(text.as_bytes()).and_then(|mut reader| reader.value().and_then(|_| reader.end()));
        let found = streamed(&pieces(text.as_bytes(), ends));
        prop_assert_eq!(found.is_some(), read.is_ok(), "{}", text);
        prop_assert_eq!(found, streamed(&[text.as_bytes()]));
    }
}

#[test]
fn values_are_found_with_the_end_of_their_element() {
    let text = r#"{"messages":[{"receipt":"a\u0062","ackTimeout":5,"body":"\"receipt\":1"},{"ack\u0054imeout":7},[],1],
        "acked":["x",{"receipt":"y"},null],"messages":{"1":{"receipt":"z"}}}"#;
    let expected = ["0 ab", "1 number 5", "ended", "1 number 7", "ended", "2 x", "ended"];
    assert_eq!(streamed(&[text.as_bytes()]).unwrap(), expected);
}

#[test]
fn half_a_surrogate_pair_is_as_good_as_absent() {
    assert_eq!(streamed(&[br#"{"acked":["\ud800","b"]}"#]).unwrap(), ["2 b"]);
}

#[test]
fn a_string_that_is_not_utf8_is_no_text_where_it_is_wanted_and_not_looked_at_elsewhere() {
    assert_eq!(streamed(&[b"{\"other\":\"\xff\",\"acked\":[\"\xff\",\"b\"]}"]).unwrap(), ["2 b"]);
}

#[test]
fn what_is_kept_is_bounded() {
    let text = |length: usize| format!(r#"{{"{}":1,"acked":["{}"]}}"#, "k".repeat(1 << 20), "v".repeat(length));
    assert_eq!(streamed(&[text(4096).as_bytes()]).unwrap(), [format!("2 {}", "v".repeat(4096))]);
    assert_eq!(streamed(&[text(4097).as_bytes()]), None);
    let long = format!(r#"{{"acked":["a"],"{0}":["b"],"messages":[{{"receipt":"c","{0}":"d"}}]}}"#, "k".repeat(129));
    assert_eq!(streamed(&[long.as_bytes()]).unwrap(), ["2 a", "0 c", "ended"], "a long key is nobody's");
    let deep = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert_eq!(streamed(&[&deep(127)]), Some(vec![]));
    assert_eq!(streamed(&[&deep(128)]), None);
}

#[test]
fn a_fault_is_told_by_its_place_in_the_whole() {
    let mut stream = Stream::new(WANTED);
    stream.push(b"{\"a\":", &mut |_| ()).unwrap();
    let fault = stream.push(b" 1 2", &mut |_| ()).unwrap_err();
    assert_eq!((fault.at, fault.expected), (8, "',' or the end of what is open"));
}
