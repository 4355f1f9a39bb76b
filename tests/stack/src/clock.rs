//! A wall clock that can be set, for one process: Envoy's filters have no other clock, and the machine's own is
//! everybody's.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// The library that a process with such a clock loads first.
const SOURCE: &str = include_str!("clock.c");

/// A wall clock that is the system's until it is set. It lasts as long as the processes that go by it.
#[derive(Debug)]
pub struct Clock {
    folder: TempDir,
}

impl Clock {
    /// Makes one, with the C compiler `cc`.
    ///
    /// # Errors
    /// Where there is none, or it fails.
    pub fn new() -> io::Result<Self> {
        let clock = Clock { folder: TempDir::with_prefix("ackguard-clock-")? };
        let source = clock.path("clock.c");
        fs::write(&source, SOURCE)?;
        fs::write(clock.path("offset"), 0_i64.to_ne_bytes())?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
        let output = compiler.arg(clock.path("clock.so")).arg(source).arg("-ldl").output()?;
        if output.status.success() {
            Ok(clock)
        } else {
            Err(io::Error::other(format!("cc: {}", String::from_utf8_lossy(&output.stderr))))
        }
    }

    /// Sets it so many seconds before or after the system's.
    ///
    /// # Errors
    /// Where its file cannot be written.
    pub fn set(&self, seconds: i64) -> io::Result<()> {
        // The file is mapped where it is: it must be written in place.
        let mut file = fs::OpenOptions::new().write(true).open(self.path("offset"))?;
        io::Write::write_all(&mut file, &(seconds * 1_000_000_000).to_ne_bytes())
    }

    /// What the environment of a process must have to go by it.
    pub(crate) fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.path("clock.so")), ("STACK_CLOCK", self.path("offset"))]
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
