//! The policy: a document, compiled once, that decides what becomes of an operation.
//!
//! The policy knows no wire: it sees an [`Operation`](crate::operation::Operation) and answers with a
//! [`Verdict`](verdict::Verdict). A document is accepted whole or refused whole, with all of its faults at once.

pub mod advice;
mod compile;
mod decide;
mod fault;
mod fields;
pub mod guard;
mod index;
pub mod limit;
mod pattern;
mod problem;
mod protobuf_struct;
pub mod rollout;
mod rules;
mod section;
mod traffic;
mod units;
pub mod verdict;
mod wording;

#[cfg(test)]
pub(crate) mod tests;

pub use decide::{decide, decide_unreadable};
pub use fault::{Fault, Faults};
pub use pattern::Pattern;
pub use problem::Problem;
pub use rules::{Caller, Match, Rule, Rules};
pub use traffic::{TenantSource, TrafficMatch};
pub use units::{duration, write_duration, write_rate};

use std::rc::Rc;

use crate::dialect::Dialect;
use crate::http::RequestHead;
use crate::json::Node;
use crate::operation::Tenant;

use limit::{Key, Limit, Operations};
use rollout::Rollout;

/// The largest document, in bytes.
pub const MAX_DOCUMENT: usize = 1 << 20;
/// The most rules.
pub const MAX_RULES: usize = 10_000;
/// The longest tenant's name, in bytes, that is matched; the rest is cut.
const MAX_TENANT: usize = 256;

/// Whether a verdict is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is.
    Enforce,
    /// It is counted and logged; the traffic passes as it came.
    Shadow,
}

impl Mode {
    /// The name in policies and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
        }
    }
}

/// What is told of requests beside counting them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telemetry {
    /// How long each takes, what answers tell of deliveries and acks, and the details for access logs and spans.
    Full,
    /// Nothing.
    Counted,
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

/// Rules under one version: those of a document, or those of a candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    /// The operator's label.
    pub version: String,
    /// Whether verdicts are carried out.
    pub mode: Mode,
    /// The rules.
    pub rules: Rules,
}

/// A policy in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How the host is used.
    pub headers: HostHeaders,
    /// What is told of requests.
    pub telemetry: Telemetry,
    /// The rules that hold for everybody whom no roll-out has reached.
    pub current: RuleSet,
    /// The rules that are being brought in.
    pub rollout: Option<Rollout>,
    traffic: Vec<TrafficMatch>,
    tenants: Vec<TenantSource>,
    limits: Vec<Rc<Limit>>,
    limited: Operations,
    asks_tenant: bool,
    asks_topic: bool,
    bounds_leases: bool,
}

impl Policy {
    fn new(
        (headers, telemetry): (HostHeaders, Telemetry),
        traffic: Vec<TrafficMatch>,
        tenants: Vec<TenantSource>,
        limits: Vec<Rc<Limit>>,
        current: RuleSet,
        rollout: Option<Rollout>,
    ) -> Policy {
        let candidate = rollout.as_ref().map(|rollout| &rollout.candidate.rules);
        let any = |asks: fn(&Rules) -> bool| asks(&current.rules) || candidate.is_some_and(asks);
        let limit_asks =
            |key, of: Operations| limits.iter().any(|limit| limit.operations.meets(of) && limit.key.contains(&key));
        // A roll-out's sides go by tenant.
        let asks_tenant = rollout.is_some() || any(Rules::ask_tenant) || limit_asks(Key::Tenant, Operations::ANY);
        let asks_topic = any(Rules::ask_topic) || limit_asks(Key::Topic, Operations::WITHOUT_TOPIC);
        let limited = limits.iter().fold(Operations::default(), |all, limit| all.and(limit.operations));
        let bounds_leases = any(Rules::bound_leases);
        Policy {
            headers,
            telemetry,
            traffic,
            tenants,
            limits,
            limited,
            asks_tenant,
            asks_topic,
            bounds_leases,
            current,
            rollout,
        }
    }

    /// Reads and compiles a document: JSON, or the bytes of a `google.protobuf.Struct`.
    ///
    /// # Errors
    /// Every fault of the document.
    pub fn parse(document: &[u8]) -> Result<Policy, Faults> {
        compile::compile(document)
    }

    /// Compiles a document that was read already, be it from YAML.
    ///
    /// # Errors
    /// Every fault of the document.
    pub fn compile(document: &Node<'_>) -> Result<Policy, Faults> {
        compile::compile_tree(document)
    }

    /// The entries of `traffic` in their order.
    pub fn traffic(&self) -> &[TrafficMatch] {
        &self.traffic
    }

    /// The entries of `tenant` in their order.
    pub fn tenant_sources(&self) -> &[TenantSource] {
        &self.tenants
    }

    /// The limits in their order.
    pub fn limits(&self) -> &[Rc<Limit>] {
        &self.limits
    }

    /// The operations that some limit is for.
    pub fn limited(&self) -> Operations {
        self.limited
    }

    /// The dialect that reads a request; the first match wins.
    pub fn dialect(&self, head: &RequestHead) -> Option<Dialect> {
        traffic::dialect(&self.traffic, head)
    }

    /// Who sends a request. `property` reads a property of the connection, by its path.
    ///
    /// Where nothing asks for the tenant, nothing is read and everybody is anonymous.
    pub fn tenant<F>(&self, head: &RequestHead, property: F) -> Tenant
    where
        F: FnMut(&[String]) -> Option<Vec<u8>>,
    {
        if self.asks_tenant || self.telemetry == Telemetry::Full {
            traffic::tenant(&self.tenants, head, property)
        } else {
            traffic::anonymous()
        }
    }

    /// Whether a rule asks for the topic, or a limit for that of a request which names none, so that subscriptions are worth remembering for the pulls that follow.
    pub fn asks_topic(&self) -> bool {
        self.asks_topic
    }

    /// Whether a rule bounds how many messages a group may have in flight.
    pub fn bounds_leases(&self) -> bool {
        self.bounds_leases
    }
}
