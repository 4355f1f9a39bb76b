//! `tmq-load limits`: measures how exactly limits hold, shows and writes it.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use tmq_load::limits::{CASES, Case, Report, measure, update};
use tmq_load::measure::Machine;

/// The options of the measurement.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Needs target/ackguard.wasm and Envoy: `make limits` sees to them. A share of a window over 1 proves that a limit let too much \
through; it is shown as it is.

Exit status: 0 when everything was measured; 1 when it was not; 2 for a command line that cannot be read; 130 when \
interrupted.")]
pub(crate) struct Args {
    /// How long each limit is measured, after a second in which it settles; whole seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Measure these limits alone.
    #[arg(long, value_name = "LIMIT", value_parser = PossibleValuesParser::new(CASES.map(|case| case.name)))]
    only: Vec<String>,
    /// Where result.json goes.
    #[arg(long, value_name = "DIR", default_value = "target/limits")]
    out: PathBuf,
    /// A Markdown document that the table is written into, between its marks.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Measures what `args` say.
///
/// # Errors
/// Where something could not be measured or written.
pub(crate) async fn perform(args: Args) -> anyhow::Result<()> {
    let machine = Machine::before();
    let mut rows = Vec::new();
    let wanted = |case: &Case| args.only.is_empty() || args.only.iter().any(|name| name == case.name);
    for case in CASES.into_iter().filter(wanted) {
        rows.push((case, measure(&case, Duration::from_secs(args.seconds)).await?));
    }
    let report = Report { rows, machine: machine.after(), seconds: args.seconds };
    let table = report.table();
    let path = report.write(&args.out)?;
    if let Some(document) = &args.write {
        update(document, &table)?;
    }
    println!("{table}\n{}", path.display());
    Ok(())
}
