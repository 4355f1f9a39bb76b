//! The filter's core as the processor runs it, without Envoy and WebAssembly around it.
//!
//! | module | what it has |
//! |---|---|
//! | [`inputs`] | requests, answers and policies: the same bytes each time |
//! | [`worker`] | one worker of a gateway: what the plugin does for a request, without its host |
//! | [`exchanges`] | the fixed set of exchanges whose instructions are counted |
//!
//! `benches/core.rs` measures the parts by the clock; it compares two versions on one machine. `make instructions` counts
//! the instructions of whole exchanges, which are the same on every machine, and holds them to `instructions.txt`.

pub mod exchanges;
pub mod inputs;
pub mod worker;
