//! The benchmark: ratios and bounds, each measured side by side in one run, on real Envoys.
//!
//! - A [`Row`] is one measurement and the figures that it brings; each is a module of `rows`, which uses
//!   - `exchange` and `way`: what is asked, and the listeners with one filter each that are asked; `cells` has both,
//!   - `policy`, policies of any number of rules,
//!   - `changes`, policies and modules that are moved into place under load, and the time until every worker serves them,
//!   - `turns`, what is measured in turns, so that what the machine does meanwhile meets all sides, and for as long as it takes to
//!     know the figures; `sides`, what has such turns; `scaling` tells of one that has few of something and one that has many.
//! - A [`Figure`] has its goal; [`Outcome`] has those of a row, and the requests that failed.
//! - [`table()`] shows what came of all, [`chart()`](chart()) draws the costs, [`write()`] keeps both.

mod cells;
mod changes;
mod chart;
mod exchange;
mod figure;
mod policy;
mod quantiles;
mod result;
mod rows;
mod scaling;
mod sides;
mod table;
mod turns;
mod way;

use std::time::Duration;

pub use chart::{ChartError, chart};
pub use figure::{Cost, Figure, Goal, Outcome, Unit};
pub use quantiles::Spread;
pub use result::{RESULT, write};
pub use rows::Row;
pub use table::table;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Renames of the policy, every tenth of which brings a broken one.
    pub reloads: u64,
    /// Renames of a policy of ten thousand rules in binary form, and a fifth as many of one as text and as a Struct.
    pub large_reloads: u64,
    /// Rounds at least of a comparison of few sides: in a round, each has a turn. Where turns are shorter, there are the more.
    pub rounds: u32,
    /// How long a turn takes there.
    pub round: Duration,
    /// Rounds at least where dozens of sides are compared.
    pub turns: u32,
    /// How long a turn takes there.
    pub turn: Duration,
    /// How long a row may go on with more rounds while its ratios are not known well enough.
    pub patience: Duration,
    /// Tenants that clients make up.
    pub tenants: u64,
    /// Topics that they make up.
    pub topics: u64,
    /// Receipts that are made up and in flight at once, and as many others afterwards.
    pub receipts: u64,
    /// Pairs of new modules, one of AckGuard's and one of the no-op filter's.
    pub swaps: u32,
}

impl Default for Options {
    /// What the figures of the documentation were measured with.
    fn default() -> Self {
        Self {
            reloads: 1_000,
            large_reloads: 100,
            rounds: 15,
            round: Duration::from_secs(1),
            turns: 300,
            turn: Duration::from_millis(10),
            patience: Duration::from_secs(900),
            tenants: 1_000_000,
            topics: 1_000_000,
            receipts: 1_000_000,
            swaps: 15,
        }
    }
}
