//! What is counted and measured, and what a response, a log and a span tell of a decision.

mod announcement;
mod counter;
mod details;
mod duration;
mod fleet_result;
mod gauge;
mod label;
mod log_budget;
mod metric;

#[cfg(test)]
mod tests;

pub use announcement::{HEADER, announce};
pub use counter::{Counter, Decision, Scope};
pub use details::{DECISION, DETAILS, Details};
pub use duration::{Duration, Ending};
pub use fleet_result::FleetResult;
pub use gauge::Gauge;
pub use label::{Label, Labels};
pub use log_budget::LogBudget;
pub use metric::{METRICS, Metric, MetricKind};
