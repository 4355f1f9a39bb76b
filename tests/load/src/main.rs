//! The command line of the load generator.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use cli::{Cli, Command, bench, incident, limits, traffic};

/// What a shell reports of a program that was interrupted.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // Dropping the command ends every process that it started.
    tokio::select! {
        code = perform(cli.command) => code,
        () = interrupt() => {
            eprintln!("tmq-load: interrupted");
            ExitCode::from(INTERRUPTED)
        }
    }
}

async fn perform(command: Command) -> ExitCode {
    let done = match command {
        Command::Incident(args) => incident::perform(args).await,
        Command::Bench(args) => bench::perform(args).await,
        Command::Limits(args) => limits::perform(args).await,
        Command::Traffic(args) => traffic::perform(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("tmq-load: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for Ctrl-C or a termination. Where neither can be heard, waits for ever.
async fn interrupt() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
