//! The broker as a process, and what it has used.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;

/// A broker process, ended with the run.
pub(crate) struct Broker {
    child: Child,
    process: Process,
    pub(crate) address: SocketAddr,
    /// From its start until it said that it listens.
    pub(crate) start_up: Duration,
}

impl Broker {
    /// Starts the broker that was built beside this program.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self, Failure> {
        let program: PathBuf = std::env::current_exe()?.with_file_name("../tmq-broker");
        let started = Instant::now();
        let mut child = Command::new(&program)
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(arguments)
            .env("RUST_LOG", "warn")
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                format!("{}: {error}; build it: cargo build --release -p tmq-broker", program.display())
            })?;
        let mut stderr = BufReader::new(child.stderr.take().ok_or("no stderr")?);
        let mut line = String::new();
        while !line.contains("listening") {
            line.clear();
            if stderr.read_line(&mut line)? == 0 {
                return Err("the broker ended as it started".into());
            }
        }
        let start_up = started.elapsed();
        let address = line.split(' ').find_map(|word| word.strip_prefix("broker=")).ok_or("it names no address")?;
        let (address, process) = (address.parse()?, Process::new(i32::try_from(child.id())?)?);
        // Whatever it says later is passed on.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("{line}");
            }
        });
        Ok(Self { child, process, address, start_up })
    }

    /// Ends the process with `signal` and waits until it is gone.
    pub(crate) fn end(mut self, signal: Signal) -> Result<Duration, Failure> {
        let asked = Instant::now();
        kill_process(Pid::from_child(&self.child), signal)?;
        self.child.wait()?;
        Ok(asked.elapsed())
    }

    /// The processor time that it has used.
    pub(crate) fn processor(&self) -> Result<Duration, Failure> {
        processor(&self.process)
    }

    /// Its resident memory, in MiB.
    pub(crate) fn memory(&self) -> Result<u64, Failure> {
        Ok((self.process.stat()?.rss * procfs::page_size()) >> 20)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time that this program has used.
pub(crate) fn own_processor() -> Result<Duration, Failure> {
    processor(&Process::myself()?)
}

fn processor(process: &Process) -> Result<Duration, Failure> {
    let stat = process.stat()?;
    let ticks = Duration::from_secs(1) / u32::try_from(procfs::ticks_per_second())?;
    Ok(ticks * u32::try_from(stat.utime + stat.stime)?)
}
