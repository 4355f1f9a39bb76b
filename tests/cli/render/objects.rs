//! What is rendered of one policy.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{document, path, refused, rendered};
use crate::program::{command, run};

const POLICY: &str = "envoy/istio/policy.yaml";
const FORMS: [&str; 5] = ["ecds", "config-map", "wasm-plugin", "envoy-filter", "policy"];

/// Runs `test` with the shipped policy, changed.
fn with_policy(edit: impl FnOnce(&mut Value), test: impl FnOnce(&str)) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("policy.json");
    let mut policy = document(&rendered(&[POLICY, "--as=policy"]));
    edit(&mut policy);
    fs::write(&file, policy.to_string()).unwrap();
    test(path(&file));
}

fn held(policy: &mut Value) {
    policy["host"]["headers"] = "held".into();
}

/// The plugin's configuration in an object.
fn plugin<'a>(form: &str, object: &'a Value) -> &'a Value {
    match form {
        "ecds" => &object["resources"][0]["typed_config"]["config"],
        "envoy-filter" => &object["spec"]["configPatches"][1]["patch"]["value"]["typed_config"]["config"],
        _ => panic!("no plugin in {form}"),
    }
}

#[test]
fn every_form_carries_the_policy_and_json_says_the_same_as_yaml() {
    let policy = document(&fs::read_to_string(POLICY).unwrap());
    for form in FORMS {
        let form_argument = format!("--as={form}");
        let object = document(&rendered(&[POLICY, &form_argument]));
        let json: Value = serde_json::from_str(&rendered(&[POLICY, &form_argument, "--json"])).unwrap();
        let carried = match form {
            "policy" => object.clone(),
            "wasm-plugin" => object["spec"]["pluginConfig"].clone(),
            "config-map" => {
                let file = object["data"]["ackguard.yaml"].as_str().unwrap();
                assert_eq!(document(file), document(&rendered(&[POLICY])));
                plugin("ecds", &document(file))["configuration"]["value"].clone()
            }
            _ => plugin(form, &object)["configuration"]["value"].clone(),
        };
        assert_eq!(carried, policy, "{form}");
        // The file within a ConfigMap is text, and YAML in both.
        assert_eq!(json, object, "{form}");
    }
}

#[test]
fn a_policy_is_read_from_standard_input() {
    let read = run(command("../..", &["render", "-"]), &fs::read(POLICY).unwrap());
    assert_eq!(read.stdout, rendered(&[POLICY]));
}

#[test]
fn a_policy_is_found_where_it_was_rendered_to() {
    for form in ["ecds", "wasm-plugin", "envoy-filter"] {
        let object = rendered(&[POLICY, &format!("--as={form}")]);
        let read = run(command("../..", &["render", "-", "--as=policy"]), object.as_bytes());
        assert_eq!(read.stdout, rendered(&[POLICY, "--as=policy"]), "{form}");
    }
}

#[test]
fn headers_are_held_exactly_where_the_policy_says_so() {
    for form in ["ecds", "envoy-filter"] {
        let form_argument = format!("--as={form}");
        let streamed = document(&rendered(&[POLICY, &form_argument]));
        assert_eq!(plugin(form, &streamed)["allow_on_headers_stop_iteration"], Value::Null, "{form}");
        with_policy(held, |policy| {
            let object = document(&rendered(&[policy, &form_argument]));
            assert_eq!(plugin(form, &object)["allow_on_headers_stop_iteration"], true, "{form}");
        });
    }
    with_policy(held, |policy| {
        let told = refused(&[policy, "--as=wasm-plugin"], 1);
        assert!(told.contains("host.headers: held") && told.contains("--as envoy-filter"), "{told}");
    });
}

#[test]
fn a_policy_that_the_filter_refuses_is_not_rendered_in_any_form() {
    let edit = |policy: &mut Value| {
        policy["defaults"]["ack_timeout"]["min"] = "fast".into();
        policy["surprise"] = json!(1);
    };
    with_policy(edit, |policy| {
        for form in FORMS {
            let told = refused(&[policy, &format!("--as={form}")], 1);
            let errors: Vec<&str> = told.lines().filter(|line| line.contains(": error[")).collect();
            assert!(
                errors[0].contains(r#"error[wrong-value]: defaults.ack_timeout.min: "fast" is not a duration"#),
                "{told}"
            );
            assert!(errors[1].contains("error[unknown-field]: surprise: unknown field"), "{told}");
            assert!(errors.len() == 2 && told.ends_with("policy.json: refused with 2 errors\n"), "{told}");
        }
    });
}

#[test]
fn what_cannot_be_read_is_told_from_what_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("policy.yaml");
    assert!(refused(&[path(&file)], 2).contains("policy.yaml: No such file"));
    fs::write(&file, "rules: [").unwrap();
    assert!(refused(&[path(&file)], 1).contains("policy.yaml:1:9: error[syntax]: not YAML"));
    for (arguments, said) in [
        (&[][..], "required arguments were not provided"),
        (&[POLICY, "--dir=envoy/policies"], "cannot be used with"),
        (&[POLICY, "--as=helm"], "[possible values: ecds, config-map, wasm-plugin, envoy-filter, policy]"),
        (&[POLICY, "--name=Ack_Guard"], "expected 1 to 63 small letters"),
        (&[POLICY, "--selector=istio"], "expected KEY=VALUE"),
        (&[POLICY, "--module=ftp://host/x"], "expected a path, or a URL"),
        (&[POLICY, "--sha256=12"], "expected 64 hexadecimal digits"),
        (&[POLICY, "--binary", "--json"], "cannot be used with"),
    ] {
        assert!(refused(arguments, 2).contains(said), "{arguments:?}");
    }
    for form in FORMS.iter().filter(|form| **form != "ecds") {
        let told = refused(&[POLICY, &format!("--as={form}"), "--binary"], 1);
        assert!(told.contains("--binary: only --as ecds has a binary form; leave it out"), "{form}: {told}");
    }
}

#[test]
fn the_module_comes_by_a_way_that_its_loader_has() {
    let remote = "--module=https://modules.example/ackguard.wasm";
    let digest = "--sha256=9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08";
    let lowercase = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    for (arguments, said) in [
        (&[remote][..], "only Istio fetches a module"),
        (&[remote, "--as=config-map"], "only Istio fetches a module"),
        (&[digest], "leave it out"),
        (&["--as=envoy-filter", digest], "leave it out"),
        (&["--as=envoy-filter", remote], "--sha256: missing"),
    ] {
        let told = refused(&[&[POLICY], arguments].concat(), 1);
        assert!(told.contains(said), "{arguments:?}: {told}");
    }
    let object = document(&rendered(&[POLICY, "--as=envoy-filter", remote, digest]));
    let code = &plugin("envoy-filter", &object)["vm_config"]["code"]["remote"];
    assert_eq!(code["http_uri"]["uri"], "https://modules.example/ackguard.wasm");
    assert_eq!(code["sha256"], lowercase);
    let object = document(&rendered(&[POLICY, "--as=wasm-plugin", remote, digest]));
    assert_eq!((&object["spec"]["url"], &object["spec"]["sha256"]), (&code["http_uri"]["uri"], &code["sha256"]));
    let object = document(&rendered(&[POLICY, "--as=wasm-plugin", "--module=/a.wasm"]));
    assert_eq!(object["spec"]["url"], "file:///a.wasm");
}

#[test]
fn the_place_is_that_of_the_context() {
    for (context, patched, mode) in [
        ("gateway", "GATEWAY", Value::Null),
        ("sidecar-inbound", "SIDECAR_INBOUND", json!([{ "mode": "SERVER" }])),
        ("sidecar-outbound", "SIDECAR_OUTBOUND", json!([{ "mode": "CLIENT" }])),
    ] {
        let context = format!("--context={context}");
        let object = document(&rendered(&[POLICY, "--as=envoy-filter", &context]));
        for patch in object["spec"]["configPatches"].as_array().unwrap() {
            assert_eq!(patch["match"]["context"], patched);
        }
        let object = document(&rendered(&[POLICY, "--as=wasm-plugin", &context]));
        assert_eq!(object["spec"]["match"], mode);
    }
}

#[test]
fn texts_that_yaml_would_read_as_something_else_come_out_as_they_went_in() {
    let versions = ["1", "0x1F", "on", "1e3", "2026-11-22", "12:30:45", "null", "-", ".5", "@a"];
    for version in versions {
        with_policy(
            |policy| {
                policy["version"] = version.into();
                policy["rules"] =
                    json!([{ "name": version, "match": { "tenant": "*", "topic": "? : #", "group": "& *\n'\"" } }]);
            },
            |policy| {
                let before: Value = serde_json::from_str(&fs::read_to_string(policy).unwrap()).unwrap();
                assert_eq!(document(&rendered(&[policy, "--as=policy"])), before, "{version}");
            },
        );
    }
}

#[test]
fn the_help_has_every_option_and_examples() {
    let help = rendered(&["--help"]);
    for option in ["as", "dir", "json", "name", "namespace", "selector", "context", "module", "sha256", "vm-id"] {
        assert!(help.contains(&format!("--{option}")), "{option} is missing:\n{help}");
    }
    assert!(help.contains("Examples:\n  ackguard render policy.yaml"), "{help}");
}
