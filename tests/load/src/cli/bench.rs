//! `tmq-load bench`: measures the rows, shows and writes the figures.

use std::path::PathBuf;

use anyhow::bail;
use humantime::Duration;
use tmq_load::bench::{Options, Outcome, RESULT, Row, table, write};
use tmq_load::measure::Machine;

/// The options of the benchmark.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Needs target/ackguard.wasm, target/noop.wasm and Envoy: `make bench` sees to them. A figure that misses its goal is shown \
as missed.

Exit status: 0 when everything was measured and no request failed, whether or not the goals are met; 1 when a request \
failed, or something could not be measured; 2 for a command line that cannot be read; 130 when interrupted.")]
pub(crate) struct Args {
    /// Measure these rows alone.
    #[arg(long, value_enum, value_name = "ROW")]
    only: Vec<Row>,
    /// Policies to move into place under load, every tenth of them broken.
    #[arg(long, default_value_t = Options::default().reloads, value_parser = clap::value_parser!(u64).range(1..))]
    reloads: u64,
    /// Policies of 10,000 rules to move into place under load in binary form, and a fifth as many as text and as a Struct.
    #[arg(long, default_value_t = Options::default().large_reloads, value_parser = clap::value_parser!(u64).range(1..))]
    large_reloads: u64,
    /// Rounds at least of a comparison of few sides: in a round, each has a turn. Where turns are shorter, there are the more.
    #[arg(long, default_value_t = Options::default().rounds, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long a turn takes there.
    #[arg(long, value_name = "DURATION", default_value_t = Options::default().round.into())]
    round: Duration,
    /// Rounds at least where the costs of all exchanges are compared.
    #[arg(long, default_value_t = Options::default().turns, value_parser = clap::value_parser!(u32).range(1..))]
    turns: u32,
    /// How long a turn takes there.
    #[arg(long, value_name = "DURATION", default_value_t = Options::default().turn.into())]
    turn: Duration,
    /// How long a row may go on with more rounds while one of its ratios is not known to 5 %, as it may be on a machine that
    /// others use as well; afterwards it ends, and says that it is unfit.
    #[arg(long, value_name = "DURATION", default_value_t = Options::default().patience.into())]
    patience: Duration,
    /// Tenants to make up.
    #[arg(long, default_value_t = Options::default().tenants, value_parser = clap::value_parser!(u64).range(1_000..))]
    tenants: u64,
    /// Topics to make up.
    #[arg(long, default_value_t = Options::default().topics, value_parser = clap::value_parser!(u64).range(1..))]
    topics: u64,
    /// Receipts to make up that are in flight at once; as many others follow when they are acknowledged.
    #[arg(long, default_value_t = Options::default().receipts, value_parser = clap::value_parser!(u64).range(1..))]
    receipts: u64,
    /// Pairs of new modules, AckGuard's and the no-op filter's.
    #[arg(long, default_value_t = Options::default().swaps, value_parser = clap::value_parser!(u32).range(1..))]
    swaps: u32,
    /// Where result.json goes.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out: PathBuf,
}

/// Measures what `args` say.
///
/// # Errors
/// Where something could not be measured, a request failed, or the file cannot be written.
pub(crate) async fn perform(args: Args) -> anyhow::Result<()> {
    let machine = Machine::before();
    let options = args.options();
    let rows = if args.only.is_empty() { Row::ALL.to_vec() } else { args.only };
    let mut outcome = Outcome::default();
    for row in rows {
        outcome = outcome.and(row.measure(&options).await?);
        // Whoever interrupts it, or meets an error, keeps what was measured until then.
        write(&args.out, &outcome, &machine.after())?;
    }
    println!("{}\n{}", table(&outcome, &machine.after()), args.out.join(RESULT).display());
    if outcome.failed > 0 {
        bail!("{} requests failed: {}", outcome.failed, outcome.faults.join("; "));
    }
    Ok(())
}

impl Args {
    fn options(&self) -> Options {
        Options {
            reloads: self.reloads,
            large_reloads: self.large_reloads,
            rounds: self.rounds,
            round: self.round.into(),
            turns: self.turns,
            turn: self.turn.into(),
            patience: self.patience.into(),
            tenants: self.tenants,
            topics: self.topics,
            receipts: self.receipts,
            swaps: self.swaps,
        }
    }
}
