//! `ackguard render --dir`: a directory of policies as one.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::{document, path, refused, rendered};

const BASE: &str = r#"
apiVersion: ackguard/v1
version: "1"
traffic: [{ match: { path: "/tmq/*" }, dialect: tmq }]
tenant: [{ header: x-tenant }]
defaults: { ack_timeout: { min: 5s } }
rules:
  - { name: audit, match: { topic: "audit*" }, auto_ack: reject }
"#;

/// A directory of these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The merged policy.
fn merged(files: &[(&str, &str)]) -> serde_json::Value {
    let folder = directory(files);
    document(&rendered(&["--as=policy", "--dir", path(folder.path())]))
}

/// The errors that are told of a directory that cannot be merged, without the directory's own path.
fn conflicts(files: &[(&str, &str)]) -> Vec<String> {
    let folder = directory(files);
    let told = refused(&["--dir", path(folder.path())], 1);
    let prefix = format!("{}/", path(folder.path()));
    let lines: Vec<String> = told.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect();
    let noun = if lines.len() == 1 { "error" } else { "errors" };
    let summary = format!("{}: refused with {} {noun}", path(folder.path()), lines.len());
    assert_eq!(told.lines().last(), Some(summary.as_str()), "{told}");
    lines
}

#[test]
fn each_tenants_rules_come_before_those_of_all_in_the_order_of_the_files() {
    let policy = merged(&[
        ("base.yaml", BASE),
        ("b.yml", "defaults: { auto_ack: allow }"),
        (
            "a.json",
            r#"{"tenant":"team-a","rules":[{"name":"slow","match":{"topic":"big*"},"ack_timeout":{"max":"60s"}}]}"#,
        ),
        (".hidden.yaml", "not: [yaml"),
        ("notes.md", "what nobody reads"),
    ]);
    assert_eq!(
        policy["rules"],
        json!([
            { "name": "team-a/slow", "match": { "tenant": "team-a", "topic": "big*" }, "ack_timeout": { "max": "60s" } },
            { "name": "b/defaults", "match": { "tenant": "b" }, "auto_ack": "allow" },
            { "name": "audit", "match": { "topic": "audit*" }, "auto_ack": "reject" },
        ])
    );
}

#[test]
fn a_tenants_rule_takes_what_it_does_not_set_from_the_tenants_defaults() {
    let tenant = "
defaults: { ack_timeout: { min: 10s, max: 60s, default: 20s }, auto_ack: rewrite }
rules:
  - { name: quick, match: { topic: quick }, ack_timeout: { min: 1s } }
  - { name: all }
";
    let policy = merged(&[("base.yaml", BASE), ("team.yaml", tenant)]);
    let guards = json!({ "min": "1s", "max": "60s", "default": "20s" });
    assert_eq!(policy["rules"][0]["ack_timeout"], guards);
    assert_eq!(policy["rules"][0]["auto_ack"], "rewrite");
    assert_eq!(policy["rules"][1]["match"], json!({ "tenant": "team" }));
    assert_eq!(policy["rules"][2]["name"], "team/defaults");
}

#[test]
fn the_result_has_the_same_bytes_however_the_files_were_written() {
    let files = [("base.yaml", BASE), ("a.yaml", "defaults: {}"), ("b.yaml", "defaults: {}"), ("c.yaml", "rules: []")];
    let mut backwards = files;
    backwards.reverse();
    let [one, other] = [files, backwards].map(|files| {
        let folder = directory(&files);
        rendered(&["--as=envoy-filter", "--dir", path(folder.path())])
    });
    assert_eq!(one, other);
}

#[test]
fn every_conflict_is_told_at_once_by_its_file() {
    let long = format!("rules: [{{ name: {} }}]", "x".repeat(60));
    let told = conflicts(&[
        ("base.yaml", &BASE.replace("name: audit", "name: alpha/twice")),
        ("alpha.yaml", "rules: [{ name: twice }, { name: twice }, { name: defaults }]\ndefaults: {}"),
        ("another.yaml", "tenant: alpha"),
        ("broken.yaml", "rules: ["),
        ("fields.yaml", "mode: shadow\nrollout: {}\ndefaults: { match: {} }\nrules: []\nrules: []"),
        ("glob.yaml", "tenant: 'pay-*'"),
        ("list.yaml", "- a"),
        ("long.yaml", &long),
        ("match.yaml", "rules: [{ name: a, match: { tenant: other } }, { name: b, match: [] }, { match: {} }]"),
        ("rules.yaml", "rules: { name: a }"),
    ]);
    let long = format!(
        r#"long.yaml:1:9: error[conflict]: rules[0]: the name "long/{}" has 65 bytes; expected at most 64"#,
        "x".repeat(60)
    );
    let fields = "not of a tenant's file, which has tenant, defaults and rules";
    assert_eq!(
        told,
        [
            r#"alpha.yaml:1:26: error[conflict]: rules[1]: "alpha/twice" is the name of rules[0] in alpha.yaml already"#,
            r#"alpha.yaml:2:11: error[conflict]: defaults: "alpha/defaults" is the name of rules[2] in alpha.yaml already"#,
            r#"another.yaml:1:9: error[conflict]: tenant: "alpha" has a file already: alpha.yaml"#,
            r#"base.yaml:8:5: error[conflict]: rules[0]: "alpha/twice" is the name of rules[0] in alpha.yaml already"#,
            "broken.yaml:1:9: error[syntax]: not YAML: while parsing a node, did not find expected node content",
            &format!("fields.yaml:1:1: error[conflict]: mode: {fields}"),
            &format!("fields.yaml:2:1: error[conflict]: rollout: {fields}"),
            "fields.yaml:3:13: error[conflict]: defaults.match: not a guard",
            "fields.yaml:5:1: error[conflict]: rules: stands more than once",
            "glob.yaml:1:9: error[conflict]: tenant: not one tenant's exact name; expected letters, digits and -_./:@+",
            "list.yaml:1:1: error[conflict]: not an object; expected tenant, defaults and rules",
            &long,
            r#"match.yaml:1:37: error[conflict]: rules[0].match.tenant: another tenant than "match", whose file this is"#,
            "match.yaml:1:66: error[conflict]: rules[1].match: not an object",
            "match.yaml:1:72: error[conflict]: rules[2].name: missing; expected a name for headers, logs and metrics",
            "rules.yaml:1:8: error[conflict]: rules: not a list",
        ]
    );
}

#[test]
fn faults_of_the_merged_policy_are_told_by_the_file_that_they_stand_in() {
    let tenant = r#"
defaults: { ack_timeout: { min: fast }, auto_ack: never }
rules:
  - { name: a, match: { topic: "" }, ack_timeout: { max: slow } }
  - { name: b, match: { topic: t }, auto_ack: perhaps, surprise: 1 }
  - { name: c, match: { topic: u }, auto_ack: allow, auto_ack: allow }
"#;
    let told = conflicts(&[("base.yaml", &BASE.replace("5s", "5")), ("team.yaml", tenant)]);
    let expected = [
        "base.yaml:6:33: error[wrong-value]: defaults.ack_timeout.min: 5 is not a duration",
        r#"team.yaml:2:33: error[wrong-value]: defaults.ack_timeout.min: "fast" is not a duration"#,
        r#"team.yaml:2:51: error[wrong-value]: defaults.auto_ack: "never" is not reject"#,
        r#"team.yaml:4:32: error[wrong-value]: rules[0].match.topic: "" is not a pattern"#,
        r#"team.yaml:4:58: error[wrong-value]: rules[0].ack_timeout.max: "slow" is not a duration"#,
        r#"team.yaml:5:47: error[wrong-value]: rules[1].auto_ack: "perhaps" is not reject"#,
        "team.yaml:5:56: error[unknown-field]: rules[1].surprise: unknown field",
        "team.yaml:6:54: error[repeated-field]: rules[2].auto_ack: stands more than once",
    ];
    let begins = told.iter().zip(expected).all(|(line, expected)| line.starts_with(expected));
    assert!(begins && told.len() == expected.len(), "{}", told.join("\n"));
}

#[test]
fn a_directory_needs_its_base_and_has_room_for_ten_thousand_rules() {
    let missing = "base.yaml: error[conflict]: missing; expected the whole policy but for its tenants' parts";
    assert_eq!(conflicts(&[("a.yaml", "defaults: {}")]), [missing]);
    let rules = |count: usize| {
        let rules: Vec<String> = (0..count).map(|index| format!("{{ name: r{index} }}")).collect();
        format!("rules: [{}]", rules.join(", "))
    };
    let policy = merged(&[("base.yaml", BASE), ("a.yaml", &rules(5_000)), ("b.yaml", &rules(4_999))]);
    assert_eq!(policy["rules"].as_array().unwrap().len(), 10_000);
    assert_eq!(
        conflicts(&[("base.yaml", BASE), ("a.yaml", &rules(5_000)), ("b.yaml", &rules(5_000))]),
        ["base.yaml: error[conflict]: rules: 10001 with all tenants' files; expected at most 10000"]
    );
    assert!(refused(&["--dir=/no/such/folder"], 2).contains("/no/such/folder: No such file"));
}

#[test]
fn fields_that_the_merge_does_not_know_reach_the_policy_as_they_are() {
    // The filter refuses them, by their own files and paths: they were passed through.
    let told = conflicts(&[
        ("base.yaml", &format!("{BASE}\nsome_future_section: {{ a: 1 }}")),
        ("team.yaml", "rules: [{ name: a, some_future_field: { b: 2 } }]"),
    ]);
    assert!(told.iter().any(|line| line.contains("error[unknown-field]: some_future_section")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("error[unknown-field]: rules[0].some_future_field")), "{told:?}");
}

#[test]
fn a_roll_out_in_the_base_reaches_the_tenants_rules() {
    let rollout = "
rollout:
  candidate: { version: next, rules: [{ name: team/a, match: { tenant: team }, auto_ack: allow }] }
  stages: [{ percent: 5, hold: 10m }, { percent: 100 }]
";
    let files = [("base.yaml", &*format!("{BASE}{rollout}")), ("team.yaml", "rules: [{ name: a, mode: shadow }]")];
    let policy = merged(&files);
    assert_eq!(policy["rules"][0], json!({ "name": "team/a", "match": { "tenant": "team" }, "mode": "shadow" }));
    assert_eq!(policy["rollout"]["candidate"]["rules"][0]["name"], "team/a");
}
