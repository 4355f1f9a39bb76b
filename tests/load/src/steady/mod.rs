//! Constant load on a gateway whose policy changes under it.
//!
//! - [`cover`] opens kept-alive [`Connection`]s until every worker of the gateway has its share of them: a worker serves
//!   a connection for all of its life, so what all of them saw, every worker serves.
//! - [`Load`] sends one request after the other on each, and notes by which version of the policy it was answered.
//! - [`Fault`] is everything that a client must not see while a policy changes.

mod connection;
mod fault;
mod load;
mod record;

pub(crate) use connection::cover_listener;
pub use connection::{Connection, CoverError, LISTENER, Response, cover};
pub use fault::Fault;
pub(crate) use load::answer;
pub use load::{Expected, Load, Numbered, Summary, Traffic};
