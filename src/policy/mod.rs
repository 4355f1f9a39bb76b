//! The policy: a document, compiled once, that decides what becomes of an operation.
//!
//! The policy knows no wire: it sees an [`Operation`](crate::operation::Operation) and answers with a
//! [`Verdict`](verdict::Verdict). A document is accepted whole or refused whole, with all of its faults at once.

mod compile;
mod decide;
mod fault;
pub mod guard;
mod pattern;
mod protobuf_struct;
mod rules;
mod section;
mod traffic;
mod units;
pub mod verdict;

#[cfg(test)]
mod tests;

pub use decide::{decide, decide_unreadable};
pub use fault::{Fault, Faults};
pub use pattern::Pattern;
pub use rules::{Caller, Rule, Rules};
pub use traffic::{TenantSource, TrafficMatch};

use crate::dialect::Dialect;
use crate::http::RequestHead;
use crate::operation::Tenant;

/// The largest document, in bytes.
pub const MAX_DOCUMENT: usize = 1 << 20;
/// The most rules.
pub const MAX_RULES: usize = 10_000;
/// The longest tenant's name, in bytes, that is matched; the rest is cut.
const MAX_TENANT: usize = 256;

/// Whether a verdict is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Enforce,
    /// It is counted and logged; the traffic passes as it came.
    Shadow,
}

/// What the plugin may ask of its host at a request's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostHeaders {
    /// The host keeps the headers until the body was read: a changed body gets its right length, and a refused
    /// request never reaches the broker. Needs `allow_on_headers_stop_iteration` in the plugin's configuration.
    Held,
    /// The headers go on at once. Works on every host.
    Streamed,
}

/// A policy in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The operator's label.
    pub version: String,
    /// Whether verdicts are carried out.
    pub mode: Mode,
    /// How the host is used.
    pub headers: HostHeaders,
    traffic: Vec<TrafficMatch>,
    tenants: Vec<TenantSource>,
    rules: Rules,
    asks_tenant: bool,
    asks_topic: bool,
}

impl Policy {
    /// Reads and compiles a document: JSON, or the bytes of a `google.protobuf.Struct`.
    ///
    /// # Errors
    /// Every fault of the document, in the document's order.
    pub fn parse(document: &[u8]) -> Result<Policy, Faults> {
        compile::compile(document)
    }

    /// The dialect that reads a request; the first match wins.
    pub fn dialect(&self, head: &RequestHead) -> Option<Dialect> {
        traffic::dialect(&self.traffic, head)
    }

    /// Who sends a request. `property` reads a property of the connection, by its path.
    ///
    /// Where no rule asks for the tenant, nothing is read and everybody is anonymous.
    pub fn tenant<F>(&self, head: &RequestHead, property: F) -> Tenant
    where
        F: FnMut(&[String]) -> Option<Vec<u8>>,
    {
        if self.asks_tenant { traffic::tenant(&self.tenants, head, property) } else { traffic::anonymous() }
    }

    /// Whether a rule asks for the topic, so that subscriptions are worth remembering for the pulls that follow.
    pub fn asks_topic(&self) -> bool {
        self.asks_topic
    }

    /// The rule for an operation; `defaults` where none matches.
    pub fn rule(&self, caller: &Caller<'_>) -> &Rule {
        self.rules.first_match(caller)
    }
}
