//! What can be asked for at the command line.

pub(crate) mod bench;
pub(crate) mod incident;
pub(crate) mod limits;
mod traced;
pub(crate) mod traffic;

use clap::{Parser, Subcommand};

/// Producers and consumers of T-MQ, direct or through a gateway.
#[derive(Debug, Parser)]
#[command(name = "tmq-load", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Replay the incident: all messages are lost through a bare gateway, none with AckGuard.
    Incident(incident::Args),
    /// Measure AckGuard in real Envoys: how fast a policy changes under load, and what the filter costs.
    Bench(bench::Args),
    /// Measure how exactly limits hold in a real Envoy, under more demand than they let through.
    Limits(limits::Args),
    /// Publish and consume through a gateway at a steady rate, until it is told to end.
    Traffic(traffic::Args),
}
