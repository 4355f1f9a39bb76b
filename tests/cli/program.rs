//! The program, run.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// All that was printed, as golden files keep it.
    pub(crate) fn told(&self) -> String {
        let mut told = self.stdout.clone();
        for line in self.stderr.lines() {
            told.push_str(&format!("stderr: {line}\n"));
        }
        told.push_str(&format!("exit: {}\n", self.status));
        told
    }

    /// What was printed as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|fault| panic!("{fault}: {self:?}"))
    }
}

/// The folder of these tests.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli")
}

/// Runs `ackguard` in a folder beside this file, with no colours but what the arguments and the terminal ask for.
pub(crate) fn ackguard(folder_name: &str, arguments: &[&str]) -> Run {
    run(command(folder_name, arguments), b"")
}

/// The command that [`ackguard`] runs.
pub(crate) fn command(folder_name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ackguard"));
    command.args(arguments).current_dir(folder().join(folder_name));
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command with this on its standard input.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program that was built for this test");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that ends without reading all of it breaks the pipe; what it says of that is what is tested.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("its end");
    writer.join().expect("a writer that does not panic");
    Run {
        status: output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}")),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Compares with a golden file beside these tests; `UPDATE_EXPECT=1` writes it anew.
pub(crate) fn assert_golden(path: &Path, told: &str) {
    expect_test::expect_file![path].assert_eq(told);
}

/// The files of a folder beside this file that have one of these endings, by name.
pub(crate) fn files(folder_name: &str, endings: &[&str]) -> Vec<String> {
    let entries = std::fs::read_dir(folder().join(folder_name)).expect("the folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let mut names: Vec<String> = names
        .filter(|name| endings.iter().any(|ending| Path::new(name).extension().is_some_and(|found| found == *ending)))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no {endings:?} in {folder_name}");
    names
}
