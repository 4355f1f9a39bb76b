//! The rows of the benchmark: each is one measurement, a module of its own.

mod cost;
mod growth;
mod latency;
mod limit;
mod memory;
mod reload;
mod reload_large;
mod rules;
mod sizes;
mod swap;
mod telemetry;
mod throughput;
mod workers;

use std::fmt;

use clap::ValueEnum as _;

use super::{Options, Outcome};
use crate::measure::{self, MeasureError, Processors, Progress};

/// How far two listeners that are alike may differ, as a share of what one takes.
const FIT: f64 = 0.05;
/// What is said where they differ more.
const ALIKE: &str = "the control is out of its bounds: two listeners that are alike differ";

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Row {
    /// What a request of each kind costs, beside other filters.
    Cost,
    /// What Envoy holds more for a million made-up tenants, topics and receipts, and what a request costs then.
    Growth,
    /// How much later an ack is answered at half of the load that Envoy bears.
    Latency,
    /// How exactly a limit holds.
    Limit,
    /// What the module weighs, and what an idle Envoy holds for it.
    Memory,
    /// A policy that is changed under load, beside a no-op filter's configuration.
    Reload,
    /// The same with ten thousand rules.
    ReloadLarge,
    /// What a request costs with ten thousand rules, and what memory they take.
    Rules,
    /// What messages of 1 KiB to 1 MiB cost, over none.
    Sizes,
    /// A module that is changed under load.
    Swap,
    /// What metrics, access log and traces cost.
    Telemetry,
    /// How many messages get through to a real broker.
    Throughput,
    /// What an ack costs with one worker, two and four, over none.
    Workers,
}

impl Row {
    /// Every row, in the order of the table.
    pub const ALL: [Self; 13] = [
        Self::Cost,
        Self::Latency,
        Self::Sizes,
        Self::Throughput,
        Self::Telemetry,
        Self::Workers,
        Self::Growth,
        Self::Memory,
        Self::Limit,
        Self::Rules,
        Self::Reload,
        Self::ReloadLarge,
        Self::Swap,
    ];

    /// Measures it and shows how far it is.
    ///
    /// # Errors
    /// Where there is no figure; requests that failed are in the outcome.
    pub async fn measure(self, options: &Options) -> Result<Outcome, MeasureError> {
        let outcome = match self {
            Self::Cost => apart("cost", cost::plan(options).rounds.into(), options, cost::measure).await,
            Self::Latency => apart("latency", latency::rounds(options).into(), options, latency::measure).await,
            Self::Sizes => apart("sizes", sizes::plan(options).rounds.into(), options, sizes::measure).await,
            Self::Telemetry => {
                apart("telemetry", telemetry::plan(options).rounds.into(), options, telemetry::measure).await
            }
            Self::Growth => apart("growth", growth::steps(options), options, growth::measure).await,
            Self::Throughput => {
                let steps = throughput::plan(options).rounds.into();
                shown("throughput", steps, async |p| throughput::measure(options, p).await).await
            }
            Self::Workers => {
                let steps = workers::plan(options).rounds.into();
                shown("workers", steps, async |p| workers::measure(options, p).await).await
            }
            Self::Rules => shown("rules", rules::steps(options), async |p| rules::measure(options, p).await).await,
            Self::Memory => shown("memory", memory::STEPS, async |p| memory::measure(p).await).await,
            // It shows its own progress.
            Self::Limit => limit::measure(options).await,
            Self::Reload => shown("reload", options.reloads, async |p| reload::measure(options, p).await).await,
            Self::ReloadLarge => {
                shown("reload-large", reload_large::steps(options), async |p| reload_large::measure(options, p).await)
                    .await
            }
            Self::Swap => shown("swap", options.swaps.into(), async |p| swap::measure(options, p).await).await,
        };
        Ok(outcome?.of_row(self))
    }
}

impl fmt::Display for Row {
    /// As the command line names it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| out.write_str(value.get_name()))
    }
}

/// Measures what loads an Envoy from a processor of its own, and shows how far it is.
async fn apart(
    name: &'static str,
    steps: u64,
    options: &Options,
    row: impl AsyncFnOnce(&Options, Option<Processors>, &Progress) -> Result<Outcome, MeasureError> + Send + 'static,
) -> Result<Outcome, MeasureError> {
    let options = *options;
    measure::apart(async move |processors| {
        shown(name, steps, async |progress| row(&options, processors, progress).await).await
    })
    .await
}

/// Measures, and shows how far it is.
async fn shown(
    name: &'static str,
    steps: u64,
    row: impl AsyncFnOnce(&Progress) -> Result<Outcome, MeasureError>,
) -> Result<Outcome, MeasureError> {
    let progress = Progress::begin(name, steps);
    let outcome = row(&progress).await?;
    progress.end();
    Ok(outcome)
}
