//! `tmq-broker`: serves until it is told to end. Exit code 1 if it could not start, 2 for a wrong command line.

use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, getrlimit, setrlimit};
use tmq_broker::Server;
use tmq_broker::cli::Cli;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = match cli.config() {
        Ok(config) => config,
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

async fn serve(config: tmq_broker::Config) -> Result<(), Box<dyn std::error::Error>> {
    // Before the line that says it listens: whoever reads it may send a signal at once.
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

fn fail(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    eprintln!("tmq-broker: {error}");
    code
}
