//! A process of the stack: its start, its log, its end.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::clock::Clock;
use crate::failure::{Log, StartFailure};
use crate::wait::until;

/// A running process, which ends when this is dropped or when this process dies.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with `arguments`, writing all that it says to the file `log`.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[String],
        log: &Path,
    ) -> Result<Self, StartFailure> {
        Process::start_by(None, name, program, arguments, log)
    }

    /// The same by another clock than the system's, if there is one.
    pub(crate) fn start_by(
        clock: Option<&Clock>,
        name: &'static str,
        program: &Path,
        arguments: &[String],
        log: &Path,
    ) -> Result<Self, StartFailure> {
        let failed = |source| StartFailure::System { name, source };
        let mut command = bound_to_this_process(program);
        command.args(arguments);
        command.envs(clock.iter().flat_map(|clock| clock.variables()));
        let command = logging_to(command, log).map_err(failed)?;
        let child = spawn(command).map_err(failed)?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// Waits until `look` finds what shows that the process is ready.
    pub(crate) async fn ready<T>(
        &mut self,
        condition: &str,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, StartFailure> {
        let waited = until(condition, async || match self.child.try_wait() {
            Ok(None) => look().await.map(Ok),
            Ok(Some(status)) => Some(Err(Ok(status))),
            Err(source) => Some(Err(Err(source))),
        });
        match waited.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(Ok(status))) => Err(StartFailure::Refused { name: self.name, status, log: Log(self.log()) }),
            Ok(Err(Err(source))) => Err(StartFailure::System { name: self.name, source }),
            Err(source) => Err(StartFailure::NotReady { name: self.name, source, log: Log(self.log()) }),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, where it has.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// All that it has said.
    pub(crate) fn log(&self) -> String {
        read_log(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; a kill that finds nobody is no fault.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `program` so that it outlives this process, in a process group of its own, which the terminal's interrupt
/// does not reach. Returns its pid.
pub(crate) fn start_detached(program: &Path, arguments: &[String], log: &Path) -> io::Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    raise_file_limit();
    logging_to(command, log)?.spawn()
}

/// The log in the file `path`, as far as it is written.
pub(crate) fn read_log(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn logging_to(mut command: Command, log: &Path) -> io::Result<Command> {
    let file = File::create(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    Ok(command)
}

/// A command that the kernel kills when the thread that started it ends: `Drop` does not run in a process that is
/// killed. `setpriv` (util-linux) asks for it and becomes the program, in the same pid. Without it, only `Drop` remains.
fn bound_to_this_process(program: &Path) -> Command {
    static SETPRIV: LazyLock<bool> = LazyLock::new(|| {
        let probe = Command::new("setpriv").args(["--pdeathsig", "KILL", "true"]).output();
        probe.is_ok_and(|output| output.status.success())
    });
    if *SETPRIV {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// A command to start, and where its process is to be sent.
type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts `command` from a thread that lives as long as this process: the signal at the parent's death goes by the
/// thread that started the child, and a test's own thread ends before what its tests share.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, queue) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            raise_file_limit();
            for (mut command, reply) in queue {
                // Whoever asked waits for the reply.
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let (reply, answer) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes is gone");
    SPAWNER.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// Lets the processes of the stack open as many files as the system allows: thousands of waiting pulls take two each in
/// Envoy, and many systems start with 1,024.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where the system refuses, the stack runs with what it has.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
