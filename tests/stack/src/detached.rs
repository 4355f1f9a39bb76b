//! A stack that is left running: `make up` and `make down`.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use procfs::process::{Process as ProcessInfo, Stat};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::bootstrap::{Bootstrap, BootstrapError, Protocol};
use crate::broker::{self, BrokerOptions};
use crate::envoy::{self, Workers};
use crate::failure::Log;
use crate::place::{self, MissingProgram};
use crate::ports::{PortError, Ports, local};
use crate::process::{read_log, start_detached};
use crate::wait::{TimedOut, until};

/// The file of a stack's folder that tells its processes.
const FILE: &str = "processes.json";

/// How long a process has to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Why a stack did not start or end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetachedError {
    /// A port is taken or is none.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A program is not there.
    #[error(transparent)]
    Missing(#[from] MissingProgram),
    /// Envoy's configuration could not be made.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// The filter is not built.
    #[error("{} is missing: make wasm", .0.display())]
    Wasm(PathBuf),
    /// It runs already.
    #[error("the stack runs already: make down")]
    Running,
    /// A process ended at once.
    #[error("{name} did not start; its log ends:\n{log}")]
    Refused {
        /// The program.
        name: &'static str,
        /// Everything that it said.
        log: Log,
    },
    /// A process is not ready, or does not end.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A stack that outlives the process which started it. A folder holds what is known of it, and its logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    folder: PathBuf,
    processes: Vec<Started>,
}

/// Where a stack listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// The guarded gateway.
    pub gateway: SocketAddr,
    /// The same gateway without AckGuard.
    pub bare: SocketAddr,
    /// Envoy's admin.
    pub envoy_admin: SocketAddr,
    /// The broker.
    pub broker: SocketAddr,
    /// The broker's admin.
    pub broker_admin: SocketAddr,
}

/// A process, told apart from a later one of the same pid by the time of its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Started {
    name: String,
    pid: i32,
    /// Clock ticks from the system's boot, field 22 of proc(5)'s `stat`.
    start_ticks: u64,
}

impl Detached {
    /// Starts a broker and an Envoy in front of it at `ports`, and waits until both are ready. What is known of them is
    /// kept in `folder`, which is emptied first.
    ///
    /// # Errors
    /// Where a port is taken, a program is missing or one refuses to start; nothing is left running then.
    pub async fn up(
        folder: &Path,
        ports: &Ports,
        options: BrokerOptions,
        workers: Workers,
    ) -> Result<Endpoints, DetachedError> {
        if Self::find(folder).is_some_and(|stack| stack.is_running()) {
            return Err(DetachedError::Running);
        }
        ports.check_free()?;
        if !place::wasm().is_file() {
            return Err(DetachedError::Wasm(place::wasm()));
        }
        // An address that an earlier Envoy left would pass for this one's.
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(system(folder)(error)),
            _ => fs::create_dir_all(folder).map_err(system(folder))?,
        }
        let mut stack = Self { folder: folder.to_owned(), processes: Vec::new() };
        let started = stack.start(ports, options, workers).await;
        if started.is_err() {
            stack.down().await?;
        }
        started
    }

    async fn start(
        &mut self,
        ports: &Ports,
        options: BrokerOptions,
        workers: Workers,
    ) -> Result<Endpoints, DetachedError> {
        let folder = self.folder.clone();
        let options = BrokerOptions { listen: local(ports.broker), admin: local(ports.broker_admin), ..options };
        let log = folder.join("broker.log");
        let program = place::program(broker::NAME)?;
        let broker = self
            .launch(broker::NAME, &program, &broker::arguments(&options), &log, async || {
                broker::addresses(&read_log(&log))
            })
            .await?;

        let bootstrap = Bootstrap::load("static.yaml")?.ports(ports).upstream(broker.listen, Protocol::Http1);
        let arguments = envoy::arguments(&bootstrap.write_to(&folder)?, &folder, workers);
        let log = folder.join("envoy.log");
        let envoy =
            self.launch("envoy", &place::envoy()?, &arguments, &log, async || envoy::addresses(&folder).await).await?;
        Ok(Endpoints {
            gateway: envoy.guarded,
            bare: envoy.bare,
            envoy_admin: envoy.admin,
            broker: broker.listen,
            broker_admin: broker.admin,
        })
    }

    /// Starts a process, writes it down and waits until `look` finds what shows that it is ready.
    async fn launch<T>(
        &mut self,
        name: &'static str,
        program: &Path,
        arguments: &[String],
        log: &Path,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, DetachedError> {
        let mut child = start_detached(program, arguments, log).map_err(system(program))?;
        self.processes.push(Started::of(name, &child)?);
        self.remember()?;
        let found = until(&format!("{name}'s readiness"), async || match child.try_wait() {
            Ok(None) => look().await.map(Some),
            Ok(Some(_)) | Err(_) => Some(None),
        })
        .await?;
        found.ok_or_else(|| DetachedError::Refused { name, log: Log(read_log(log)) })
    }

    /// The stack that was started last in `folder`, running or not.
    #[must_use]
    pub fn find(folder: &Path) -> Option<Self> {
        let processes = serde_json::from_slice(&fs::read(folder.join(FILE)).ok()?).ok()?;
        Some(Self { folder: folder.to_owned(), processes })
    }

    /// Whether any of its processes runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.processes.iter().any(Started::is_running)
    }

    /// Each process: name, pid, whether it runs.
    pub fn processes(&self) -> impl Iterator<Item = (&str, i32, bool)> {
        self.processes.iter().map(|process| (process.name.as_str(), process.pid, process.is_running()))
    }

    /// Ends its processes, Envoy before the broker, and forgets them. A process that has ended already, or whose pid is
    /// another's by now, is left alone.
    ///
    /// # Errors
    /// Where the system does not let one be ended.
    pub async fn down(self) -> Result<(), DetachedError> {
        for process in self.processes.iter().rev() {
            process.end().await?;
        }
        let file = self.folder.join(FILE);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(system(&file)(error)),
            _ => Ok(()),
        }
    }

    fn remember(&self) -> Result<(), DetachedError> {
        let file = self.folder.join(FILE);
        let text = serde_json::to_vec_pretty(&self.processes).map_err(|error| system(&file)(error.into()))?;
        fs::write(&file, text).map_err(system(&file))
    }
}

impl Started {
    fn of(name: &str, child: &Child) -> Result<Self, DetachedError> {
        let pid = child.id().cast_signed();
        // One that has ended at once is still there: nobody has waited for it.
        let stat = stat(pid)
            .ok_or_else(|| system(Path::new(name))(io::Error::other("its process cannot be found in /proc")))?;
        Ok(Self { name: name.to_owned(), pid, start_ticks: stat.starttime })
    }

    fn is_running(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.starttime == self.start_ticks && stat.state != ENDED)
    }

    async fn end(&self) -> Result<(), DetachedError> {
        let signals = [(Signal::TERM, GRACE), (Signal::KILL, crate::PATIENCE)];
        for (signal, grace) in signals {
            if !self.is_running() {
                return Ok(());
            }
            if let Some(pid) = Pid::from_raw(self.pid)
                && let Err(error) = kill_process(pid, signal)
                && self.is_running()
            {
                return Err(system(Path::new(&self.name))(error.into()));
            }
            let ended = until("its end", async || (!self.is_running()).then_some(()));
            if tokio::time::timeout(grace, ended).await.is_ok_and(|ended| ended.is_ok()) {
                return Ok(());
            }
        }
        Err(TimedOut { condition: format!("the end of {} (pid {})", self.name, self.pid) }.into())
    }
}

/// The state of a process that has ended and waits for its parent, as proc(5) writes it.
const ENDED: char = 'Z';

fn stat(pid: i32) -> Option<Stat> {
    ProcessInfo::new(pid).ok()?.stat().ok()
}

fn system(what: &Path) -> impl FnOnce(io::Error) -> DetachedError + use<> {
    let what = what.display().to_string();
    move |source| DetachedError::System { what, source }
}
