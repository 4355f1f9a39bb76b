//! What `ackguard render` prints, in a real Envoy.

use std::fs;
use std::process::Command;

use e2e::gateway::{Gateway, Setup, shipped};
use serde_json::{Value, json};
use stack::{HostMode, http_connection_manager, program, root, wasm};
use tempfile::TempDir;

use crate::configurations::check_guarded;

/// The shipped policy.
fn policy() -> String {
    fs::read_to_string(root().join("envoy/istio/policy.yaml")).expect("the shipped policy")
}

/// What the command line prints for the shipped policy with `headers` and `version`.
pub(crate) fn render(headers: &str, version: &str, default: &str, form: &str) -> Value {
    let policy = policy()
        .replace("headers: streamed", &format!("headers: {headers}"))
        .replace(r#"version: "1""#, &format!("version: {version}"))
        .replace("default: 10s", &format!("default: {default}"));
    read(&print(&policy, form))
}

/// What the command line prints for a policy.
fn print(policy: &str, form: &str) -> String {
    String::from_utf8_lossy(&print_bytes(policy, &["--as", form])).into_owned()
}

fn print_bytes(policy: &str, arguments: &[&str]) -> Vec<u8> {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("policy.yaml");
    fs::write(&file, policy).expect("a file");
    let output = Command::new(program("ackguard").unwrap_or_else(|missing| panic!("{missing}")))
        .arg("render")
        .arg(&file)
        .args(arguments)
        .arg("--module")
        .arg(wasm())
        .output()
        .expect("the command line");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A document of YAML.
pub(crate) fn read(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

const MODES: [(&str, HostMode); 2] = [("held", HostMode::Held), ("streamed", HostMode::Streamed)];

#[tokio::test]
async fn the_resource_guards_as_it_is_rendered() {
    for (headers, mode) in MODES {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("ackguard.json");
        fs::write(&file, render(headers, "rendered", "12s", "ecds").to_string()).expect("a file");
        let gateway = Setup::new(mode).bootstrap(|_| shipped("ecds.yaml").extension_from(&file)).start().await;
        check_guarded(&gateway, "12000", "rendered").await;
        gateway.finish().await;
    }
}

/// What Envoy has of the filter, but for the policy, which is a text in one form and a Struct in the other.
async fn loaded(gateway: &Gateway) -> Value {
    let dump = gateway.envoy.admin_get("/config_dump?resource=ecds_filters").await.expect("Envoy's admin");
    let dump: Value = serde_json::from_str(&dump).expect("JSON");
    let mut filter = dump["configs"][0]["ecds_filter"]["typed_config"].clone();
    assert!(filter["config"]["configuration"].take().is_object(), "{dump:#}");
    filter
}

#[tokio::test]
async fn the_binary_resource_is_to_envoy_what_the_readable_one_is() {
    for (headers, mode) in MODES {
        let folder = TempDir::new().expect("a folder");
        let policy = policy().replace("headers: streamed", &format!("headers: {headers}"));
        let mut filters = Vec::new();
        for (name, arguments) in [("ackguard.pb", &["--binary"][..]), ("ackguard.yaml", &[])] {
            let file = folder.path().join(name);
            fs::write(&file, print_bytes(&policy, arguments)).expect("a file");
            let gateway = Setup::new(mode).bootstrap(|_| shipped("ecds.yaml").extension_from(&file)).start().await;
            check_guarded(&gateway, "10000", "1").await;
            filters.push(loaded(&gateway).await);
            gateway.finish().await;
        }
        assert_eq!(filters[0], filters[1], "{headers}");
    }
}

/// Envoy makes texts of the fractions in a Struct that it reads from YAML.
#[tokio::test]
async fn fractions_reach_the_filter_from_envoys_own_yaml() {
    let rollout = "
rollout:
  candidate: { version: fractions }
  stages: [{ percent: 0.25, hold: 1m }, { percent: 100 }]
  health: { ack_success: 0.9995 }
";
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("ackguard.yaml");
    fs::write(&file, print(&(policy() + rollout), "ecds")).expect("a file");
    let streamed = Setup::new(HostMode::Streamed).bootstrap(|_| shipped("ecds.yaml").extension_from(&file));
    let gateway = streamed.start().await;
    gateway.envoy.stat_reaches("wasmcustom.ackguard_rollout_stage", 1).await.expect("the first stage");
    gateway.finish().await;
}

#[tokio::test]
async fn the_patches_of_the_envoy_filter_guard_where_istio_puts_them() {
    for (headers, mode) in MODES {
        let object = render(headers, "rendered", "12s", "envoy-filter");
        let patches = object["spec"]["configPatches"].as_array().expect("patches");
        let [place, extension] = patches.as_slice() else { panic!("two patches: {object:#}") };
        assert_eq!((&place["applyTo"], &extension["applyTo"]), (&json!("HTTP_FILTER"), &json!("EXTENSION_CONFIG")));
        assert_eq!(place["patch"]["operation"], "INSERT_BEFORE");
        let router = &place["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"];

        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("ackguard.json");
        let mut resource = extension["patch"]["value"].clone();
        resource["@type"] = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig".into();
        fs::write(&file, json!({ "resources": [resource] }).to_string()).expect("a file");

        let bootstrap = shipped("ecds.yaml").with(|document| {
            let manager = http_connection_manager(document, "guarded");
            let filters = manager["http_filters"].as_array_mut().expect("filters");
            filters.retain(|filter| filter["name"] != "ackguard");
            let index = filters.iter().position(|filter| filter["name"] == *router).expect("the patch's router");
            let mut filter = place["patch"]["value"].clone();
            // Istio's control plane is where `ads` points; a file stands in for it, with the same resource in it.
            let source = &mut filter["config_discovery"]["config_source"];
            assert_eq!(source.as_object_mut().expect("a source").remove("ads"), Some(json!({})));
            source["path_config_source"] = json!({});
            filters.insert(index, filter);
        });
        let gateway = Setup::new(mode).bootstrap(|_| bootstrap.extension_from(&file)).start().await;
        check_guarded(&gateway, "12000", "rendered").await;
        gateway.finish().await;
    }
}

#[tokio::test]
async fn the_plugins_policy_guards_in_the_form_that_istiod_hands_on() {
    let object = render("streamed", "rendered", "12s", "wasm-plugin");
    // istiod writes `pluginConfig` as JSON into a StringValue.
    let policy = object["spec"]["pluginConfig"].to_string();
    let setup = Setup::new(HostMode::Streamed).bootstrap(|bootstrap| bootstrap.policy_text(&policy));
    let gateway = setup.start().await;
    check_guarded(&gateway, "12000", "rendered").await;
    gateway.finish().await;
}
