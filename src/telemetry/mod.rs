//! What is counted, and what a response tells of the decision behind it.

mod announcement;
mod counter;
mod fleet_result;
mod gauge;
mod log_budget;

pub use announcement::{HEADER, announce};
pub use counter::{Counter, Decision, Scope};
pub use fleet_result::FleetResult;
pub use gauge::Gauge;
pub use log_budget::LogBudget;
