//! What is counted, and what a response tells of the decision behind it.

mod announcement;
mod counter;
mod gauge;
mod log_budget;

pub use announcement::{HEADER, announce};
pub use counter::{Counter, Decision, Scope};
pub use gauge::Gauge;
pub use log_budget::LogBudget;
