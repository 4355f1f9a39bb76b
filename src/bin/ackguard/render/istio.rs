//! Istio's objects.

use super::Rendering;
use super::ecds::{WASM_TYPE, extension};
use super::tree::Tree;

/// Which of a proxy's listeners are guarded.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub(super) enum Context {
    /// Those of a gateway
    Gateway,
    /// What arrives at a workload with a sidecar, such as the broker
    SidecarInbound,
    /// What a workload with a sidecar sends, such as a consumer
    SidecarOutbound,
}

/// A `WasmPlugin`: Istio puts the filter before the router, fetches the module and delivers the policy.
pub(super) fn wasm_plugin(rendering: &Rendering) -> Tree {
    let mut spec = Tree::object([]);
    if let Some(labels) = rendering.labels() {
        spec.push("selector", Tree::object([("matchLabels", labels)]));
    }
    spec.push("url", rendering.module.url().as_str().into());
    if let Some(sha256) = &rendering.sha256 {
        spec.push("sha256", sha256.as_str().into());
    }
    spec.push("pluginName", "ackguard".into());
    // A trapped VM answers 503 and is made anew: a failed guard lets nothing by.
    spec.push("failStrategy", "FAIL_RELOAD".into());
    let mode = match rendering.context {
        Context::Gateway => None,
        Context::SidecarInbound => Some("SERVER"),
        Context::SidecarOutbound => Some("CLIENT"),
    };
    if let Some(mode) = mode {
        spec.push("match", Tree::List(vec![Tree::object([("mode", mode.into())])]));
    }
    spec.push("pluginConfig", rendering.policy.clone());
    object("extensions.istio.io/v1alpha1", "WasmPlugin", rendering, spec)
}

/// An `EnvoyFilter` of two patches: the filter's place, before the router, and the filter itself, which istiod delivers
/// by extension discovery, so that a new policy changes no listener and drains no connection.
pub(super) fn envoy_filter(rendering: &Rendering) -> Tree {
    let context = match rendering.context {
        Context::Gateway => "GATEWAY",
        Context::SidecarInbound => "SIDECAR_INBOUND",
        Context::SidecarOutbound => "SIDECAR_OUTBOUND",
    };
    let router = Tree::object([("name", "envoy.filters.http.router".into())]);
    let manager =
        Tree::object([("name", "envoy.filters.network.http_connection_manager".into()), ("subFilter", router)]);
    let listener = Tree::object([("filterChain", Tree::object([("filter", manager)]))]);
    let source = Tree::object([
        ("resource_api_version", "V3".into()),
        ("ads", Tree::object([])),
        // No limit: a listener waits for its guard and does not begin without.
        ("initial_fetch_timeout", "0s".into()),
    ]);
    let discovery = Tree::object([("config_source", source), ("type_urls", Tree::List(vec![WASM_TYPE.into()]))]);
    let place = Tree::object([("name", rendering.name.as_str().into()), ("config_discovery", discovery)]);
    let patches = [
        (
            "HTTP_FILTER",
            Tree::object([("context", context.into()), ("listener", listener)]),
            Tree::object([("operation", "INSERT_BEFORE".into()), ("value", place)]),
        ),
        (
            "EXTENSION_CONFIG",
            Tree::object([("context", context.into())]),
            Tree::object([("operation", "ADD".into()), ("value", Tree::Object(extension(rendering)))]),
        ),
    ]
    .map(|(apply_to, place, patch)| Tree::object([("applyTo", apply_to.into()), ("match", place), ("patch", patch)]));
    let mut spec = Tree::object([]);
    if let Some(labels) = rendering.labels() {
        spec.push("workloadSelector", Tree::object([("labels", labels)]));
    }
    spec.push("configPatches", Tree::List(patches.into()));
    object("networking.istio.io/v1alpha3", "EnvoyFilter", rendering, spec)
}

fn object(version: &str, kind: &str, rendering: &Rendering, spec: Tree) -> Tree {
    Tree::object([
        ("apiVersion", version.into()),
        ("kind", kind.into()),
        ("metadata", rendering.metadata()),
        ("spec", spec),
    ])
}
