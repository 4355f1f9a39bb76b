//! Envoy's `RateLimitService` v3, as a fleet of gateways asks it: limits and counters of the crate limitador, their values
//! in Redis, so that any number of services share them.
//!
//! Each descriptor of a call is counted by itself, as envoyproxy/ratelimit does: one that is refused takes nothing from its
//! own limits and leaves those of the others alone.
//!
//! [`Server`] is one running service, [`Limits`] what it holds to, [`Store`] the Redis.

mod grpc;
mod limits;
pub mod message;
mod server;
mod service;
mod store;

pub use limits::{Limits, LimitsError};
pub use server::Server;
pub use store::Store;
