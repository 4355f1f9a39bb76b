//! The program as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};

/// A broker process that is ended with the test.
pub(crate) struct Program {
    pub(crate) child: Child,
    /// Reads what it says, so that it never waits for a reader.
    said: Option<JoinHandle<String>>,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Program {
    /// Starts it on free ports; both accept when this returns.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_logging("info", arguments)
    }

    pub(crate) fn start_logging(log: &str, arguments: &[&str]) -> Self {
        Self::launch(log, arguments).unwrap_or_else(|said| panic!("it ended before it was listening: {said}"))
    }

    /// Starts it on free ports, or returns what it said when it ended instead.
    pub(crate) fn try_start(arguments: &[&str]) -> Result<Self, String> {
        Self::launch("info", arguments)
    }

    fn launch(log: &str, arguments: &[&str]) -> Result<Self, String> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tmq-broker"))
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(arguments)
            .env("RUST_LOG", log)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut said, mut line) = (String::new(), String::new());
        while !line.starts_with("tmq-broker listening") {
            line.clear();
            if stderr.read_line(&mut line).unwrap() == 0 {
                child.wait().unwrap();
                return Err(said);
            }
            said.push_str(&line);
        }
        let address = |name: &str| line.split(' ').find_map(|word| word.strip_prefix(name)).unwrap().parse().unwrap();
        let (listen, admin) = (address("broker="), address("admin="));
        let said = thread::spawn(move || {
            // What is not UTF-8 ends it: the test that looks for more fails.
            let _ = stderr.read_to_string(&mut said);
            said
        });
        Ok(Self { child, said: Some(said), listen, admin })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends a signal that ends it, and waits for the end; returns how it ended and all that it said.
    pub(crate) fn end(mut self, signal: Signal) -> (ExitStatus, String) {
        self.signal(signal);
        let status = self.child.wait().unwrap();
        (status, self.said.take().unwrap().join().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tmq-broker")).args(arguments).output().unwrap()
}
