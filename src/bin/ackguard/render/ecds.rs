//! Envoy's own objects: the filter, the resource of extension discovery that brings it, and the ConfigMap that brings
//! that resource into a pod.

use super::Rendering;
use super::tree::Tree;

pub(super) const WASM_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const RESOURCE_TYPE: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
const STRUCT_TYPE: &str = "type.googleapis.com/google.protobuf.Struct";

/// The filter with its name, an Envoy `TypedExtensionConfig`.
pub(super) fn extension(rendering: &Rendering) -> Vec<(String, Tree)> {
    let vm = Tree::object([
        ("vm_id", rendering.vm_id.as_str().into()),
        ("runtime", "envoy.wasm.runtime.v8".into()),
        ("code", rendering.module.data_source(rendering.sha256.as_deref())),
    ]);
    // A trapped VM answers 503 and is made anew: a failed guard lets nothing by.
    let mut config = Tree::object([("name", "ackguard".into()), ("failure_policy", "FAIL_RELOAD".into())]);
    if rendering.held {
        config.push("allow_on_headers_stop_iteration", Tree::Bool(true));
    }
    config.push("vm_config", vm);
    let policy = Tree::object([("@type", STRUCT_TYPE.into()), ("value", rendering.policy.clone())]);
    config.push("configuration", policy);
    let filter = Tree::object([("@type", WASM_TYPE.into()), ("config", config)]);
    vec![("name".to_owned(), rendering.name.as_str().into()), ("typed_config".to_owned(), filter)]
}

/// What `path_config_source` reads: a `DiscoveryResponse`. Its version is the policy's.
pub(super) fn resource(rendering: &Rendering) -> Tree {
    let mut members = vec![("@type".to_owned(), RESOURCE_TYPE.into())];
    members.extend(extension(rendering));
    Tree::object([
        ("version_info", rendering.version.as_str().into()),
        ("resources", Tree::List(vec![Tree::Object(members)])),
    ])
}

/// The resource as the file `ackguard.yaml` of a Kubernetes ConfigMap.
///
/// # Errors
/// When it cannot be written as YAML.
pub(super) fn config_map(rendering: &Rendering) -> Result<Tree, serde_saphyr::ser::Error> {
    let text = serde_saphyr::to_string(&resource(rendering))?;
    Ok(Tree::object([
        ("apiVersion", "v1".into()),
        ("kind", "ConfigMap".into()),
        ("metadata", rendering.metadata()),
        ("data", Tree::object([("ackguard.yaml", Tree::Text(text))])),
    ]))
}
