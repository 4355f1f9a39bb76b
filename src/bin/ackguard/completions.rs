//! `ackguard completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::Cli;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ackguard completions bash > ~/.local/share/bash-completion/completions/ackguard")]
pub(crate) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the completions.
pub(crate) fn perform(args: &Args) -> ExitCode {
    clap_complete::generate(args.shell, &mut Cli::command(), "ackguard", &mut std::io::stdout());
    ExitCode::SUCCESS
}
