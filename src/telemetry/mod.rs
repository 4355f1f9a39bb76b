//! What is counted, and what a response tells of the decision behind it.

mod announcement;
mod counter;

pub use announcement::{HEADER, announce};
pub use counter::{Counter, Decision};
