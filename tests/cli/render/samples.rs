//! The shipped objects are what the command renders from the shipped policies.

use std::fs;
use std::path::Path;

use super::rendered;

const SAMPLES: [(&str, &[&str]); 4] = [
    (
        "envoy/istio/wasm-plugin.yaml",
        &[
            "envoy/istio/policy.yaml",
            "--as=wasm-plugin",
            "--module=oci://registry.example/ackguard:1",
            "--namespace=istio-ingress",
            "--selector=istio=ingressgateway",
        ],
    ),
    (
        "envoy/istio/envoy-filter.yaml",
        &["--dir=envoy/policies", "--as=envoy-filter", "--namespace=istio-ingress", "--selector=istio=ingressgateway"],
    ),
    ("envoy/kubernetes/config-map.yaml", &["--dir=envoy/policies", "--as=config-map", "--namespace=queues"]),
    ("envoy/ecds/ackguard.yaml", &["envoy/istio/policy.yaml", "--as=ecds", "--module=target/ackguard.wasm"]),
];

#[test]
fn shipped_objects_are_rendered_from_the_shipped_policies() {
    for (file, arguments) in SAMPLES {
        let now = rendered(arguments);
        let shipped = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_default();
        let same = match file {
            // Written by hand, with its reasons beside its fields.
            "envoy/ecds/ackguard.yaml" => with_rules(super::document(&now)) == super::document(&shipped),
            _ => now == shipped,
        };
        assert!(same, "{file} is not what `ackguard render {}` prints now:\n{now}", arguments.join(" "));
    }
}

/// The resource with the empty list of rules, which the shipped one shows.
fn with_rules(mut resource: serde_json::Value) -> serde_json::Value {
    resource["resources"][0]["typed_config"]["config"]["configuration"]["value"]["rules"] = serde_json::json!([]);
    resource
}
