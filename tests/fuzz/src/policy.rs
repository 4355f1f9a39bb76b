//! The law of policy documents.

use ackguard::policy::{MAX_DOCUMENT, Policy};
use serde_json::{Map, Value};

use crate::structs;

/// Any bytes are a policy or faults, and the same ones each time. Faults are told, a line each. What is accepted means
/// the same with other whitespace, and in the other of the two forms, JSON and `google.protobuf.Struct`.
pub fn document(bytes: &[u8]) {
    let parsed = Policy::parse(bytes);
    assert_eq!(parsed, Policy::parse(bytes), "read twice");
    let policy = match parsed {
        Ok(policy) => policy,
        Err(faults) => {
            assert!(faults.count() >= faults.told().len() && !faults.told().is_empty(), "a refusal without a reason");
            for fault in faults.told() {
                let line = fault.to_string();
                assert!(!line.is_empty() && !line.ends_with([' ', ':']), "{line:?} has no problem's text");
                assert!(!line.contains(['\n', '\r']), "{line:?} is more than a line of a log");
            }
            return;
        }
    };
    // JSON first: a decoder that skips unknown fields, as this one does, takes some JSON texts for an empty Struct.
    let other_form = match serde_json::from_slice::<Map<String, Value>>(bytes) {
        Ok(members) => {
            same(&policy, &spread(bytes), "other whitespace");
            structs::encode(&members)
        }
        Err(_) => {
            let members = structs::decode(bytes).expect("what is accepted and no JSON is a Struct");
            Value::Object(members).to_string().into_bytes()
        }
    };
    same(&policy, &other_form, "the other form");
}

fn same(policy: &Policy, document: &[u8], what: &str) {
    if document.len() <= MAX_DOCUMENT {
        let shown = String::from_utf8_lossy(document);
        match Policy::parse(document) {
            Ok(again) => assert_eq!(&again, policy, "{what}: {shown}"),
            Err(faults) => panic!("{what}: {faults}: {shown}"),
        }
    }
}

/// A JSON text with whitespace on both sides of each mark of its structure.
fn spread(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json {
        match byte {
            b'{' | b'}' | b'[' | b']' | b',' | b':' if !quoted => out.extend([b'\t', *byte, b'\r', b'\n', b' ']),
            _ => out.push(*byte),
        }
        quoted ^= *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
    }
    out
}
