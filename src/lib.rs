//! AckGuard: an Envoy filter that stops message-queue-over-HTTP consumers from losing messages.
//!
//! A request goes one way through the crate:
//!
//! ```text
//! bytes ─▶ dialect::read ─▶ Operation ─▶ policy::decide ─▶ Verdict ─▶ dialect::write ─▶ bytes
//!            what is asked                what is allowed               what is sent on
//! ```
//!
//! | module | what it knows |
//! |---|---|
//! | [`http`] | the head of a request and a reply of the gateway's own, without any host |
//! | [`json`] | JSON with the place of every value, so that one value can be replaced in the original bytes |
//! | [`hash`] | a hash that is the same in every build and on every worker |
//! | [`order`] | the order of things, by code that is there once |
//! | [`splice`] | byte-exact edits |
//! | [`operation`] | what a request asks of a broker, in no wire's terms |
//! | [`body`] | which bodies are read, and why one is not |
//! | [`dialect`] | wires: bytes to operations, changes and refusals back to bytes; no policy |
//! | [`policy`] | the policy document, compiled; operation to verdict; no wire |
//! | [`judgement`] | one request's whole way through these, without a host |
//! | [`limit`] | what may pass in which time |
//! | [`circuit_breaker`] | whether a service that fails is asked at all |
//! | [`shared_memory`] | what all workers know |
//! | [`rollout`] | how far a roll-out has come, and how its consumers fare |
//! | [`lease`] | who holds what until when, counted over all workers |
//! | [`subscriptions`] | which topic each consumer reads, for the pulls that do not say |
//! | [`telemetry`] | what is counted, and what a response tells of it |
//! | `plugin` | Envoy: the only code that knows proxy-wasm |
//!
//! Everything but `plugin` is pure: bytes and values in, decisions and bytes out.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod body;
pub mod circuit_breaker;
pub mod dialect;
pub mod hash;
pub mod http;
pub mod json;
pub mod judgement;
pub mod lease;
pub mod limit;
pub mod operation;
pub mod order;
mod plugin;
pub mod policy;
pub mod rollout;
pub mod shared_memory;
pub mod splice;
pub mod subscriptions;
pub mod telemetry;
