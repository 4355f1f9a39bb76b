//! The metrics: docs/metrics.md and the sample configurations are what the code says.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::program::{assert_golden, run};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn metrics(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ackguard"));
    command.arg("metrics").args(arguments);
    run(command, b"").stdout
}

fn stats_config(yaml: &str) -> Value {
    let document: Value = serde_saphyr::from_str(yaml).expect("YAML");
    document["stats_config"].clone()
}

#[test]
fn the_page_is_what_the_program_prints() {
    assert_golden(&root().join("docs/metrics.md"), &metrics(&[]));
}

#[test]
fn the_samples_take_every_label_out_of_the_names() {
    let printed = stats_config(&metrics(&["--stats-config"]));
    assert!(printed["stats_tags"].as_array().is_some_and(|tags| tags.len() > 10), "{printed}");
    for sample in ["envoy/static.yaml", "envoy/ecds.yaml", "envoy/compose/envoy.yaml"] {
        let text = std::fs::read_to_string(root().join(sample)).expect("the sample");
        assert_eq!(stats_config(&text), printed, "{sample}");
    }
}
