//! The bench for the end-to-end tests: the built filter in a real Envoy with two workers, between a client that sends
//! any bytes and an upstream that keeps every byte.
//!
//! - [`message`] is HTTP/1.1 as it stands on the wire, [`wire`] reads it from a socket.
//! - [`request`] writes requests, well-formed and not; [`client`] sends them, [`upstream`] receives them.
//! - [`gateway`] is Envoy with the filter and such an upstream behind it, in either host mode.
//! - [`case`] is what a policy's test is made of: a request, and what must become of it.
//!
//! The bench panics where a test cannot go on: it is used by tests alone.

pub mod case;
pub mod client;
pub mod gateway;
pub mod message;
pub mod request;
pub mod upstream;
pub mod wire;
