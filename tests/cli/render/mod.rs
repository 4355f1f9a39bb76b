//! `ackguard render`.

mod directory;
mod image;
mod objects;
mod samples;

use std::path::Path;
use std::process::{Command, Output};

/// Runs `ackguard render` from the repository's root.
fn render(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ackguard"))
        .arg("render")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

/// What it prints where all is well.
fn rendered(arguments: &[&str]) -> String {
    let output = render(arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), told.as_str()), (Some(0), ""), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it says where it prints nothing, and ends with `status`.
fn refused(arguments: &[&str], status: i32) -> String {
    let output = render(arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {told}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    told
}

/// A document as JSON.
fn document(yaml: &str) -> serde_json::Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
