//! Envoy's configuration: what users load from `envoy/`, with ports, policy and paths put in.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::place::{root, wasm};
use crate::ports::Ports;

/// Name of the listener with AckGuard.
pub(crate) const GUARDED: &str = "guarded";
/// Name of the same listener without it.
pub(crate) const BARE: &str = "bare";
/// Name of the filter.
const FILTER: &str = "ackguard";
/// Name of the upstream's cluster.
const CLUSTER: &str = "broker";
/// Name of the OpenTelemetry collector's cluster.
const COLLECTOR: &str = "otel-collector";
/// Where the filter's configuration stands that ECDS delivers, below the folder that Envoy runs from.
const EXTENSION: &str = "ecds/ackguard.json";

/// A configuration that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not YAML.
    #[error("{}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A file lacks what the stack changes in it.
    #[error("{}: expected {expected}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is not there.
        expected: &'static str,
    },
}

/// How the plugin holds a request that waits for its body, and the policy's `host.headers` that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostMode {
    /// `allow_on_headers_stop_iteration`: headers wait too.
    Held,
    /// Headers go ahead: Istio, and Envoy before 1.35.
    Streamed,
}

/// The HTTP that Envoy speaks to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS.
    Http2,
}

/// A configuration for Envoy, in the making. Its ports are any free ones until [`Bootstrap::ports`] names others.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    document: Value,
    /// The resource that ECDS delivers, where the document's filter comes by it.
    extension: Option<Value>,
}

impl Bootstrap {
    /// Reads `envoy/<file>` of this repository: `static.yaml`, `compose/envoy.yaml`, or `ecds.yaml` and the resource that it
    /// names.
    ///
    /// # Errors
    /// Where a file cannot be read, or lacks the listeners, the filter or the cluster.
    pub fn load(file: &str) -> Result<Self, BootstrapError> {
        let path = root().join("envoy").join(file);
        let document = read_yaml(&path)?;
        let expect = |there: bool, expected| {
            if there { Ok(()) } else { Err(BootstrapError::Shape { path: path.clone(), expected }) }
        };
        let mut bootstrap = Self { document, extension: None };
        for name in [GUARDED, BARE] {
            let listeners = &bootstrap.document["static_resources"]["listeners"];
            expect(position(listeners, name).is_some(), "the listeners `guarded` and `bare`")?;
        }
        expect(
            position(&bootstrap.document["static_resources"]["clusters"], CLUSTER).is_some(),
            "the cluster `broker`",
        )?;
        let filters = &http_connection_manager(&mut bootstrap.document, GUARDED)["http_filters"];
        let filter = position(filters, FILTER).map(|index| filters[index].clone());
        expect(filter.is_some(), "the filter `ackguard` in the listener `guarded`")?;
        if let Some(source) =
            filter.unwrap_or_default().pointer("/config_discovery/config_source/path_config_source/path")
        {
            let resource = root().join(source.as_str().unwrap_or_default());
            bootstrap.extension = Some(read_yaml(&resource)?);
        }
        Ok(bootstrap.ports(&Ports::EPHEMERAL).wasm(&wasm()))
    }

    /// Sets the ports of the listeners, of the admin and of the broker's cluster, all at 127.0.0.1.
    #[must_use]
    pub fn ports(mut self, ports: &Ports) -> Self {
        let local = |port: u16| json!({ "address": "127.0.0.1", "port_value": port });
        for (name, port) in [(GUARDED, ports.gateway), (BARE, ports.bare)] {
            listener(&mut self.document, name)["address"]["socket_address"] = local(port);
        }
        self.document["admin"]["address"]["socket_address"] = local(ports.envoy_admin);
        *self.endpoint() = local(ports.broker);
        self
    }

    /// Sets the upstream of both listeners.
    #[must_use]
    pub fn upstream(self, address: SocketAddr, protocol: Protocol) -> Self {
        self.upstreams(&[address], protocol)
    }

    /// Sets the upstreams that both listeners share their requests out to.
    #[must_use]
    pub fn upstreams(mut self, addresses: &[SocketAddr], protocol: Protocol) -> Self {
        let endpoint = |address: &SocketAddr| {
            let socket = json!({ "address": address.ip().to_string(), "port_value": address.port() });
            json!({ "endpoint": { "address": { "socket_address": socket } } })
        };
        self.cluster()["load_assignment"]["endpoints"][0]["lb_endpoints"] = addresses.iter().map(endpoint).collect();
        let options = match protocol {
            Protocol::Http1 => json!({ "http_protocol_options": { "enable_trailers": true } }),
            Protocol::Http2 => json!({ "http2_protocol_options": {} }),
        };
        let kinds = &mut self.cluster()["typed_extension_protocol_options"];
        kinds["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]["explicit_http_config"] = options;
        self
    }

    /// Sets the module of the filter.
    #[must_use]
    pub fn wasm(mut self, module: &Path) -> Self {
        self.plugin()["vm_config"]["code"]["local"]["filename"] = module.display().to_string().into();
        self
    }

    /// Sets the whole policy, as a `google.protobuf.Struct`.
    #[must_use]
    pub fn policy(mut self, policy: Value) -> Self {
        self.plugin()["configuration"] =
            json!({ "@type": "type.googleapis.com/google.protobuf.Struct", "value": policy });
        self
    }

    /// Sets the plugin's configuration to `text` as it is, as a `google.protobuf.StringValue`.
    #[must_use]
    pub fn policy_text(mut self, text: &str) -> Self {
        self.plugin()["configuration"] =
            json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text });
        self
    }

    /// Changes the policy that stands in the file.
    #[must_use]
    pub fn edit_policy(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.plugin()["configuration"]["value"]);
        self
    }

    /// Sets how a request waits, both in the plugin and in the policy, which must agree. A policy that is set later as
    /// a whole must say it again.
    #[must_use]
    pub fn host_mode(mut self, mode: HostMode) -> Self {
        let (held, headers) = match mode {
            HostMode::Held => (true, "held"),
            HostMode::Streamed => (false, "streamed"),
        };
        self.plugin()["allow_on_headers_stop_iteration"] = held.into();
        self.edit_policy(|policy| policy["host"]["headers"] = headers.into())
    }

    /// Sets where spans and statistics go. The configuration must be one that sends them, as `compose/envoy.yaml`.
    #[must_use]
    pub fn collector(mut self, address: SocketAddr) -> Self {
        let cluster = named(&mut self.document["static_resources"]["clusters"], COLLECTOR);
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"] =
            json!({ "address": address.ip().to_string(), "port_value": address.port() });
        self
    }

    /// Sends no health checks, for an upstream that answers or counts requests in its own way. All the rest of what the
    /// shipped file does about a broker that fails stays.
    #[must_use]
    pub fn without_health_checks(mut self) -> Self {
        self.cluster()["health_checks"] = json!([]);
        self
    }

    /// Changes anything else in the document; [`listener`], [`http_connection_manager`] and [`cluster`] find their way
    /// in it.
    #[must_use]
    pub fn with(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.document);
        self
    }

    /// Reads the filter by ECDS from `path`, which is the caller's to write, in place of this configuration's own
    /// resource. The filter must come by ECDS, as in `ecds.yaml`.
    #[must_use]
    pub fn extension_from(mut self, path: &Path) -> Self {
        self.extension = None;
        let source = &mut self.filter()["config_discovery"]["config_source"]["path_config_source"];
        source["path"] = path.display().to_string().into();
        source["watched_directory"]["path"] = path.with_file_name("").display().to_string().into();
        self
    }

    /// The plugin's policy.
    #[must_use]
    pub fn current_policy(&self) -> Value {
        self.clone().plugin()["configuration"]["value"].clone()
    }

    /// Writes all into `folder` and returns the path of the bootstrap, for `envoy -c`.
    pub(crate) fn write_to(mut self, folder: &Path) -> Result<PathBuf, BootstrapError> {
        if self.extension.is_some() {
            move_extension(folder, &self.extension()?)?;
            self = self.extension_from(&folder.join(EXTENSION));
        }
        let path = folder.join("bootstrap.json");
        write_json(&path, &self.document)?;
        Ok(path)
    }

    /// The resource that ECDS delivers, as the text of a file.
    ///
    /// # Errors
    /// Where the configuration is one without ECDS.
    pub fn extension(&self) -> Result<String, BootstrapError> {
        let shape =
            || BootstrapError::Shape { path: EXTENSION.into(), expected: "a configuration with ECDS, as in ecds.yaml" };
        self.extension.as_ref().map(Value::to_string).ok_or_else(shape)
    }

    fn filter(&mut self) -> &mut Value {
        named(&mut http_connection_manager(&mut self.document, GUARDED)["http_filters"], FILTER)
    }

    fn plugin(&mut self) -> &mut Value {
        let typed_config = match &mut self.extension {
            Some(resource) => &mut resource["resources"][0]["typed_config"],
            None => {
                let filters = &mut http_connection_manager(&mut self.document, GUARDED)["http_filters"];
                &mut named(filters, FILTER)["typed_config"]
            }
        };
        &mut typed_config["config"]
    }

    fn cluster(&mut self) -> &mut Value {
        cluster(&mut self.document)
    }

    fn endpoint(&mut self) -> &mut Value {
        let endpoint = &mut self.cluster()["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        &mut endpoint["address"]["socket_address"]
    }
}

/// Makes `text` the file that ECDS reads below `folder`. Returns the moment of the move.
pub(crate) fn move_extension(folder: &Path, text: &str) -> Result<Instant, BootstrapError> {
    move_into_place(&folder.join(EXTENSION), text.as_bytes())
}

/// Makes `bytes` the file at `path`, whose folder Envoy watches: writes them beside that folder and moves them into
/// place, as Envoy's watch needs it. Returns the moment of the move.
///
/// # Errors
/// Where a file cannot be written.
pub fn move_into_place(path: &Path, bytes: &[u8]) -> Result<Instant, BootstrapError> {
    let file = |source| BootstrapError::File { path: path.to_owned(), source };
    let watched = path.parent().unwrap_or(path);
    let fresh = watched.with_extension("new");
    fs::create_dir_all(watched).map_err(file)?;
    fs::write(&fresh, bytes).map_err(file)?;
    let moved = Instant::now();
    fs::rename(&fresh, path).map_err(file)?;
    Ok(moved)
}

/// The listener `name` of a bootstrap.
///
/// # Panics
/// Where it is not there.
pub fn listener<'a>(document: &'a mut Value, name: &str) -> &'a mut Value {
    named(&mut document["static_resources"]["listeners"], name)
}

/// The configuration of the HTTP connection manager of the listener `name`.
///
/// # Panics
/// Where it is not there.
pub fn http_connection_manager<'a>(document: &'a mut Value, name: &str) -> &'a mut Value {
    &mut listener(document, name)["filter_chains"][0]["filters"][0]["typed_config"]
}

/// The cluster of the upstreams.
///
/// # Panics
/// Where it is not there.
pub fn cluster(document: &mut Value) -> &mut Value {
    named(&mut document["static_resources"]["clusters"], CLUSTER)
}

fn position(list: &Value, name: &str) -> Option<usize> {
    list.as_array()?.iter().position(|item| item["name"] == name)
}

fn named<'a>(list: &'a mut Value, name: &str) -> &'a mut Value {
    let Some(index) = position(list, name) else { panic!("no `{name}` among {list}") };
    &mut list[index]
}

fn read_yaml(path: &Path) -> Result<Value, BootstrapError> {
    let text = fs::read_to_string(path).map_err(|source| BootstrapError::File { path: path.to_owned(), source })?;
    serde_saphyr::from_str(&text)
        .map_err(|error| BootstrapError::Syntax { path: path.to_owned(), reason: error.to_string() })
}

fn write_json(path: &Path, document: &Value) -> Result<(), BootstrapError> {
    fs::write(path, format!("{document:#}")).map_err(|source| BootstrapError::File { path: path.to_owned(), source })
}
