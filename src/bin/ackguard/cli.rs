//! What can be asked for at the command line. Each command has its arguments and its work in a module of its own.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

use crate::{check, completions, explain, metrics, render, replay, rollout, schema, top};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Check, explain and try AckGuard's policies, with the same code as the filter.
#[derive(Debug, Parser)]
#[command(
    name = "ackguard",
    version,
    styles = STYLES,
    after_help = "Exit status: 0 when all is well, 1 when a policy or a request is refused, 2 when the command line or a \
                  file cannot be read.\nA file named - is standard input."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell everything that is wrong with a policy, and everything that is unwise
    Check(check::Args),
    /// Tell what becomes of one request, and why
    Explain(explain::Args),
    /// Judge recorded traffic again: what would a policy, or a change of it, change
    Replay(replay::Args),
    /// Print a policy as what Envoy, Kubernetes and Istio load
    Render(Box<render::Args>),
    /// Print the JSON Schema of policies, for editors
    Schema(schema::Args),
    /// Print what the filter counts, or the part of Envoy's configuration that shows it
    Metrics(metrics::Args),
    /// Look after a roll-out in a running Envoy
    Rollout(rollout::Args),
    /// Watch what the filter of a running Envoy does, each second
    Top(top::Args),
    /// Print the completions of a shell
    Completions(completions::Args),
}
