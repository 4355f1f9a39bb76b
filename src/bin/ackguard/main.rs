//! The policy at the command line: the filter's own code, without Envoy.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod admin;
mod check;
mod cli;
mod completions;
mod diagnostic;
mod document;
mod explain;
mod gateway;
mod loaded;
mod metrics;
mod output;
mod render;
mod replay;
mod rollout;
mod schema;
mod source;
mod top;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Check(args) => check::perform(&args),
        Command::Explain(args) => explain::perform(&args),
        Command::Replay(args) => replay::perform(&args),
        Command::Render(args) => render::perform(&args),
        Command::Schema(args) => schema::perform(&args),
        Command::Metrics(args) => metrics::perform(&args),
        Command::Rollout(args) => rollout::perform(&args),
        Command::Top(args) => top::perform(&args),
        Command::Completions(args) => completions::perform(&args),
    }
}
