//! `ackguard check`. `faults/` and `warnings/` hold policies, and beside each what is printed of it.

use std::collections::BTreeSet;

use ackguard::policy::advice::Concern;
use ackguard::policy::{MAX_DOCUMENT, Problem};

use crate::program::{Run, ackguard, assert_golden, command, files, folder, run};

/// Codes of faults that are the reader's, not the policy's.
const READING: [&str; 7] =
    ["no-policy", "yaml-alias", "yaml-depth", "yaml-documents", "yaml-key", "yaml-size", "yaml-tag"];

/// Checks every policy of a folder against what is beside it, and returns the codes that were printed.
fn golden(folder_name: &str, severity: &str) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for name in files(folder_name, &["yaml", "json"]) {
        let told = ackguard(folder_name, &["check", &name]).told();
        assert_golden(&folder().join(folder_name).join(format!("{name}.txt")), &told);
        let mark = format!("{severity}[");
        let marks = told.split(&mark).skip(1);
        codes.extend(marks.filter_map(|rest| rest.split_once(']')).map(|(code, _)| code.to_owned()));
    }
    codes
}

#[test]
fn every_fault_has_a_golden_file() {
    let mut codes = golden("faults", "error");
    codes.extend(too_large().map(str::to_owned));
    let known: BTreeSet<String> = Problem::CODES.iter().chain(&READING).map(|code| (*code).to_owned()).collect();
    assert_eq!(codes, known);
}

/// A document of more than 1 MiB; it is made here, since nobody would read it.
fn too_large() -> Option<&'static str> {
    let text = format!("# {}\napiVersion: ackguard/v1\ntraffic: []\n", "x".repeat(MAX_DOCUMENT));
    let told = run(command("faults", &["check", "-"]), text.as_bytes()).told();
    let expected = format!(
        "<stdin>: error[too-large]: {} bytes; expected at most {MAX_DOCUMENT}\n<stdin>: refused with 1 error\nexit: 1\n",
        text.len()
    );
    assert_eq!(told, expected);
    Some("too-large")
}

#[test]
fn every_warning_has_a_golden_file() {
    let codes = golden("warnings", "warning");
    let known: BTreeSet<String> = Concern::CODES.iter().map(|code| (*code).to_owned()).collect();
    assert_eq!(codes, known);
}

#[test]
fn the_shipped_policies_have_no_warnings() {
    for file in ["envoy/static.yaml", "envoy/ecds/ackguard.yaml"] {
        let Run { status, stdout, .. } = ackguard("../..", &["check", "--deny-warnings", file]);
        assert_eq!(status, 0, "{stdout}");
        assert!(stdout.starts_with(&format!("{file}: accepted: version 1, at ")), "{stdout}");
    }
}

#[test]
fn warnings_are_denied_and_allowed_on_request() {
    let file = "hidden-traffic.yaml";
    let denied = ackguard("warnings", &["check", "--deny-warnings", file]);
    assert_eq!(denied.status, 1);
    assert!(denied.stdout.ends_with("hidden-traffic.yaml: refused with 1 warning: version unversioned\n"));
    let allowed = ackguard("warnings", &["check", "--deny-warnings", "--allow", "hidden-traffic", file]);
    assert_eq!((allowed.status, allowed.stdout.lines().count()), (0, 1));
}

#[test]
fn machines_get_the_same_as_people() {
    let run = ackguard("faults", &["check", "--json", "exclusive.yaml", "inverted-bounds.yaml"]);
    assert_eq!(run.status, 1);
    let report = run.json();
    assert_eq!(report["errors"], 4);
    let policy = &report["policies"][0];
    assert_eq!((&policy["file"], &policy["accepted"]), (&"exclusive.yaml".into(), &false.into()));
    let first = serde_json::json!({
        "severity": "error", "code": "exclusive", "path": "tenant[0]", "line": 4, "column": 5,
        "message": "header and property; expected one of them",
    });
    assert_eq!(policy["diagnostics"][0], first);
}

#[test]
fn a_file_that_cannot_be_read_is_no_verdict() {
    let run = ackguard("faults", &["check", "absent.yaml", "exclusive.yaml"]);
    assert_eq!(run.status, 2);
    assert!(run.stderr.starts_with("error: absent.yaml: "), "{}", run.stderr);
    assert!(run.stdout.contains("exclusive.yaml: refused"), "the others are checked");
}

#[test]
fn colours_reach_whom_asks_for_them() {
    let coloured = |environment: &[(&str, &str)]| {
        let mut command = command("faults", &["check", "exclusive.yaml"]);
        command.envs(environment.iter().copied());
        run(command, b"").stdout.contains('\u{1b}')
    };
    assert!(!coloured(&[("TERM", "xterm-256color")]), "a pipe is no terminal");
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn a_policy_is_found_as_json_in_a_string() {
    let inner = r#"{"apiVersion":"ackguard/v1","version":"7","traffic":[],"defaults":{"extend":{"shrt":"allow"}}}"#;
    let outer = serde_json::json!({"configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": inner}});
    let resource = serde_json::json!({"data": {"resource": outer.to_string()}});
    let column = inner.find("\"shrt\"").unwrap() + 1;
    for (text, path) in [(outer, "configuration.value"), (resource, "data.resource)(configuration.value")] {
        let run = run(command("faults", &["check", "-"]), text.to_string().as_bytes());
        let expected = format!("<stdin>({path}):1:{column}: error[unknown-field]: defaults.extend.shrt");
        assert!(run.stdout.starts_with(&expected), "{}", run.stdout);
    }
}

#[test]
fn a_policy_is_found_in_a_config_map() {
    let text = std::fs::read_to_string(folder().join("../../envoy/ecds/ackguard.yaml")).expect("the resource");
    let block: String = text.lines().map(|line| format!("    {line}\n")).collect();
    let map = format!("apiVersion: v1\nkind: ConfigMap\ndata:\n  ackguard.yaml: |\n{block}");
    let run = run(command("faults", &["check", "-"]), map.as_bytes());
    let expected =
        "<stdin>(data.ackguard.yaml): accepted: version 1, at resources[0].typed_config.config.configuration.value\n";
    assert_eq!((run.status, run.stdout.as_str()), (0, expected));
}

/// A policy of 10,000 rules, each hidden by none but the last.
#[test]
fn hidden_rules_are_found_among_ten_thousand() {
    let rules: String = (0..9_998)
        .map(|index| {
            format!("- {{ name: r{index}, match: {{ tenant: \"t{index}-*\" }}, ack_timeout: {{ min: 6s }} }}\n")
        })
        .collect();
    let text = format!(
        "apiVersion: ackguard/v1\ntraffic: [{{ match: {{ path: '/*' }}, dialect: tmq }}]\ntenant: [{{ header: a }}]\nrules:\n\
         {rules}- {{ name: last, match: {{ tenant: t7-x }}, ack_timeout: {{ min: 7s }} }}\n"
    );
    let run = run(command("faults", &["check", "-"]), text.as_bytes());
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(
        run.stdout.contains("warning[hidden-rule]: rules[9998]: never decides: the earlier rule \"r7\""),
        "{}",
        run.stdout
    );
    assert!(run.stdout.ends_with("<stdin>: accepted with 1 warning: version unversioned\n"), "{}", run.stdout);
}
