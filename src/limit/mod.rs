//! Limits: token buckets that all workers of one Envoy share, and in [`fleet`] those that many Envoys share.
//!
//! ```text
//! request ─▶ Limiter ─ a loan of tokens in hand ───────────────▶ goes on, no shared memory touched
//!                  └─▶ ledger ─ the bucket in shared memory ───▶ goes on, with a new loan, or is throttled
//! ```
//!
//! `bucket` is one bucket's arithmetic. `ledger` keeps the buckets of however many keys in a fixed number of slots
//! of shared memory. `limiter` is one worker's part: it borrows tokens in small loans, gives back what it does not
//! use, and asks several limits as one. [`bill`] says what a request is asked for.
//!
//! What always holds: over any time t, all workers together let through at most `rate · t + burst` tokens of a key. A
//! token is in the bucket or in one worker's loan and counted there until it is used, given back or lapsed; no bucket
//! fills above what its loans leave.

pub mod bill;
mod bucket;
pub mod fleet;
mod ledger;
mod limiter;

#[cfg(test)]
mod tests;

pub use bucket::Terms;
pub use limiter::{Limiter, Paid, Payment, Trouble};
