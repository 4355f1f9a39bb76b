//! Load that does not wait for what it loads: requests have planned times, and how long one takes is counted from there. So
//! nothing hides behind an answer that is late: not the requests that wait for a connection meanwhile, nor what the load itself
//! is late with.
//!
//! - `schedule` plans them: [`even`], as a [`poisson`] process, or all [`at_once`] to find out what is borne.
//! - [`Lanes`] are the connections on which something is [`Asked`]; a [`Turn`] has what came of one schedule.

mod lane;
mod lanes;
mod schedule;

pub(crate) use lane::Asked;
pub(crate) use lanes::{Lanes, Turn};
pub(crate) use schedule::{at_once, even, poisson};
