//! `google.protobuf.Struct` and JSON: the two forms in which a policy reaches the filter.

use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as Any};
use serde_json::{Map, Value};

/// The bytes of a Struct with the members of `object`, the numbers as doubles.
pub fn encode(object: &Map<String, Value>) -> Vec<u8> {
    structure(object).encode_to_vec()
}

/// The members of the Struct that `bytes` are. `None` where they are none.
pub fn decode(bytes: &[u8]) -> Option<Map<String, Value>> {
    Some(object(Struct::decode(bytes).ok()?))
}

fn structure(object: &Map<String, Value>) -> Struct {
    Struct { fields: object.iter().map(|(name, value)| (name.clone(), any(value))).collect() }
}

fn any(value: &Value) -> Any {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(elements) => Kind::ListValue(ListValue { values: elements.iter().map(any).collect() }),
        Value::Object(members) => Kind::StructValue(structure(members)),
    };
    Any { kind: Some(kind) }
}

fn object(structure: Struct) -> Map<String, Value> {
    structure.fields.into_iter().map(|(name, any)| (name, value(any))).collect()
}

fn value(any: Any) -> Value {
    match any.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => flag.into(),
        Some(Kind::NumberValue(number)) => number.into(),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(value).collect(),
        Some(Kind::StructValue(inner)) => object(inner).into(),
    }
}
