//! Why a process of the stack did not start.

use std::fmt;
use std::io;
use std::process::ExitStatus;

use crate::{BootstrapError, MissingProgram, TimedOut};

/// Lines of a log that an error shows.
const TAIL: usize = 20;

/// A process that did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartFailure {
    /// Its program is not there.
    #[error(transparent)]
    Missing(#[from] MissingProgram),
    /// Its configuration could not be made.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// The system refused to start it.
    #[error("cannot start {name}: {source}")]
    System {
        /// The program.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended by itself before it was ready.
    #[error("{name} refused to start ({status}); its log ends:\n{log}")]
    Refused {
        /// The program.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Everything that it said.
        log: Log,
    },
    /// It runs and is not ready.
    #[error("{name} is not ready: {source}; its log ends:\n{log}")]
    NotReady {
        /// The program.
        name: &'static str,
        /// What it was waited for.
        #[source]
        source: TimedOut,
        /// Everything that it said.
        log: Log,
    },
}

impl StartFailure {
    /// What the process had logged, empty where it never ran.
    #[must_use]
    pub fn log(&self) -> &str {
        match self {
            Self::Refused { log, .. } | Self::NotReady { log, .. } => &log.0,
            Self::Missing(_) | Self::Bootstrap(_) | Self::System { .. } => "",
        }
    }
}

/// A log, of which an error's message shows the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log(pub String);

impl fmt::Display for Log {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<&str> = self.0.lines().collect();
        let tail = lines.len().saturating_sub(TAIL);
        lines.iter().skip(tail).try_for_each(|line| writeln!(out, "  {line}"))
    }
}
