//! What is measured side by side: listeners of one Envoy that are alike but for one filter.

use serde_json::json;
use stack::{Bootstrap, BootstrapError, HostMode, http_connection_manager};

use crate::measure::Filter;
use crate::steady::LISTENER;

/// The shipped configuration with `ways` for its listeners besides, by their names, and AckGuard at none else. Their virtual
/// machines have nothing in common, and no access log is written: it is measured where telemetry is.
pub(super) fn listeners(ways: Vec<(&'static str, Filter)>) -> Result<Bootstrap, BootstrapError> {
    let shipped = Bootstrap::load("static.yaml")?.host_mode(HostMode::Held);
    Ok(shipped.with(|document| {
        let all = document["static_resources"]["listeners"].clone();
        let template = all.as_array().and_then(|all| all.iter().find(|listener| listener["name"] == LISTENER)).cloned();
        for (name, filter) in ways {
            let mut listener = template.clone().unwrap_or_default();
            listener["name"] = name.into();
            listener["stat_prefix"] = name.into();
            let Some(all) = document["static_resources"]["listeners"].as_array_mut() else { continue };
            all.push(listener);
            let manager = http_connection_manager(document, name);
            manager["access_log"] = json!([]);
            manager["stat_prefix"] = name.into();
            filter.put(document, name);
        }
        // A virtual machine of its own, which would be measured as everybody's.
        Filter::None.put(document, LISTENER);
    }))
}
