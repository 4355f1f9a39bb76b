//! Limits for a whole fleet: one question to Envoy's `RateLimitService` for all limits of a request, and its answer.
//!
//! ```text
//! Demands of a request's limits ─▶ Call ─ message ─▶ the service ─ response ─▶ Call::read ─▶ Answer
//! ```
//!
//! Nothing here makes the call; it says what to send and what the answer means. Each limit is one descriptor:
//! `("limit", its name)`, then a pair of key and value for each key that it counts by.

mod headers;
mod message;
#[cfg(test)]
mod tests;

use core::fmt;
use std::rc::Rc;

use prost::Message as _;

use crate::operation::Millis;
use crate::policy::Mode;
use crate::policy::limit::{Limit, MAX_SERVICE_NAME, OnError, Rate, Reach, Service};

use message::{Code, Descriptor, Entry, EnvoyGrpc, GrpcService, Request, Response, Status};

pub use headers::{Header, MAX_HEADER_BYTES, MAX_HEADERS};

/// The gRPC service.
pub const SERVICE: &str = "envoy.service.ratelimit.v3.RateLimitService";
/// Its method.
pub const METHOD: &str = "ShouldRateLimit";
/// The key of a descriptor's first entry, whose value is the limit's name.
pub const LIMIT_KEY: &str = "limit";
/// The largest response that is read, in bytes. One has some tens for each descriptor, and its headers.
pub const MAX_RESPONSE: usize = 64 * 1024;

/// What one limit asks about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand<'a> {
    /// The limit.
    pub limit: &'a Rc<Limit>,
    /// The service that counts for it.
    pub service: &'a Service,
    /// The value of each of its keys, in their order.
    pub values: Vec<&'a str>,
    /// What the request costs.
    pub cost: u64,
}

/// One question about one request, for all of its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Envoy's cluster of the service.
    pub cluster: Rc<str>,
    /// The request message.
    pub message: Vec<u8>,
    /// How long the answer may take: the least that a limit allows.
    pub timeout: Millis,
    asked: Vec<Rc<Limit>>,
}

/// A limit that the request is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// The limit.
    pub limit: Rc<Limit>,
    /// How long until there is room again, where the service tells.
    pub wait: Option<Millis>,
    /// What is left of it, in what the limit counts.
    pub remaining: u64,
    /// The most that may pass in its time, where the service tells.
    pub most: Option<u64>,
    /// The same with the time, where that is a second, a minute or an hour.
    pub rate: Option<Rate>,
}

/// What a service answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The limits that the request is over, in the order in which they were asked.
    pub over: Vec<Over>,
    /// What the client is to be told.
    pub headers: Vec<Header>,
}

/// A response that is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It has more bytes than are read.
    TooLarge,
    /// It is no `RateLimitResponse`.
    Malformed,
    /// It says neither yes nor no.
    Unknown,
    /// It says no, and nothing of which limit, while some are enforced and some are not.
    Ambiguous,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unanswered::TooLarge => "the response is too large",
            Unanswered::Malformed => "the response is no RateLimitResponse",
            Unanswered::Unknown => "the response's overall_code is neither OK nor OVER_LIMIT",
            Unanswered::Ambiguous => "the response has no status for each descriptor, which shadowed limits need",
        })
    }
}

impl Call {
    /// The question that asks for all `demands` at once. None where there is none. All must be of the same cluster and
    /// domain, which a policy makes sure of.
    pub fn new(demands: &[Demand<'_>]) -> Option<Call> {
        let service = demands.first()?.service;
        Some(Call {
            cluster: service.cluster.clone(),
            message: request(&service.domain, demands).encode_to_vec(),
            timeout: demands.iter().map(|demand| demand.service.timeout).min().unwrap_or(service.timeout),
            asked: demands.iter().map(|demand| demand.limit.clone()).collect(),
        })
    }

    /// Reads the response.
    ///
    /// # Errors
    /// Where it does not tell whether the request is over a limit.
    pub fn read(&self, response: &[u8]) -> Result<Answer, Unanswered> {
        if response.len() > MAX_RESPONSE {
            return Err(Unanswered::TooLarge);
        }
        let response = Response::decode(response).map_err(|_| Unanswered::Malformed)?;
        let over = match response.overall_code() {
            Code::Unknown => return Err(Unanswered::Unknown),
            // A service may shadow a limit on its own: then a status can be over while the whole is not.
            Code::Ok => Vec::new(),
            Code::OverLimit => self.over(&response.statuses)?,
        };
        Ok(Answer { over, headers: headers::passed_on(response.response_headers_to_add) })
    }

    /// The limits of a mode, in the order in which they are asked.
    pub fn limits(&self, mode: Mode) -> impl Iterator<Item = &Rc<Limit>> {
        self.asked.iter().filter(move |limit| limit.over == mode)
    }

    /// What follows where there is no answer: the limits that say `reject` then, as being over.
    pub fn without_answer(&self) -> Answer {
        let rejects = |limit: &&Rc<Limit>| match &limit.reach {
            Reach::Fleet(service) => service.on_error == OnError::Reject,
            Reach::Local { .. } => false,
        };
        let over = self.asked.iter().filter(rejects).map(|limit| over(limit, &Status::default()));
        Answer { over: over.collect(), headers: Vec::new() }
    }

    /// The limits that the statuses, one for each descriptor, are over. Without them nothing tells which of the limits it
    /// is: where all are of one kind, the first stands for it.
    fn over(&self, statuses: &[Status]) -> Result<Vec<Over>, Unanswered> {
        let told = statuses.iter().any(|status| status.code() == Code::OverLimit);
        if told && statuses.len() == self.asked.len() {
            let both = self.asked.iter().zip(statuses).filter(|(_, status)| status.code() == Code::OverLimit);
            return Ok(both.map(|(limit, status)| over(limit, status)).collect());
        }
        let Some(first) = self.asked.first() else { return Err(Unanswered::Ambiguous) };
        if self.asked.iter().any(|limit| limit.over != first.over) {
            return Err(Unanswered::Ambiguous);
        }
        Ok(vec![over(first, &Status::default())])
    }
}

/// A limit that the request is over, by what the service says of it.
fn over(limit: &Rc<Limit>, status: &Status) -> Over {
    Over {
        limit: limit.clone(),
        wait: status.duration_until_reset.as_ref().map(millis),
        remaining: status.limit_remaining.into(),
        most: status.current_limit.as_ref().map(|limit| limit.requests_per_unit.into()),
        rate: status.current_limit.as_ref().and_then(rate),
    }
}

impl Answer {
    /// The limit that refuses the request: of those that are enforced, the one with the longest wait. None where the
    /// request goes on.
    pub fn refusal(&self) -> Option<&Over> {
        let enforced = self.over.iter().filter(|over| over.limit.over == Mode::Enforce);
        // The first of several with the same wait.
        enforced.rev().max_by_key(|over| over.wait)
    }
}

/// What a cluster and an authority may have together, so that their message is text: 127 bytes without two tags and lengths.
const MAX_GRPC_SERVICE: usize = 123;

/// Names `cluster` to Envoy. None where the name is longer than [`MAX_SERVICE_NAME`].
///
/// Envoy takes a serialized `GrpcService` or a cluster's plain name, and tries the first: some names, such as `x1`, can be
/// read as a message, one without any target, which ends Envoy. The message itself is text as the SDK wants it as long as
/// its lengths are below 128.
pub fn target(cluster: &str) -> Option<String> {
    if cluster.len() > MAX_SERVICE_NAME {
        return None;
    }
    // Istio's names, `outbound|8081||ratelimit.mq.svc.cluster.local`, are no `:authority` that a server takes; their last
    // part is one, as much of it as the message has room for.
    let host = cluster.rsplit_once('|').map_or("", |(_, host)| host);
    let room = MAX_GRPC_SERVICE.saturating_sub(cluster.len());
    let authority = host.chars().take(room).collect();
    let envoy_grpc = EnvoyGrpc { cluster_name: cluster.to_owned(), authority };
    String::from_utf8(GrpcService { envoy_grpc: Some(envoy_grpc) }.encode_to_vec()).ok()
}

fn request(domain: &str, demands: &[Demand<'_>]) -> Request {
    let shared = shared_cost(demands);
    Request {
        domain: domain.to_owned(),
        descriptors: demands.iter().map(|demand| descriptor(demand, shared.is_none())).collect(),
        hits_addend: shared.unwrap_or(0),
    }
}

/// What all demands cost alike, where the request as a whole can say it: services have known that field for longer than the
/// descriptors' own.
fn shared_cost(demands: &[Demand<'_>]) -> Option<u32> {
    let cost = demands.first()?.cost;
    let alike = demands.iter().all(|demand| demand.cost == cost);
    // A 0 there means 1.
    u32::try_from(cost).ok().filter(|cost| alike && *cost > 0)
}

fn descriptor(demand: &Demand<'_>, says_cost: bool) -> Descriptor {
    let keys = demand.limit.key.iter().map(|key| key.name()).zip(demand.values.iter().copied());
    let entries = core::iter::once((LIMIT_KEY, &*demand.limit.name)).chain(keys);
    Descriptor {
        entries: entries.map(|(key, value)| Entry { key: key.to_owned(), value: value.to_owned() }).collect(),
        hits_addend: says_cost.then_some(demand.cost),
    }
}

fn rate(limit: &message::RateLimit) -> Option<Rate> {
    let period = match limit.unit {
        1 => 1_000,
        2 => 60_000,
        3 => 3_600_000,
        _ => return None,
    };
    Some(Rate { tokens: u64::from(limit.requests_per_unit), period: Millis(period) }).filter(|rate| rate.tokens > 0)
}

/// A time in whole milliseconds, rounded up: a client that waits so long does not come too early.
fn millis(time: &message::Duration) -> Millis {
    let nanos = i64::from(time.nanos.clamp(0, 999_999_999));
    Millis(time.seconds.max(0).saturating_mul(1_000).saturating_add((nanos + 999_999) / 1_000_000))
}
