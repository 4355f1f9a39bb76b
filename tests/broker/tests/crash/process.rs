//! The broker's process: started, ended, and never left behind.

use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::client::Api;
use crate::program::{Program, Starting};

/// Far longer than an end takes: a broker that needs more hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the broker writes is kept until it ends, so it is to write of troubles alone.
const LOG: &str = "warn";

/// A broker that listens.
pub(crate) struct Running {
    program: Program,
    pub(crate) api: Api,
    pub(crate) start_up: Duration,
}

impl Running {
    /// Starts a broker.
    pub(crate) async fn start(arguments: &[String]) -> Result<Self, String> {
        let started = Instant::now();
        let starting = spawn(arguments);
        let listening = tokio::task::spawn_blocking(|| starting.listening()).await;
        let program = listening
            .map_err(|error| error.to_string())?
            .map_err(|said| format!("the broker did not start with {arguments:?}: {said}"))?;
        let api = Api::new(program.listen, program.admin);
        Ok(Self { program, api, start_up: started.elapsed() })
    }

    /// Ends the broker by a signal, and waits until it is gone.
    pub(crate) async fn end(mut self, signal: Signal) -> Result<(), String> {
        if let Ok(Some(status)) = self.program.child.try_wait() {
            let (_, said) = self.program.ended();
            return Err(format!("the broker ended by itself, {status}: {said}"));
        }
        self.api.ends();
        let pid = self.program.pid();
        let program = self.program;
        let ended = tokio::task::spawn_blocking(move || program.end(signal));
        let Ok(ended) = tokio::time::timeout(PATIENCE, ended).await else {
            let _ = kill_process(pid, Signal::KILL);
            return Err(format!("the broker did not end within {PATIENCE:?} of {signal:?}"));
        };
        let (status, said) = ended.map_err(|error| error.to_string())?;
        if said.contains("panicked") {
            return Err(format!("the broker panicked: {said}"));
        }
        if signal == Signal::TERM && !status.success() {
            return Err(format!("the broker did not end in order, {status}: {said}"));
        }
        Ok(())
    }
}

/// Starts a broker and kills it a while later, whether it listens by then or not.
pub(crate) async fn interrupt_start(arguments: &[String], after: Duration) {
    let starting = spawn(arguments);
    tokio::time::sleep(after).await;
    // Its end kills the process, by its id, and waits for it.
    drop(starting);
}

fn spawn(arguments: &[String]) -> Starting {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Starting::spawn(&arguments, LOG)
}
