//! What may pass in which time.

pub mod fleet;
