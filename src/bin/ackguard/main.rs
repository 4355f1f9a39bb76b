//! The policy at the command line: the filter's own code, without Envoy.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cli;
mod completions;
mod schema;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Completions(args) => completions::perform(&args),
        Command::Schema(args) => schema::perform(&args),
    }
}
