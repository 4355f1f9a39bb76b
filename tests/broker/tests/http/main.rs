//! The broker as its clients see it: over real sockets, on free ports, each test with a broker of its own.

mod admin;
mod bad_input;
mod client;
mod encoding;
mod errors;
mod limits;
mod long_poll;
mod operations;
mod process;
mod process_memory;
#[expect(dead_code, reason = "a broker that does not start is for the tests of recovery")]
mod program;
mod semantics;
mod signature;
mod slow_clients;
mod tracing;
mod versions;
