//! Where a proxy finds `ackguard.wasm`.

use std::str::FromStr;

use ackguard::json::Node;

use super::build::{object, text};

/// Where a proxy finds the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Module {
    /// In its own file system.
    File(String),
    /// In an OCI registry, as `oci://…`, or at a web server: Istio's agent fetches it for the proxy.
    Remote(String),
}

impl FromStr for Module {
    type Err = String;

    fn from_str(text: &str) -> Result<Module, String> {
        match text.split_once("://") {
            None if text.starts_with('/') => Ok(Module::File(text.to_owned())),
            Some(("file", path)) if path.starts_with('/') => Ok(Module::File(path.to_owned())),
            Some(("oci" | "https" | "http", rest)) if !rest.is_empty() => Ok(Module::Remote(text.to_owned())),
            // Relative to the folder that Envoy was started from, as in this repository's own examples.
            None if text.ends_with(".wasm") => Ok(Module::File(text.to_owned())),
            _ => Err("expected a path, or a URL with oci://, https:// or http://".to_owned()),
        }
    }
}

impl Module {
    /// As Istio's WasmPlugin names it.
    pub(super) fn url(&self) -> String {
        match self {
            Module::File(path) => format!("file://{path}"),
            Module::Remote(url) => url.clone(),
        }
    }

    /// As Envoy's `AsyncDataSource`.
    pub(super) fn data_source<'t>(&'t self, sha256: Option<&'t str>) -> Node<'t> {
        match self {
            Module::File(path) => object([("local", object([("filename", text(path))]))]),
            Module::Remote(url) => {
                // Istio's agent downloads the module before Envoy sees this, so that no cluster has to be there; the
                // name is the one that Istio itself puts here, since the field may not be empty.
                let uri = object([("uri", text(url)), ("timeout", text("30s")), ("cluster", text("_"))]);
                let sha256 = sha256.map(|sha256| ("sha256", text(sha256)));
                object([("remote", object([("http_uri", uri)].into_iter().chain(sha256)))])
            }
        }
    }
}
