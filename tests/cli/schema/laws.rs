//! What holds for every document: what the schema refuses, the parser refuses, and but for what a schema cannot say the
//! other way round.

use std::cell::Cell;

use ackguard::policy::{Fault, Policy, Problem};
use jsonschema::Validator;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::fields::{alternatives, resolved, whole};
use super::{schema, validator};

/// Whether a fault is one that a schema cannot tell.
fn beyond(fault: &Fault) -> bool {
    match &fault.problem {
        // The order of bounds, and with what a rule takes from `defaults`; a name or a version that stands elsewhere.
        Problem::Inverted { .. } | Problem::DefaultOutside { .. } | Problem::Taken { .. } => true,
        // A rate's greatest value, and what it fills; which service other limits ask. A duration's greatest length; a share's decimals, and the bounds of a number in quotes.
        Problem::Wrong { found, expected } => {
            (expected.starts_with("a rate") && found == "\"1000000001/s\"")
                || fault.path.ends_with("].burst") && expected.starts_with("what ")
                || expected.ends_with("one service counts for all")
                || (expected.starts_with("a duration") && found == "\"169h\"")
                || (expected.ends_with("at most two decimals") && found == "0.005")
                || (expected.starts_with("a number") && found.starts_with('"'))
        }
        // What depends on another place: the rule that a candidate's rule changes, the stage that is the last.
        Problem::Missing { .. } => {
            fault.path.starts_with("rollout.") && (fault.path.ends_with("].match") || fault.path.ends_with("].hold"))
        }
        _ => false,
    }
}

/// Documents that the schema describes: every field there or not, its values from the examples.
fn valid(root: &Value, schema: &Value) -> BoxedStrategy<Value> {
    let schema = resolved(root, schema);
    match schema["type"].as_str() {
        Some("object") => {
            let choices = alternatives(schema);
            let objects: Vec<_> = choices.into_iter().map(|fields| object(root, schema, &fields)).collect();
            proptest::strategy::Union::new(objects).boxed()
        }
        Some("array") => {
            let least = usize::try_from(schema["minItems"].as_u64().unwrap_or(0)).expect("a small one");
            proptest::collection::vec(valid(root, &schema["items"]), least..3).prop_map(Value::from).boxed()
        }
        _ => {
            let mut values = schema["examples"].as_array().expect("examples").clone();
            values.extend(schema["enum"].as_array().into_iter().flatten().cloned());
            values.extend(schema.get("default").cloned());
            select(values).boxed()
        }
    }
}

/// Objects with those of these fields that they must have, and some of the others.
fn object(root: &Value, schema: &Value, fields: &[&String]) -> BoxedStrategy<Value> {
    let required = |name: &str| schema["required"].as_array().into_iter().flatten().any(|needed| needed == name);
    let chosen = |name: &str| schema["oneOf"].as_array().into_iter().flatten().any(|of| of["required"][0] == name);
    let least = schema["minProperties"].as_u64().unwrap_or(0);
    let members: Vec<BoxedStrategy<Option<(String, Value)>>> = (0_u64..)
        .zip(fields)
        .map(|(index, name)| {
            let name = (*name).clone();
            let needed = required(&name) || index < least || chosen(&name);
            let value = valid(root, &schema["properties"][&name]).prop_map(move |value| (name.clone(), value));
            if needed { value.prop_map(Some).boxed() } else { proptest::option::weighted(0.4, value).boxed() }
        })
        .collect();
    members.prop_map(|members| Value::Object(members.into_iter().flatten().collect::<Map<_, _>>())).boxed()
}

/// Values that are wrong in most places, and right in a few: the edges of every bound among them.
fn odd(root: &Value) -> Vec<Value> {
    let mut values = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(2000),
        json!(2001),
        json!(2000.0),
        json!(0.005),
        json!(0.07),
        json!(100.01),
        json!(1_000_000_001),
        json!(""),
        json!("a b"),
        json!("a..b"),
        json!(".a"),
        json!("x-é"),
        json!("5"),
        json!("0.07"),
        json!("5."),
        json!("+5"),
        json!(".5"),
        json!("5e"),
        json!("0s"),
        json!("007ms"),
        json!("168h"),
        json!("169h"),
        json!("5S"),
        json!("-5s"),
        json!("1/s"),
        json!("007/h"),
        json!("0/s"),
        json!("1000000000/s"),
        json!("1000000001/s"),
        json!("1000ms"),
        json!("1001ms"),
        json!("001s"),
        json!(10_000),
        json!(10_001),
        json!(86_400_000_000_000_u64),
        json!(86_400_000_000_001_u64),
        json!("defaults"),
        json!("max_in_flight"),
        json!("{tenant}"),
        json!("{gro{topic}up}"),
        json!("n\n"),
        json!([]),
        json!({}),
        json!([{}]),
    ];
    values.extend([64, 65, 256, 257, 1024, 1025].map(|length| json!("n".repeat(length))));
    words(root, &mut values);
    values
}

/// The words that may be chosen somewhere.
fn words(schema: &Value, found: &mut Vec<Value>) {
    found.extend(schema["enum"].as_array().into_iter().flatten().cloned());
    match schema {
        Value::Object(members) => members.values().for_each(|inner| words(inner, found)),
        Value::Array(elements) => elements.iter().for_each(|inner| words(inner, found)),
        _ => {}
    }
}

/// A change of one place: another value, none, or a field that nobody knows.
#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Remove,
    Add,
}

fn changes(root: &Value) -> impl Strategy<Value = Vec<(Index, Change)>> + use<> {
    let change = prop_oneof![4 => select(odd(root)).prop_map(Change::Replace), 1 => Just(Change::Remove), 1 => Just(Change::Add)];
    proptest::collection::vec((any::<Index>(), change), 0..3)
}

fn pointers(node: &Value, here: String, found: &mut Vec<String>) {
    match node {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| pointers(value, format!("{here}/{name}"), found));
        }
        Value::Array(elements) => {
            elements.iter().enumerate().for_each(|(index, value)| pointers(value, format!("{here}/{index}"), found));
        }
        _ => {}
    }
    found.push(here);
}

fn changed(mut document: Value, place: &str, change: &Change) -> Value {
    let (parent, name) = place.rsplit_once('/').unwrap_or_default();
    match (change, document.pointer_mut(place)) {
        (Change::Replace(value), Some(node)) => *node = value.clone(),
        (Change::Add, Some(Value::Object(members))) => drop(members.insert("no_field".to_owned(), json!(1))),
        (Change::Remove, _) => {
            if let Some(Value::Object(members)) = document.pointer_mut(parent) {
                members.remove(name);
            }
        }
        _ => {}
    }
    document
}

/// Whether the schema accepts a document; a panic where the parser says otherwise for a reason that a schema can say.
fn agreed(validator: &Validator, document: &Value) -> bool {
    let parsed = Policy::parse(document.to_string().as_bytes());
    let errors: Vec<String> = validator.iter_errors(document).map(|error| error.to_string()).collect();
    if errors.is_empty() {
        let unsaid = parsed.err().and_then(|faults| faults.told().iter().find(|fault| !beyond(fault)).cloned());
        assert_eq!(unsaid, None, "the schema accepts what the parser refuses: {document}");
    } else {
        assert!(parsed.is_err(), "the schema refuses what the parser accepts: {errors:?}: {document}");
    }
    errors.is_empty()
}

/// Lists of the first of these elements that are as long as the lists of a policy may be, and longer by one.
fn grown(elements: &[Value]) -> Vec<Value> {
    let first = elements.first().cloned().unwrap_or_default();
    [20, 21, 64, 65, 100, 101].map(|length| json!(vec![first.clone(); length])).into()
}

#[test]
fn schema_and_parser_agree_on_every_value_in_every_place() {
    let root = schema();
    let validator = validator();
    let document = whole(&root, &root, "", &mut Vec::new());
    let mut places = Vec::new();
    pointers(&document, String::new(), &mut places);
    for place in places {
        let mut values = odd(&root);
        values.extend(document.pointer(&place).and_then(Value::as_array).into_iter().flat_map(|list| grown(list)));
        for value in values {
            agreed(&validator, &changed(document.clone(), &place, &Change::Replace(value)));
        }
        agreed(&validator, &changed(document.clone(), &place, &Change::Remove));
    }
}

#[test]
fn schema_and_parser_agree_on_documents_of_any_fields() {
    let root = schema();
    let validator = validator();
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    let documents = (valid(&root, &root), changes(&root)).prop_map(|(document, changes)| {
        changes.iter().fold(document, |document, (index, change)| {
            let mut places = Vec::new();
            pointers(&document, String::new(), &mut places);
            changed(document, index.get::<String>(&places), change)
        })
    });
    TestRunner::new(Config { cases: 1_000, ..Config::default() })
        .run(&documents, |document| {
            let count = if agreed(&validator, &document) { &accepted } else { &refused };
            count.set(count.get() + 1);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert!(accepted.get() > 100 && refused.get() > 100, "{accepted:?} accepted, {refused:?} refused");
}
