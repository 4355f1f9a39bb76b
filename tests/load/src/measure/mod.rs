//! What every measurement on a real Envoy is made of.
//!
//! - `Filter` is what is measured, `Site` an Envoy with it, and an upstream behind that answers at once.
//! - `pin` keeps what is measured and what loads it on processors of their own.
//! - [`Progress`] shows how far a measurement is, [`Machine`] how busy the machine was meanwhile.

mod filter;
mod machine;
mod pin;
mod progress;
mod site;
mod upstream;

use stack::{AdminError, BootstrapError, StartFailure, TimedOut};

use crate::steady::{CoverError, Fault};

pub(crate) use filter::{Filter, token_bucket};
pub use machine::Machine;
pub(crate) use pin::{Processors, apart};
pub use progress::Progress;
pub(crate) use site::{Site, noop};
pub(crate) use upstream::{BATCH_GROUP, RECEIPTS, Size, consumer_of_receipts, receipts};

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
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
    /// What was measured could not be drawn.
    #[error(transparent)]
    Chart(#[from] crate::bench::ChartError),
    /// A request on which a figure rests went wrong.
    #[error("a request went wrong: {0}")]
    Request(Fault),
    /// No request was answered as it must be.
    #[error("no request was answered: {0}")]
    Unanswered(String),
    /// Nothing was measured that a figure could be made of.
    #[error("nothing was measured: {0}")]
    Nothing(&'static str),
}
