//! A double of Envoy for the built filter: the release module runs in an interpreter, and each call that it makes of its
//! host is counted, with its bytes. So a test can state what an exchange costs, and one call more is seen.
//!
//! ```text
//! Traffic ─ policy, request, answer ─▶ Plugin ─ the module's callbacks ─▶ imports ─▶ Host
//!                                        │                                   └─▶ Calls
//!                                        └─▶ Outcome: what the broker got, what the client got
//! ```
//!
//! - [`traffic`] is what is played: each kind of traffic once, as clients send it.
//! - [`plugin`] calls the module as Envoy does, from its start to the end of each exchange.
//! - `imports` are the calls that `src/plugin/imports.txt` lists, `guest` is the module's memory as they see it, `host` is
//!   what they act on.
//! - [`calls`] counts them and says what they cost in a real Envoy.
//!
//! It follows the ABI 0.2.1 as Envoy 1.40 keeps it. What the filter has no business to ask (a map that is not there, an
//! unknown property, a wait that nothing ends) is no status here: the test fails with it.

pub mod calls;
mod guest;
mod host;
mod imports;
mod pairs;
pub mod plugin;
pub mod traffic;
