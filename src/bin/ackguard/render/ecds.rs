//! Envoy's own objects: the filter, the resource of extension discovery that brings it, and the ConfigMap that brings
//! that resource into a pod.

use ackguard::json::Node;

use super::Rendering;
use super::build::{Written, flag, list, object, text};

pub(super) const WASM_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
pub(super) const RESOURCE_TYPE: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
const STRUCT_TYPE: &str = "type.googleapis.com/google.protobuf.Struct";

/// The members of an Envoy `TypedExtensionConfig`: the filter with its name.
pub(super) fn extension<'t>(rendering: &'t Rendering<'_>) -> [(&'static str, Node<'t>); 2] {
    let vm = object([
        ("vm_id", text(&rendering.vm_id)),
        ("runtime", text("envoy.wasm.runtime.v8")),
        ("code", rendering.module.data_source(rendering.sha256.as_deref())),
    ]);
    let policy = object([("@type", text(STRUCT_TYPE)), ("value", rendering.policy.clone())]);
    let held = rendering.held.then(|| ("allow_on_headers_stop_iteration", flag(true)));
    // A trapped VM answers 503 and is made anew: a failed guard lets nothing by.
    let config = [("name", text("ackguard")), ("failure_policy", text("FAIL_RELOAD"))];
    let config = object(config.into_iter().chain(held).chain([("vm_config", vm), ("configuration", policy)]));
    let filter = object([("@type", text(WASM_TYPE)), ("config", config)]);
    [("name", text(&rendering.name)), ("typed_config", filter)]
}

/// What `path_config_source` reads: a `DiscoveryResponse`. Its version is the policy's.
pub(super) fn resource<'t>(rendering: &'t Rendering<'_>) -> Node<'t> {
    let resource = object([("@type", text(RESOURCE_TYPE))].into_iter().chain(extension(rendering)));
    object([("version_info", text(&rendering.version)), ("resources", list([resource]))])
}

/// The resource as the file `ackguard.yaml` of a Kubernetes ConfigMap.
///
/// # Errors
/// When it cannot be written as YAML.
pub(super) fn config_map<'t>(rendering: &'t Rendering<'_>) -> Result<Node<'t>, serde_saphyr::ser::Error> {
    let file = serde_saphyr::to_string(&Written(&resource(rendering)))?;
    Ok(object([
        ("apiVersion", text("v1")),
        ("kind", text("ConfigMap")),
        ("metadata", rendering.metadata()),
        ("data", object([("ackguard.yaml", text(file))])),
    ]))
}
