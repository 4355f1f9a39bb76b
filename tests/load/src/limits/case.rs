//! A limit, and the demand that meets it.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::{Value, json};
use stack::{Bootstrap, BootstrapError, HostMode};

use crate::measure::{Filter, token_bucket};
use crate::steady::LISTENER;

/// Who limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// AckGuard, by tenant, at a cost of one for each request.
    Requests,
    /// AckGuard, by tenant, at a cost of one for each message.
    Messages,
    /// Envoy's own filter, which has one bucket for all.
    LocalRateLimit,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Its name in `result.json`.
    pub name: &'static str,
    /// What it is, for a reader of the table.
    pub says: &'static str,
    /// Who limits.
    pub guard: Guard,
    /// Envoy's workers.
    pub workers: u32,
    /// Tenants, each with a bucket of its own, that publish in turns.
    pub tenants: u32,
    /// Tokens a second, for each tenant.
    pub rate: u32,
    /// Tokens that a bucket holds.
    pub burst: u32,
    /// Messages in each publish.
    pub messages: u32,
    /// Publishes a second, of all tenants together.
    pub demand: u32,
}

/// One tenant with three times the demand that its limit lets through, on `workers` workers.
const fn hot(name: &'static str, says: &'static str, guard: Guard, workers: u32) -> Case {
    Case { name, says, guard, workers, tenants: 1, rate: 1_000, burst: 200, messages: 1, demand: 3_000 }
}

/// One tenant, two workers.
pub const HOT: Case = hot("hot_2", "one tenant", Guard::Requests, 2);
/// The same with Envoy's own filter.
pub const LOCAL_RATELIMIT: Case = hot("local_ratelimit_2", "Envoy's `local_ratelimit`", Guard::LocalRateLimit, 2);

/// Every row, in the order of the table.
pub const CASES: [Case; 7] = [
    hot("hot_1", "one tenant", Guard::Requests, 1),
    HOT,
    hot("hot_4", "one tenant", Guard::Requests, 4),
    Case { name: "tenants_2", says: "50 tenants, each", tenants: 50, rate: 20, burst: 10, ..HOT },
    Case {
        name: "messages_2",
        says: "publishes of 16 messages, by messages",
        guard: Guard::Messages,
        rate: 8_000,
        burst: 1_600,
        messages: 16,
        demand: 1_500,
        ..HOT
    },
    Case { name: "below_2", says: "less demand than the rate", demand: 700, ..HOT },
    LOCAL_RATELIMIT,
];

impl Case {
    /// Whether the limit is AckGuard's.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.guard != Guard::LocalRateLimit
    }

    /// Tokens that one publish costs.
    #[must_use]
    pub fn cost(&self) -> u32 {
        if self.guard == Guard::Messages { self.messages } else { 1 }
    }

    /// Tokens a second that are asked for, of all tenants together.
    #[must_use]
    pub fn asked(&self) -> u32 {
        self.demand * self.cost()
    }

    /// Whether more is asked for than may pass.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.asked() > self.rate * self.tenants
    }

    /// The shipped configuration with the limit.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn bootstrap(&self) -> Result<Bootstrap, BootstrapError> {
        let bootstrap = Bootstrap::load("static.yaml")?.host_mode(HostMode::Held);
        Ok(match self.guard {
            Guard::Requests => bootstrap.edit_policy(|policy| policy["limits"] = self.limits("requests")),
            Guard::Messages => bootstrap.edit_policy(|policy| policy["limits"] = self.limits("messages")),
            Guard::LocalRateLimit => {
                // Every 50 ms, the shortest time that the filter fills its bucket by.
                let bucket = token_bucket(self.burst, (self.rate / 20).max(1), "0.05s");
                bootstrap.with(|document| Filter::LocalRateLimit(bucket).put(document, LISTENER))
            }
        })
    }

    fn limits(&self, cost: &str) -> Value {
        let rate = format!("{}/s", self.rate);
        json!([{
            "name": "publish-per-tenant", "operations": ["publish"], "key": ["tenant"],
            "rate": rate, "burst": self.burst, "cost": cost,
        }])
    }

    /// The publish number `number`.
    #[must_use]
    pub fn publish(&self, number: u64) -> Request<Full<Bytes>> {
        let message = r#"{"body":"0123456789"}"#;
        let messages = vec![message; self.messages as usize].join(",");
        publish(&self.tenant(number).to_string(), format!(r#"{{"messages":[{messages}]}}"#))
    }

    /// Whose the publish number `number` is.
    #[must_use]
    pub fn tenant(&self, number: u64) -> u64 {
        number % u64::from(self.tenants)
    }
}

/// A publish of `tenant`'s with `body`.
fn publish(tenant: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body.into()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = hyper::Uri::from_static("/tmq/v1/topics/orders/messages");
    for (name, value) in [("host", "queue.test"), ("x-dingtalk-mq-appkey", tenant)] {
        if let Ok(value) = value.parse() {
            request.headers_mut().insert(name, value);
        }
    }
    request
}
