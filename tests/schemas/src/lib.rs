//! Istio's and Kubernetes' own definitions, which the objects that AckGuard renders must fit.
//!
//! The types are generated from Istio 1.27's CustomResourceDefinitions and from Kubernetes' OpenAPI. An API server prunes
//! an unknown field in silence, and a guard would be missing what its writer believes in; so here it is a fault.

use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use istio_api_rs::extensions::v1alpha1::wasm_plugin::WasmPlugin;
pub use istio_api_rs::networking::v1::destination_rule::DestinationRule;
pub use istio_api_rs::networking::v1alpha3::envoy_filter::EnvoyFilter;
pub use k8s_openapi::api::apps::v1::Deployment;
pub use k8s_openapi::api::core::v1::ConfigMap;

/// Checks that `object` is what `T` defines: of its kind, every field known, of its type, and of the values that it may
/// have.
///
/// # Errors
/// The paths of all unknown fields; or the path of the first that has another type or value, and what was expected.
pub fn check<T>(object: &Value) -> Result<(), Vec<String>>
where
    T: DeserializeOwned + Resource<DynamicType = ()>,
{
    let mut faults = Vec::new();
    for (field, expected) in [("apiVersion", T::api_version(&())), ("kind", T::kind(&()))] {
        if object[field] != *expected {
            faults.push(format!("{field}: {} is not {expected}", object[field]));
        }
    }
    let mut note = |path: serde_ignored::Path<'_>| {
        let path = path.to_string();
        // The types of a CustomResourceDefinition leave these two to their reader.
        if path != "apiVersion" && path != "kind" {
            faults.push(format!("{path}: unknown field"));
        }
    };
    let known = serde_ignored::Deserializer::new(object, &mut note);
    if let Err(error) = serde_path_to_error::deserialize::<_, T>(known) {
        return Err(vec![error.to_string()]);
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}
