//! The schema of policies against the parser of policies: neither may know what the other does not.

mod documents;
mod fields;
mod laws;

use std::fs;
use std::path::Path;

use ackguard::policy::Policy;
use jsonschema::Validator;
use serde_json::Value;

use crate::program::ackguard;

/// The file that editors read.
fn text() -> String {
    read("envoy/policy.schema.json")
}

fn schema() -> Value {
    serde_json::from_str(&text()).expect("JSON")
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).expect("a schema")
}

/// A file of the project.
fn read(path: &str) -> String {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&whole).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The faults of a document, as they are told.
fn faults(document: &Value) -> Vec<String> {
    match Policy::parse(document.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.told().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_command_prints_the_file_that_editors_read() {
    let run = ackguard("", &["schema"]);
    assert_eq!((run.status, run.stdout), (0, text()));
    jsonschema::meta::validate(&schema()).unwrap_or_else(|error| panic!("{error}"));
}
