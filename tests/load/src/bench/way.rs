//! What is measured side by side: listeners of one Envoy that are alike but for one filter.

use serde_json::{Value, json};
use stack::{Bootstrap, BootstrapError, HostMode, http_connection_manager};

use crate::limits::{ACKGUARD, local_ratelimit};
use crate::measure::noop;
use crate::steady::LISTENER;

/// The filter of a listener.
pub(super) enum Filter {
    /// None.
    None,
    /// WebAssembly that does nothing.
    Noop,
    /// Envoy's own limit, with this bucket.
    LocalRateLimit(Value),
    /// Lua that checks what AckGuard does.
    Lua,
    /// AckGuard with the shipped policy, changed so.
    AckGuard(fn(&mut Value)),
}

/// The shipped configuration with `ways` for its listeners besides, by their names, and AckGuard at none else. Their virtual
/// machines have nothing in common, and no access log is written: it is measured where telemetry is.
pub(super) fn listeners(ways: Vec<(&'static str, Filter)>) -> Result<Bootstrap, BootstrapError> {
    let shipped = Bootstrap::load("static.yaml")?.host_mode(HostMode::Held);
    Ok(shipped.with(|document| {
        let all = document["static_resources"]["listeners"].clone();
        let template = all.as_array().and_then(|all| all.iter().find(|listener| listener["name"] == LISTENER)).cloned();
        let guard = http_connection_manager(document, LISTENER)["http_filters"][0].clone();
        for (name, filter) in ways {
            let mut listener = template.clone().unwrap_or_default();
            listener["name"] = name.into();
            listener["stat_prefix"] = name.into();
            let Some(all) = document["static_resources"]["listeners"].as_array_mut() else { continue };
            all.push(listener);
            let manager = http_connection_manager(document, name);
            manager["access_log"] = json!([]);
            manager["stat_prefix"] = name.into();
            let Some(filters) = manager["http_filters"].as_array_mut() else { continue };
            filters.retain(|filter| filter["name"] != ACKGUARD);
            if let Some(filter) = filter.configuration(name, &guard) {
                filters.insert(0, filter);
            }
        }
        // A virtual machine of its own, which would be measured as everybody's.
        if let Some(filters) = http_connection_manager(document, LISTENER)["http_filters"].as_array_mut() {
            filters.retain(|filter| filter["name"] != ACKGUARD);
        }
    }))
}

impl Filter {
    /// Its configuration for the listener `name`, made of AckGuard's where it is WebAssembly.
    fn configuration(self, name: &str, guard: &Value) -> Option<Value> {
        let mut wasm = guard.clone();
        wasm["typed_config"]["config"]["vm_config"]["vm_id"] = name.into();
        let config = &mut wasm["typed_config"]["config"];
        Some(match self {
            Self::None => return None,
            Self::Noop => {
                config["vm_config"]["code"]["local"]["filename"] = noop().display().to_string().into();
                config["configuration"] = Value::Null;
                wasm
            }
            Self::LocalRateLimit(bucket) => local_ratelimit(bucket),
            Self::Lua => json!({
                "name": "envoy.filters.http.lua",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                    "default_source_code": { "inline_string": include_str!("check.lua") },
                },
            }),
            Self::AckGuard(edit) => {
                edit(&mut config["configuration"]["value"]);
                wasm
            }
        })
    }
}
