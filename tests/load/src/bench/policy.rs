//! Policies, and the requests that are held to them.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use stack::{Bootstrap, BootstrapError, HostMode};

/// The shipped configuration with ECDS, whose policy has no rules.
pub(super) fn shipped() -> Result<Bootstrap, BootstrapError> {
    Ok(Bootstrap::load("ecds.yaml")?.host_mode(HostMode::Streamed))
}

/// `policy` as `version`, with `count` rules: each for a tenant, nine of ten by its name, every tenth by a prefix.
pub(super) fn with_rules(mut policy: Value, version: u64, count: u64) -> Value {
    let rule = |number| {
        let pattern = if number % 10 == 9 { "*" } else { "" };
        let tenant = format!("{}{pattern}", tenant(number));
        json!({ "name": format!("r{number}"), "match": { "tenant": tenant }, "ack_timeout": { "min": "6s" } })
    };
    policy["version"] = version.to_string().into();
    policy["rules"] = (0..count).map(rule).collect();
    policy
}

fn tenant(number: u64) -> String {
    format!("t{number}-")
}

/// The subscribes and pulls, in turns, of tenants that have a rule each, of `RULES` rules.
pub(super) fn operation<const RULES: u64>(number: u64) -> Request<Full<Bytes>> {
    // A step that has no factor in common with any power of ten comes by every rule.
    const STEP: u64 = 7_919;
    let (path, body) = match number % 2 {
        0 => ("/tmq/v1/groups/g/consumers", r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#),
        _ => ("/tmq/v1/groups/g/consumers/c1:pull", r#"{"maxMessages":16,"waitMs":0,"ackTimeout":0}"#),
    };
    request(path, &tenant(number / 2 * STEP % RULES), body)
}

/// A subscribe with an ack timeout of 0.
pub(super) fn subscribe(_number: u64) -> Request<Full<Bytes>> {
    let body = r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#;
    request("/tmq/v1/groups/g/consumers", "bench", body)
}

fn request(path: &str, tenant: &str, body: &'static str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from_static(body.as_bytes())));
    *request.method_mut() = hyper::Method::POST;
    if let Ok(path) = path.parse() {
        *request.uri_mut() = path;
    }
    for (name, value) in [("host", "queue.test"), ("x-dingtalk-mq-appkey", tenant)] {
        if let Ok(value) = value.parse() {
            request.headers_mut().insert(name, value);
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_operations_come_by_every_rule() {
        let tenants: HashSet<_> =
            (0..2_000).map(|number| operation::<1_000>(number).headers()["x-dingtalk-mq-appkey"].clone()).collect();
        assert_eq!(tenants.len(), 1_000);
    }

    #[test]
    fn ten_thousand_rules_fit_into_a_policy() {
        let policy = with_rules(json!({}), u64::MAX, 10_000);
        assert!(policy.to_string().len() < 1 << 20, "{}", policy.to_string().len());
    }
}
