//! Istio's objects.

use ackguard::json::Node;

use super::Rendering;
use super::build::{list, object, text};
use super::ecds::{WASM_TYPE, extension};

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
pub(super) fn wasm_plugin<'t>(rendering: &'t Rendering<'_>) -> Node<'t> {
    let mode = match rendering.context {
        Context::Gateway => None,
        Context::SidecarInbound => Some("SERVER"),
        Context::SidecarOutbound => Some("CLIENT"),
    };
    let mut spec = Vec::new();
    spec.extend(rendering.labels().map(|labels| ("selector", object([("matchLabels", labels)]))));
    spec.push(("url", text(rendering.module.url())));
    spec.extend(rendering.sha256.as_deref().map(|sha256| ("sha256", text(sha256))));
    spec.push(("pluginName", text("ackguard")));
    // A trapped VM answers 503 and is made anew: a failed guard lets nothing by.
    spec.push(("failStrategy", text("FAIL_RELOAD")));
    spec.extend(mode.map(|mode| ("match", list([object([("mode", text(mode))])]))));
    spec.push(("pluginConfig", rendering.policy.clone()));
    kubernetes("extensions.istio.io/v1alpha1", "WasmPlugin", rendering, object(spec))
}

/// An `EnvoyFilter` of two patches: the filter's place, before the router, and the filter itself, which istiod delivers
/// by extension discovery, so that a new policy changes no listener and drains no connection.
pub(super) fn envoy_filter<'t>(rendering: &'t Rendering<'_>) -> Node<'t> {
    let context = match rendering.context {
        Context::Gateway => "GATEWAY",
        Context::SidecarInbound => "SIDECAR_INBOUND",
        Context::SidecarOutbound => "SIDECAR_OUTBOUND",
    };
    let router = object([("name", text("envoy.filters.http.router"))]);
    let manager = object([("name", text("envoy.filters.network.http_connection_manager")), ("subFilter", router)]);
    let listener = object([("filterChain", object([("filter", manager)]))]);
    let source = object([
        ("resource_api_version", text("V3")),
        ("ads", object::<&str>([])),
        // No limit: a listener waits for its guard and does not begin without.
        ("initial_fetch_timeout", text("0s")),
    ]);
    let discovery = object([("config_source", source), ("type_urls", list([text(WASM_TYPE)]))]);
    let place = object([("name", text(&rendering.name)), ("config_discovery", discovery)]);
    let patches = [
        patch(
            "HTTP_FILTER",
            object([("context", text(context)), ("listener", listener)]),
            object([("operation", text("INSERT_BEFORE")), ("value", place)]),
        ),
        patch(
            "EXTENSION_CONFIG",
            object([("context", text(context))]),
            object([("operation", text("ADD")), ("value", object(extension(rendering)))]),
        ),
    ];
    let selector = rendering.labels().map(|labels| ("workloadSelector", object([("labels", labels)])));
    let spec = object(selector.into_iter().chain([("configPatches", list(patches))]));
    kubernetes("networking.istio.io/v1alpha3", "EnvoyFilter", rendering, spec)
}

fn patch<'t>(apply_to: &'static str, place: Node<'t>, patch: Node<'t>) -> Node<'t> {
    object([("applyTo", text(apply_to)), ("match", place), ("patch", patch)])
}

fn kubernetes<'t>(version: &'static str, kind: &'static str, rendering: &'t Rendering<'_>, spec: Node<'t>) -> Node<'t> {
    object([("apiVersion", text(version)), ("kind", text(kind)), ("metadata", rendering.metadata()), ("spec", spec)])
}
