//! `promtool`, which reads rules, configurations and metrics as Prometheus does.

use std::io::{Seek as _, Write as _};
use std::process::Command;

/// What `promtool` came to.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its exit status: 0 where it is content, 3 where metrics can be read and are not named as is usual.
    pub status: Option<i32>,
    /// What it printed.
    pub text: String,
}

/// Runs `promtool` in the repository's root, with `input` to read.
///
/// # Panics
/// Where there is none, or it cannot be run.
#[must_use]
pub fn promtool(arguments: &[&str], input: &str) -> Finding {
    let program = stack::promtool().unwrap_or_else(|missing| panic!("{missing}"));
    let mut read = tempfile::tempfile().expect("a file");
    read.write_all(input.as_bytes()).and_then(|()| read.rewind()).expect("space for the input");
    let output = Command::new(program).args(arguments).current_dir(stack::root()).stdin(read).output();
    let output = output.unwrap_or_else(|error| panic!("promtool: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Finding { status: output.status.code(), text }
}
