//! What must hold for any bytes from the outside. A law that is broken panics, which is what a fuzzer looks for.
//!
//! `make fuzz` runs the laws under AFL++, led by the coverage of the instrumented filter; `cargo test` runs them over
//! the corpus, so that an input which broke a law once is tried for ever.

mod binary;
mod policy;
mod request;
pub mod structs;

pub use binary::binary;
pub use policy::document;
pub use request::request;
