//! The benchmark: ratios and bounds, each measured side by side in one run, on real Envoys.
//!
//! - A [`Row`] is one measurement and the figures that it brings; each is a module of `rows`, which uses
//!   - `site`, an Envoy with a filter, and an upstream behind it that answers at once,
//!   - `policy`, policies of any number of rules,
//!   - `changes`, policies and modules that are moved into place under load, and the time until every worker serves them,
//!   - `rounds`, sites that are measured in turns, so that what the machine does meanwhile meets all of them.
//! - A [`Figure`] has its goal; [`Outcome`] has those of a row, and the requests that failed.
//! - [`Progress`] shows how far a row is, [`table()`] what came of all, [`write()`] keeps it.

mod changes;
mod figure;
mod policy;
mod progress;
mod quantiles;
mod result;
mod rounds;
mod rows;
mod site;
mod table;

use std::time::Duration;

use stack::{AdminError, BootstrapError, StartFailure, TimedOut};

use crate::steady::{CoverError, Fault};

pub use figure::{Figure, Goal, Outcome, Unit};
pub use progress::Progress;
pub use result::{Machine, write};
pub use rows::Row;
pub(crate) use site::Site;
pub use table::table;

/// Envoy's workers: with one alone, a policy would serve everywhere when it serves anywhere.
const WORKERS: u32 = 2;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Renames of the policy, every tenth of which brings a broken one.
    pub reloads: u64,
    /// Renames of a policy of ten thousand rules in binary form, and a fifth as many of one as text and as a Struct.
    pub large_reloads: u64,
    /// Rounds of each comparison of CPU time: in a round, each site has a turn.
    pub rounds: u32,
    /// How long a turn takes; half of it for the limits, whose six sites take turns.
    pub round: Duration,
    /// Pairs of new modules, one of AckGuard's and one of the no-op filter's.
    pub swaps: u32,
}

impl Default for Options {
    /// What the figures of the documentation were measured with: some four minutes.
    fn default() -> Self {
        Self { reloads: 1_000, large_reloads: 100, rounds: 15, round: Duration::from_secs(1), swaps: 15 }
    }
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Envoy did not start.
    #[error(transparent)]
    Start(#[from] StartFailure),
    /// A configuration could not be made or moved into place.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// Not every worker could be put under load.
    #[error(transparent)]
    Cover(#[from] CoverError),
    /// Envoy's counters could not be read.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Something that had to happen did not.
    #[error("{source}; {failed} requests failed until then: {first}")]
    TimedOut {
        /// What was waited for.
        #[source]
        source: TimedOut,
        /// Requests that went wrong.
        failed: u64,
        /// The first of those, in words.
        first: String,
    },
    /// A file or socket.
    #[error("{what}: {source}")]
    System {
        /// The file, or what the socket is for.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A request on which a figure rests went wrong.
    #[error("a request went wrong: {0}")]
    Request(Fault),
    /// Nothing was measured that a figure could be made of.
    #[error("nothing was measured: {0}")]
    Nothing(&'static str),
}
