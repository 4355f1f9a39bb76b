//! The filters that AckGuard is measured against, and AckGuard itself.

use serde_json::{Value, json};
use stack::http_connection_manager;

use super::noop;

/// AckGuard's name among the filters of the shipped configuration.
const ACKGUARD: &str = "ackguard";

/// The filter of a listener.
pub(crate) enum Filter {
    /// None.
    None,
    /// WebAssembly that does nothing.
    Noop,
    /// Envoy's own limit, with this bucket for all workers.
    LocalRateLimit(Value),
    /// Lua that checks what AckGuard does.
    Lua,
    /// AckGuard with the shipped policy, changed so.
    AckGuard(fn(&mut Value)),
}

impl Filter {
    /// Puts it into the place that AckGuard has at `listener`. WebAssembly gets a virtual machine of the listener's own.
    pub(crate) fn put(self, document: &mut Value, listener: &str) {
        let filters = http_connection_manager(document, listener)["http_filters"].as_array_mut();
        let Some(filters) = filters else { return };
        let Some(place) = filters.iter().position(|filter| filter["name"] == ACKGUARD) else { return };
        let guard = filters.remove(place);
        if let Some(filter) = self.configuration(listener, guard) {
            filters.insert(place, filter);
        }
    }

    /// Its configuration for the listener `name`, made of AckGuard's where it is WebAssembly.
    fn configuration(self, name: &str, mut guard: Value) -> Option<Value> {
        let config = &mut guard["typed_config"]["config"];
        config["vm_config"]["vm_id"] = name.into();
        Some(match self {
            Self::None => return None,
            Self::Noop => {
                config["vm_config"]["code"]["local"]["filename"] = noop().display().to_string().into();
                config["configuration"] = Value::Null;
                guard
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
                guard
            }
        })
    }
}

/// A bucket of Envoy's.
pub(crate) fn token_bucket(max: u32, fill: u32, interval: &str) -> Value {
    json!({ "max_tokens": max, "tokens_per_fill": fill, "fill_interval": interval })
}

fn local_ratelimit(bucket: Value) -> Value {
    let always = json!({ "default_value": { "numerator": 100, "denominator": "HUNDRED" } });
    json!({
        "name": "envoy.filters.http.local_ratelimit",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": "limit",
            "token_bucket": bucket,
            "filter_enabled": always,
            "filter_enforced": always,
        },
    })
}
