//! The shipped objects, and everything that `ackguard render` makes of them, against the definitions.

use std::fs;
use std::process::Command;

use schemas::{ConfigMap, Deployment, DestinationRule, EnvoyFilter, WasmPlugin, check};
use serde_json::{Value, json};
use stack::{program, root};

const POLICY: &str = "envoy/istio/policy.yaml";
const SHA256: &str = "--sha256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn read(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

fn shipped(file: &str) -> Value {
    read(&fs::read_to_string(root().join("envoy").join(file)).unwrap())
}

/// What the command line renders of a shipped policy.
fn render(arguments: &[&str]) -> Value {
    let ackguard = program("ackguard").unwrap_or_else(|missing| panic!("{missing}"));
    let output = Command::new(ackguard).arg("render").args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    read(&String::from_utf8_lossy(&output.stdout))
}

#[test]
fn the_shipped_objects_fit_their_definitions() {
    assert_eq!(check::<WasmPlugin>(&shipped("istio/wasm-plugin.yaml")), Ok(()));
    assert_eq!(check::<EnvoyFilter>(&shipped("istio/envoy-filter.yaml")), Ok(()));
    assert_eq!(check::<DestinationRule>(&shipped("istio/destination-rule.yaml")), Ok(()));
    assert_eq!(check::<ConfigMap>(&shipped("kubernetes/config-map.yaml")), Ok(()));
    assert_eq!(check::<Deployment>(&shipped("kubernetes/deployment.yaml")), Ok(()));
}

#[test]
fn the_deployment_mounts_what_the_config_map_and_the_bootstrap_name() {
    let deployment = shipped("kubernetes/deployment.yaml");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let mounts: Vec<&str> =
        container["volumeMounts"].as_array().unwrap().iter().filter_map(|mount| mount["mountPath"].as_str()).collect();
    let map = shipped("kubernetes/config-map.yaml");
    let resource = read(map["data"]["ackguard.yaml"].as_str().unwrap());
    let code = &resource["resources"][0]["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"];
    let module = code.as_str().unwrap();
    assert!(mounts.iter().any(|mount| module == format!("{mount}/ackguard.wasm")), "{module} in {mounts:?}");
    // A volume in another one could not be mounted: a ConfigMap's is read-only.
    for mount in &mounts {
        assert!(!mounts.iter().any(|other| mount.starts_with(&format!("{other}/"))), "{mounts:?}");
    }
}

#[test]
fn every_option_renders_what_fits_its_definition() {
    let module = ["--module=oci://registry.example/ackguard:1", "--module=https://modules.example/ackguard.wasm"];
    let mut ways: Vec<Vec<&str>> = vec![vec![], vec!["--namespace=queues", "--selector=app=a", "--selector=role=b"]];
    ways.extend(["gateway", "sidecar-inbound", "sidecar-outbound"].map(|context| vec!["--context", context]));
    ways.extend(module.map(|module| vec![module, SHA256]));
    for way in ways {
        let plugin = render(&[&[POLICY, "--as=wasm-plugin"], way.as_slice()].concat());
        assert_eq!(check::<WasmPlugin>(&plugin), Ok(()), "{way:?}");
        for source in [POLICY, "--dir=envoy/policies"] {
            let filter = render(&[&[source, "--as=envoy-filter"], way.as_slice()].concat());
            assert_eq!(check::<EnvoyFilter>(&filter), Ok(()), "{way:?}");
        }
    }
    let map = render(&[POLICY, "--as=config-map", "--namespace=queues"]);
    assert_eq!(check::<ConfigMap>(&map), Ok(()));
}

#[test]
fn an_unknown_field_and_a_wrong_type_or_value_do_not_fit() {
    let plugin = |edit: &dyn Fn(&mut Value)| {
        let mut object = shipped("istio/wasm-plugin.yaml");
        edit(&mut object);
        check::<WasmPlugin>(&object).unwrap_err().join("\n")
    };
    assert_eq!(
        plugin(&|object| {
            object["spec"]["allowOnHeadersStopIteration"] = true.into();
            object["spec"]["selector"]["labels"] = json!({});
        }),
        "spec.allowOnHeadersStopIteration: unknown field\nspec.selector.?.labels: unknown field"
    );
    assert_eq!(
        plugin(&|object| object["apiVersion"] = "extensions.istio.io/v1".into()),
        r#"apiVersion: "extensions.istio.io/v1" is not extensions.istio.io/v1alpha1"#
    );
    for (said, edit) in [
        ("spec.priority: invalid type: string", &|object: &mut Value| object["spec"]["priority"] = "1".into()),
        ("spec.url: invalid type: integer", &|object: &mut Value| object["spec"]["url"] = 5.into()),
        ("spec.failStrategy: unknown variant `FAIL_SOFT`", &|object: &mut Value| {
            object["spec"]["failStrategy"] = "FAIL_SOFT".into();
        }),
        ("spec.selector.matchLabels.istio: invalid type", &|object: &mut Value| {
            object["spec"]["selector"]["matchLabels"]["istio"] = true.into();
        }),
    ] as [(&str, &dyn Fn(&mut Value)); 4]
    {
        let told = plugin(edit);
        assert!(told.starts_with(said), "{told}");
    }

    let filter = |edit: &dyn Fn(&mut Value)| {
        let mut object = shipped("istio/envoy-filter.yaml");
        edit(&mut object["spec"]["configPatches"][0]);
        check::<EnvoyFilter>(&object).unwrap_err().join("\n")
    };
    let told = filter(&|patch| patch["patch"]["position"] = "first".into());
    assert!(told.ends_with("position: unknown field"), "{told}");
    let told = filter(&|patch| patch["patch"]["operation"] = "PREPEND".into());
    assert!(told.contains("unknown variant `PREPEND`"), "{told}");
    let told = filter(&|patch| patch["match"]["listener"]["portNumber"] = "80".into());
    assert!(told.contains("portNumber: invalid type: string"), "{told}");
}
