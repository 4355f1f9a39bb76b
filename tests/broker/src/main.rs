//! `tmq-broker`: serves until it is told to end. Exit code 1 if it could not start, 2 for a wrong command line.
//! `tmq-broker reconcile`: exit code 1 if a message is not accounted for, 2 if that could not be told.

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, getrlimit, setrlimit};
use tmq_broker::Server;
use tmq_broker::cli::{Cli, Command};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = match cli.command() {
        Ok(Command::Serve(config)) => *config,
        Ok(Command::Reconcile(dir)) => return reconcile(&dir),
        Err(error) => return fail(&error, ExitCode::from(2)),
    };
    raise_file_limit();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, ExitCode::FAILURE),
    };
    match runtime.block_on(serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error, ExitCode::FAILURE),
    }
}

/// Takes all the file descriptors that the system allows: each waiting consumer holds a connection open, and the usual
/// soft limit is 1,024.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the number of connections is limited by that of open files");
    }
}

/// The number of the signal on the architectures of Linux but MIPS, SPARC and PA-RISC.
const SIGXFSZ: i32 = 25;

async fn serve(config: tmq_broker::Config) -> Result<(), Box<dyn std::error::Error>> {
    // Before the line that says it listens: whoever reads it may send a signal at once.
    // A limit on the size of files is met as a disk that is full, not as the end of the process.
    let _file_size_limit = signal(SignalKind::from_raw(SIGXFSZ))?;
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let semantics = config.semantics;
    let server = Server::start(config).await?;
    eprintln!("tmq-broker listening broker={} admin={} semantics={semantics}", server.listen(), server.admin());
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    server.shutdown().await;
    Ok(())
}

/// Prints what is not accounted for.
fn reconcile(dir: &Path) -> ExitCode {
    let mut out = std::io::stdout().lock();
    // Whoever reads may have read enough; the exit code tells the rest.
    let mut print = |line: &dyn Display| drop(writeln!(out, "{line}"));
    match tmq_broker::reconcile(dir, &mut |finding| print(&finding)) {
        Ok(reconciliation) => {
            print(&reconciliation);
            if reconciliation.findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => fail(&error, ExitCode::from(2)),
    }
}

fn fail(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    eprintln!("tmq-broker: {error}");
    code
}
