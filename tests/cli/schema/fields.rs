//! Every object's fields, their defaults and their descriptions.

use std::collections::BTreeSet;

use ackguard::dialect::Dialect;
use ackguard::policy::limit::MAX_LIMITS;
use ackguard::policy::{MAX_RULES, Policy};
use serde_json::{Map, Value, json};

use super::{faults, schema, validator};

/// An object of a document with the schema that holds for it.
pub(super) struct Place {
    /// Where it is, as a JSON pointer.
    pointer: String,
    schema: Value,
}

/// What a `$ref` stands for.
pub(super) fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    match schema["$ref"].as_str() {
        Some(name) => root.pointer(name.trim_start_matches('#')).expect("a definition"),
        None => schema,
    }
}

/// The fields of an object that may stand together: all of them, or where some exclude others, a set for each choice,
/// without what depends on another choice.
pub(super) fn alternatives(schema: &Value) -> Vec<Vec<&String>> {
    let fields = schema["properties"].as_object().expect("properties");
    if schema["maxProperties"] == 1 {
        return fields.keys().map(|name| vec![name]).collect();
    }
    let choices: Vec<&Value> = schema["oneOf"].as_array().into_iter().flatten().map(|of| &of["required"][0]).collect();
    match choices.as_slice() {
        [] => vec![fields.keys().collect()],
        _ => choices
            .iter()
            .map(|chosen| {
                let goes_with = |name: &str| {
                    let needed = &schema["dependentRequired"][name][0];
                    name == *chosen || (needed.is_null() || needed == *chosen) && !choices.iter().any(|of| name == *of)
                };
                fields.keys().filter(|name| goes_with(name)).collect()
            })
            .collect(),
    }
}

/// Every field's schema with its place in the document of [`whole`].
fn for_each(root: &Value, schema: &Value, pointer: &str, each: &mut impl FnMut(&str, &Value)) {
    let schema = resolved(root, schema);
    each(pointer, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        for_each(root, field, &format!("{pointer}/{name}"), each);
    }
    if let Some(items) = schema.get("items") {
        for_each(root, items, &format!("{pointer}/0"), each);
    }
}

/// A document with every field that the schema has, each with its first example, and in a list an element for each of
/// its alternatives. The objects in it go to `places`.
pub(super) fn whole(root: &Value, schema: &Value, pointer: &str, places: &mut Vec<Place>) -> Value {
    let schema = resolved(root, schema);
    assert!(schema["description"].is_string(), "{pointer} has no description");
    assert!(!schema["type"].is_null(), "{pointer} has no type");
    match schema["type"].as_str() {
        Some("object") => with(root, schema, &alternatives(schema)[0], pointer, places),
        Some("array") => {
            assert!(schema["maxItems"].is_u64(), "{pointer} has no greatest length");
            let items = resolved(root, &schema["items"]);
            if items["type"] != "object" {
                return json!([whole(root, items, &format!("{pointer}/0"), places)]);
            }
            let choices = alternatives(items).into_iter().enumerate();
            choices
                .map(|(index, fields)| {
                    let mut element = with(root, items, &fields, &format!("{pointer}/{index}"), places);
                    if let Some(name) = element.get_mut("name") {
                        // No two elements may have the same.
                        *name = resolved(root, &items["properties"]["name"])["examples"][index].clone();
                    }
                    element
                })
                .collect()
        }
        _ => schema["examples"][0].clone(),
    }
}

/// The object of [`whole`] with these fields.
fn with(root: &Value, schema: &Value, fields: &[&String], pointer: &str, places: &mut Vec<Place>) -> Value {
    assert_eq!(schema["additionalProperties"], false, "{pointer}");
    places.push(Place { pointer: pointer.to_owned(), schema: schema.clone() });
    let mut members = Map::new();
    for name in fields {
        let value = whole(root, &schema["properties"][*name], &format!("{pointer}/{name}"), places);
        members.insert((*name).clone(), value);
    }
    members.into()
}

#[test]
fn every_object_has_the_fields_that_the_parser_expects_there() {
    let root = schema();
    let mut places = Vec::new();
    let document = whole(&root, &root, "", &mut places);
    assert_eq!(faults(&document), [""; 0], "{document:#}");
    for Place { pointer, schema } in places {
        let mut document = document.clone();
        document.pointer_mut(&pointer).expect("the object")["no_field"] = json!(1);
        let told = faults(&document);
        let expected = told
            .iter()
            .find_map(|fault| fault.split_once("no_field: unknown field; expected ").map(|(_, words)| words))
            .unwrap_or_else(|| panic!("{pointer}: {told:?}"));
        let parsers: BTreeSet<&str> = expected.split(", ").flat_map(|words| words.split(" or ")).collect();
        let schemas: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(schemas, parsers, "the fields of {pointer}");
    }
}

#[test]
fn every_choice_has_the_words_that_the_parser_expects_there() {
    let root = schema();
    let document = whole(&root, &root, "", &mut Vec::new());
    let mut choices = 0;
    for_each(&root, &root, "", &mut |pointer, schema| {
        let Some(words) = schema["enum"].as_array() else { return };
        let mut document = document.clone();
        // A place that may not stand together with others is another one's twin.
        let Some(place) = document.pointer_mut(pointer) else { return };
        *place = json!("no word");
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        let expected = match words.as_slice() {
            [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
            words => words.concat(),
        };
        let told = faults(&document);
        assert!(told[0].ends_with(&format!(": \"no word\" is not {expected}")), "{pointer}: {told:?}");
        choices += 1;
    });
    assert!(choices > 10, "{choices}");
}

/// Puts the default of each field that has one; whether there was one.
fn defaults(root: &Value, schema: &Value) -> Option<Value> {
    let schema = resolved(root, schema);
    if let Some(default) = schema.get("default") {
        return Some(default.clone());
    }
    let fields = schema.get("properties")?.as_object()?;
    let members: Map<String, Value> =
        fields.iter().filter_map(|(name, field)| Some((name.clone(), defaults(root, field)?))).collect();
    (!members.is_empty()).then(|| members.into())
}

#[test]
fn the_defaults_are_those_of_the_parser() {
    let root = schema();
    let rollout = json!({ "candidate": { "version": "2" }, "stages": [{ "percent": 100 }] });
    let least = json!({ "apiVersion": "ackguard/v1", "traffic": [], "rollout": rollout });
    let mut written = defaults(&root, &root).expect("defaults");
    // A candidate with fields of its own is another candidate.
    written["rollout"]["candidate"] = json!({});
    merge(&mut written, &least);
    for place in ["/version", "/defaults/ack_timeout/zero", "/rollout/health/p99"] {
        assert!(written.pointer(place).is_some_and(Value::is_string), "{written:#}");
    }
    assert!(validator().is_valid(&written));
    assert_eq!(parse(&written), parse(&least));
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            from.iter().for_each(|(name, value)| merge(into.entry(name).or_insert(Value::Null), value));
        }
        (into, from) => *into = from.clone(),
    }
}

fn parse(document: &Value) -> Policy {
    Policy::parse(document.to_string().as_bytes()).unwrap_or_else(|faults| panic!("{faults}: {document:#}"))
}

#[test]
fn the_dialects_and_the_most_rules_and_limits_are_those_of_the_filter() {
    let root = schema();
    assert_eq!(root["$defs"]["dialect"]["enum"], json!(Dialect::ALL.map(Dialect::name)));
    for rules in ["/properties/rules/maxItems", "/properties/rollout/properties/candidate/properties/rules/maxItems"] {
        assert_eq!(root.pointer(rules), Some(&json!(MAX_RULES)), "{rules}");
    }
    assert_eq!(root["properties"]["limits"]["maxItems"], json!(MAX_LIMITS));
}
