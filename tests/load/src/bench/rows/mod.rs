//! The rows of the benchmark: each is one measurement, a module of its own.

mod limit;
mod reload;
mod reload_large;
mod rules;
mod swap;

use super::{Options, Outcome};
use crate::measure::{MeasureError, Progress};

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Row {
    /// What a limited request costs beside Envoy's own filter, and how exactly the limit holds.
    Limit,
    /// A policy that is changed under load.
    Reload,
    /// The same with ten thousand rules.
    ReloadLarge,
    /// What a request costs with ten thousand rules.
    Rules,
    /// A module that is changed under load.
    Swap,
}

impl Row {
    /// Every row, in the order of the table.
    pub const ALL: [Self; 5] = [Self::Limit, Self::Reload, Self::ReloadLarge, Self::Rules, Self::Swap];

    /// Measures it and shows how far it is.
    ///
    /// # Errors
    /// Where there is no figure; requests that failed are in the outcome.
    pub async fn measure(self, options: &Options) -> Result<Outcome, MeasureError> {
        let (name, steps) = match self {
            Self::Limit => ("limit", u64::from(options.rounds)),
            Self::Reload => ("reload", options.reloads),
            Self::ReloadLarge => ("reload-large", reload_large::steps(options)),
            Self::Rules => ("rules", u64::from(options.rounds)),
            Self::Swap => ("swap", u64::from(options.swaps)),
        };
        let progress = Progress::begin(name, steps);
        let outcome = match self {
            Self::Limit => limit::measure(options, &progress).await,
            Self::Reload => reload::measure(options, &progress).await,
            Self::ReloadLarge => reload_large::measure(options, &progress).await,
            Self::Rules => rules::measure(options, &progress).await,
            Self::Swap => swap::measure(options, &progress).await,
        }?;
        progress.end();
        Ok(outcome)
    }
}
