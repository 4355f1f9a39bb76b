//! The configurations that users load, in the real Envoy.

use std::path::Path;

use serde_json::{Value, json};
use stack::{Bootstrap, Envoy, HostMode, Protocol, StartFailure, Workers, cluster, http_connection_manager};

#[tokio::test]
async fn both_shipped_configurations_start_without_a_warning() {
    for file in ["static.yaml", "ecds.yaml"] {
        let envoy = Envoy::start(Bootstrap::load(file).unwrap(), Workers(2)).await.unwrap();
        assert_eq!(envoy.warnings(), Vec::<String>::new(), "{file}");
    }
}

#[tokio::test]
async fn the_shipped_files_differ_in_the_host_mode_alone() {
    let held = Bootstrap::load("static.yaml").unwrap();
    let streamed = Bootstrap::load("ecds.yaml").unwrap();
    assert_eq!(held.current_policy()["host"]["headers"], "held");
    assert_eq!(streamed.current_policy()["host"]["headers"], "streamed");
    assert_eq!(held.host_mode(HostMode::Streamed).current_policy(), streamed.current_policy());
}

#[tokio::test]
async fn envoys_run_side_by_side() {
    let start = async || Envoy::start(Bootstrap::load("static.yaml").unwrap(), Workers(1)).await.unwrap();
    let (one, other) = tokio::join!(start(), start());
    let mut ports = [one.guarded(), one.bare(), one.admin(), other.guarded(), other.bare(), other.admin()]
        .map(|a| a.port())
        .to_vec();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 6, "{ports:?}");
}

#[tokio::test]
async fn a_refused_configuration_is_told_in_envoys_words() {
    let bootstrap = Bootstrap::load("static.yaml")
        .unwrap()
        .with(|document| http_connection_manager(document, "guarded")["no_such_field"] = json!(1));
    let failure = Envoy::start(bootstrap, Workers(1)).await.unwrap_err();
    assert!(matches!(failure, StartFailure::Refused { .. }), "{failure}");
    assert!(failure.log().contains("no_such_field"), "{failure}");
}

#[tokio::test]
async fn a_missing_module_stops_envoy() {
    let bootstrap = Bootstrap::load("static.yaml").unwrap().wasm(Path::new("/nonexistent.wasm"));
    let failure = Envoy::start(bootstrap, Workers(1)).await.unwrap_err();
    assert!(failure.log().contains("/nonexistent.wasm"), "{failure}");
}

#[tokio::test]
async fn what_is_put_in_is_what_envoy_runs() {
    let upstream = "127.0.0.1:9".parse().unwrap();
    let bootstrap = Bootstrap::load("static.yaml")
        .unwrap()
        .host_mode(HostMode::Streamed)
        .edit_policy(|policy| policy["version"] = json!("edited"))
        .upstream(upstream, Protocol::Http2);
    let envoy = Envoy::start(bootstrap, Workers(1)).await.unwrap();
    let dump = envoy.admin_get("/config_dump").await.unwrap();
    for expected in ["\"edited\"", "\"streamed\"", "\"port_value\": 9\n", "\"http2_protocol_options\""] {
        assert!(dump.contains(expected), "{expected} is not in {dump}");
    }
    assert!(!dump.contains("\"allow_on_headers_stop_iteration\": true"));
}

#[tokio::test]
async fn a_filter_that_is_delivered_later_takes_effect() {
    const UPDATES: &str = "extension_config_discovery.http_filter.ackguard.update_success";
    let bootstrap = Bootstrap::load("ecds.yaml").unwrap();
    let envoy = Envoy::start(bootstrap.clone(), Workers(2)).await.unwrap();
    assert_eq!(envoy.stat(UPDATES).await.unwrap(), 1);
    envoy.deliver(&bootstrap.edit_policy(|policy| policy["version"] = json!("2"))).unwrap();
    envoy.stat_reaches(UPDATES, 2).await.unwrap();
}

#[tokio::test]
async fn an_envoy_ends_with_its_handle() {
    let envoy = Envoy::start(Bootstrap::load("static.yaml").unwrap(), Workers(1)).await.unwrap();
    let process = format!("/proc/{}", envoy.pid());
    assert!(Path::new(&process).exists());
    drop(envoy);
    assert!(!Path::new(&process).exists());
}

/// The document of `file`, with the addresses, ports and module of a test.
fn document(file: &str) -> Value {
    let mut document = Value::Null;
    drop(Bootstrap::load(file).unwrap().with(|loaded| document = loaded.clone()));
    document
}

#[tokio::test]
async fn the_gateway_of_the_compose_stack_is_the_static_one_and_its_telemetry() {
    let mut compose = document("compose/envoy.yaml");
    let mut of = |path: &str, field: &str| {
        let place = compose.pointer_mut(path).and_then(Value::as_object_mut);
        place.and_then(|place| place.remove(field)).unwrap_or_else(|| panic!("no {field} in {path}"));
    };
    for field in ["layered_runtime", "stats_flush_interval", "stats_sinks"] {
        of("", field);
    }
    for listener in [0, 1] {
        of(&format!("/static_resources/listeners/{listener}/filter_chains/0/filters/0/typed_config"), "tracing");
    }
    let clusters = compose["static_resources"]["clusters"].as_array_mut().unwrap();
    clusters.retain(|cluster| cluster["name"] != "otel-collector");
    cluster(&mut compose)["type"] = "STATIC".into();
    assert_eq!(compose, document("static.yaml"));
}

#[tokio::test]
async fn the_gateway_of_the_compose_stack_starts_without_a_warning() {
    let bootstrap = Bootstrap::load("compose/envoy.yaml").unwrap().collector("127.0.0.1:9".parse().unwrap());
    let envoy = Envoy::start(bootstrap, Workers(2)).await.unwrap();
    assert_eq!(envoy.warnings(), Vec::<String>::new());
}
