//! JSON with the place of every value.
//!
//! A message-queue body must reach the broker byte for byte except for the one field that a policy changes, so
//! decoding and encoding again is out of the question: number forms, key order and whitespace would not survive.
//! The [`Reader`] checks the whole text (RFC 8259, strictly) and reports where each value stands; [`text`] converts
//! between JSON's strings and plain ones; [`Node`] holds a document as a tree, for the policy; a [`Stream`] finds some
//! members of a text that comes in pieces and is never whole.

mod nesting;
mod reader;
mod stream;
pub mod text;
mod tree;

#[cfg(test)]
mod tests;

pub use reader::{Key, Kind, Malformed, Object, Reader, Span, Value};
pub use stream::{Event, Scalar, Stream, Wanted};
pub use tree::{Content, Member, Node, Place};

/// The deepest nesting of arrays and objects that is read. The same as serde_json's limit, so that what a broker
/// built on it accepts is accepted here.
pub const MAX_DEPTH: u32 = 127;
