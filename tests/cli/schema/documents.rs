//! Documents that a person wrote.

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{faults, read, validator};

/// The policy in one of Envoy's configurations: the first value of a `google.protobuf.Struct`.
fn policy_in(node: &Value) -> Option<&Value> {
    match node {
        Value::Object(members)
            if members.get("@type").is_some_and(|of| of == "type.googleapis.com/google.protobuf.Struct") =>
        {
            members.get("value")
        }
        Value::Object(members) => members.values().find_map(policy_in),
        Value::Array(elements) => elements.iter().find_map(policy_in),
        _ => None,
    }
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

/// What makes a block of a page one of a policy.
const SECTIONS: [&str; 4] = ["defaults", "rules", "limits", "rollout"];

/// The policies among a page's blocks of YAML, whole: what a page leaves out of an excerpt is put in.
fn policies_of(page: &str) -> Vec<Value> {
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block);
    let is_policy = |document: &Value| SECTIONS.iter().any(|section| document.get(section).is_some());
    let mut policies: Vec<Value> = blocks.map(yaml).filter(is_policy).collect();
    for policy in &mut policies {
        let members = policy.as_object_mut().expect("a mapping");
        members.entry("apiVersion").or_insert_with(|| json!("ackguard/v1"));
        members.entry("traffic").or_insert_with(|| json!([{ "match": { "path": "/tmq/*" }, "dialect": "tmq" }]));
    }
    policies
}

/// The faults of a document by the schema.
fn errors(validator: &Validator, document: &Value) -> Vec<String> {
    validator.iter_errors(document).map(|error| error.to_string()).collect()
}

#[test]
fn what_is_shipped_is_valid() {
    let validator = validator();
    let configurations = ["envoy/static.yaml", "envoy/ecds/ackguard.yaml"].map(|path| {
        let configuration = yaml(&read(path));
        (path, policy_in(&configuration).expect("a policy").clone())
    });
    let policies = ["envoy/policies/base.yaml", "envoy/istio/policy.yaml"].map(|path| (path, yaml(&read(path))));
    for (path, document) in configurations.into_iter().chain(policies) {
        assert_eq!((errors(&validator, &document), faults(&document)), (Vec::new(), Vec::new()), "{path}");
    }
}

/// A page may show a fault, if it says which.
#[test]
fn what_is_documented_is_valid() {
    let validator = validator();
    for (path, least) in [("docs/policy.md", 3), ("docs/limits.md", 2), ("docs/operating.md", 3)] {
        let page = read(path);
        let policies = policies_of(&page);
        assert!(policies.len() >= least, "{path} has {} policies", policies.len());
        for document in policies {
            let (errors, faults) = (errors(&validator, &document), faults(&document));
            assert!(faults.iter().all(|fault| page.contains(fault)), "{path}: {faults:?}: {document:#}");
            assert_eq!(errors.is_empty(), faults.is_empty(), "{path}: {errors:?}: {document:#}");
        }
    }
}
