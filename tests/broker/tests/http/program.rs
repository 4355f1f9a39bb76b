//! The program as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Far longer than a start takes: a program that needs more hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a program logs where a test does not look for more.
const LOG: &str = "info";

/// A process that ends with its owner.
pub(crate) struct Owned(Child);

impl Deref for Owned {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Owned {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A broker process that is not known to listen yet, ended with the test.
pub(crate) struct Starting {
    child: Owned,
    stderr: BufReader<ChildStderr>,
}

impl Starting {
    /// Starts it on free ports; `log` is its `RUST_LOG`.
    pub(crate) fn spawn(arguments: &[&str], log: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tmq-broker"))
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(arguments)
            .env("RUST_LOG", log)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child: Owned(child), stderr }
    }

    /// Waits until both ports accept, or returns what it said when it ended instead.
    ///
    /// One that does neither for [`PATIENCE`] is killed.
    pub(crate) fn listening(mut self) -> Result<Program, String> {
        let (listens, waiting) = mpsc::channel::<()>();
        let pid = Pid::from_child(&self.child);
        thread::spawn(move || {
            if waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                // It has not been waited for, so that the id is still its own.
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        let (mut said, mut line) = (String::new(), String::new());
        while !line.starts_with("tmq-broker listening") {
            line.clear();
            if self.stderr.read_line(&mut line).unwrap() == 0 {
                return Err(said);
            }
            said.push_str(&line);
        }
        let address = |name: &str| line.split(' ').find_map(|word| word.strip_prefix(name)).unwrap().parse().unwrap();
        let (listen, admin) = (address("broker="), address("admin="));
        drop(listens);
        let Self { child, mut stderr } = self;
        let said = thread::spawn(move || {
            // What is not UTF-8 ends it: the test that looks for more fails.
            let _ = stderr.read_to_string(&mut said);
            said
        });
        Ok(Program { child, said: Some(said), listen, admin })
    }
}

/// A broker process that is ended with the test.
pub(crate) struct Program {
    pub(crate) child: Owned,
    /// Reads what it says, so that it never waits for a reader.
    said: Option<JoinHandle<String>>,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Program {
    /// Starts it on free ports; both accept when this returns.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_logging(LOG, arguments)
    }

    pub(crate) fn start_logging(log: &str, arguments: &[&str]) -> Self {
        let listening = Starting::spawn(arguments, log).listening();
        listening.unwrap_or_else(|said| panic!("it ended before it was listening: {said}"))
    }

    /// Starts it on free ports, or returns what it said when it ended instead.
    pub(crate) fn try_start(arguments: &[&str]) -> Result<Self, String> {
        Starting::spawn(arguments, LOG).listening()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Sends a signal that ends it, and waits for the end; returns how it ended and all that it said.
    pub(crate) fn end(self, signal: Signal) -> (ExitStatus, String) {
        self.signal(signal);
        self.ended()
    }

    /// Waits for the end; returns how it ended and all that it said.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.said.take().unwrap().join().unwrap())
    }
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tmq-broker")).args(arguments).output().unwrap()
}
