//! A directory, and the broker that runs on it at the time.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Output;

use axum::http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Remote;
use crate::program::{Program, run};

/// A directory, and the broker that runs on it.
pub(crate) struct Stand {
    dir: TempDir,
    arguments: Vec<String>,
    program: Option<Program>,
    remote: Remote,
}

impl Deref for Stand {
    type Target = Remote;

    fn deref(&self) -> &Remote {
        &self.remote
    }
}

impl Stand {
    /// A broker on an empty directory, started with these arguments as well.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut all = vec!["--data", dir.path().to_str().unwrap(), "--back-off", "0"];
        all.extend(arguments);
        let program = Program::start(&all);
        let arguments = all.iter().map(|&argument| argument.to_owned()).collect();
        let remote = Remote::new(program.listen, program.admin);
        Self { dir, arguments, program: Some(program), remote }
    }

    pub(crate) fn program(&self) -> &Program {
        self.program.as_ref().unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Ends it by a signal; returns what it said.
    pub(crate) fn end(&mut self, signal: Signal) -> String {
        self.program.take().unwrap().end(signal).1
    }

    pub(crate) fn start(&mut self) {
        self.try_start().unwrap_or_else(|said| panic!("it does not start: {said}"));
    }

    /// Starts it, or returns what it said when it ended instead.
    pub(crate) fn try_start(&mut self) -> Result<(), String> {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let program = Program::try_start(&arguments)?;
        self.remote = Remote::new(program.listen, program.admin);
        self.program = Some(program);
        Ok(())
    }

    pub(crate) fn restart(&mut self, signal: Signal) {
        self.end(signal);
        self.start();
    }

    /// The files below a part of the directory whose names end so, sorted.
    pub(crate) fn files(&self, part: &str, suffix: &str) -> Vec<PathBuf> {
        let (mut found, mut dirs) = (Vec::new(), vec![self.path().join(part)]);
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else if path.to_str().unwrap().ends_with(suffix) {
                    found.push(path);
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// Compares the messages with what became of them.
    pub(crate) fn reconcile(&self) -> Output {
        run(&["reconcile", "--data", self.path().to_str().unwrap()])
    }

    /// Checks that every message is accounted for; the broker must have ended.
    pub(crate) fn reconciled(&self) {
        let output = self.reconcile();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }

    /// Publishes one message to `orders`; returns the answer's status.
    pub(crate) async fn publish_one(&self, body: &str) -> u16 {
        let messages = json!({ "messages": [{ "body": body }] });
        self.post("/topics/orders/messages", messages).await.status.as_u16()
    }

    /// The whole ledger.
    pub(crate) async fn whole_ledger(&self) -> Value {
        self.admin(Method::GET, "/admin/ledger", "").await.ok()
    }
}

/// Turns one bit of a file.
pub(crate) fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}
