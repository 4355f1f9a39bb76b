//! `ackguard render`.

mod directory;
mod image;
mod objects;
mod samples;

use std::path::Path;

use crate::program::{Run, ackguard};

/// Runs `ackguard render` from the repository's root.
fn render(arguments: &[&str]) -> Run {
    ackguard("../..", &[&["render"], arguments].concat())
}

/// What it prints where all is well.
fn rendered(arguments: &[&str]) -> String {
    let run = render(arguments);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{arguments:?}");
    run.stdout
}

/// What it says where it prints nothing, and ends with `status`.
fn refused(arguments: &[&str], status: i32) -> String {
    let run = render(arguments);
    assert_eq!((run.status, run.stdout.as_str()), (status, ""), "{arguments:?}: {}", run.stderr);
    run.stderr
}

/// A document as JSON.
fn document(yaml: &str) -> serde_json::Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
