//! Documents that a person wrote.

use serde_json::Value;

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

/// The first block of YAML in a page.
fn block(page: &str) -> &str {
    let (_, from) = page.split_once("```yaml\n").expect("a block");
    let (block, _) = from.split_once("```").expect("its end");
    block
}

#[test]
fn what_is_shipped_and_documented_is_valid() {
    let validator = validator();
    let configurations = ["envoy/static.yaml", "envoy/ecds/ackguard.yaml"].map(|path| {
        let configuration = yaml(&read(path));
        (path, policy_in(&configuration).expect("a policy").clone())
    });
    let policies = ["envoy/policies/base.yaml", "envoy/istio/policy.yaml"].map(|path| (path, yaml(&read(path))));
    let page = ("docs/policy.md", yaml(block(&read("docs/policy.md"))));
    for (path, document) in configurations.into_iter().chain(policies).chain([page]) {
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{path}: {errors:?}");
        assert_eq!(faults(&document), [""; 0], "{path}");
    }
}
