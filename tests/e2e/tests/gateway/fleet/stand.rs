//! Rate limit services on one Redis, and gateways that ask them.

use std::net::SocketAddr;

use e2e::gateway::{Gateway, Setup};
use e2e::message::Message;
use e2e::request::Request;
use rate_limit_service::{Limits, Server, Store};
use serde_json::{Value, json};
use stack::{HostMode, Redis};

/// The results of the calls, as metrics name them.
pub(super) const RESULTS: [&str; 5] = ["ok", "over_limit", "timeout", "error", "open"];

/// A limit of the service: at most so many in an hour, which is longer than any test, for each tenant.
pub(super) fn at_most(most: u64, name: &str) -> Value {
    json!({
        "namespace": "mq", "name": name, "max_value": most, "seconds": 3600,
        "conditions": [format!("descriptors[0].limit == '{name}'")],
        "variables": ["descriptors[0].tenant"],
    })
}

/// A rate limit service with its counters in `redis`.
pub(super) async fn service(redis: &Redis, limits: Value) -> Server {
    let limits = Limits::read(&limits.to_string()).unwrap_or_else(|error| panic!("{error}"));
    let store = Store::new(&redis.url()).unwrap_or_else(|error| panic!("{error}"));
    Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), limits, store).await.expect("a free port")
}

pub(super) async fn redis() -> Redis {
    Redis::start().await.unwrap_or_else(|failure| panic!("{failure}"))
}

/// A policy's limit `name` that the cluster `ratelimit` counts for. Tests wait as long as a policy lets them, so that a
/// loaded machine fails none of them; those about time-outs say so.
pub(super) fn fleet(name: &str, on_error: &str) -> Value {
    json!({
        "name": name, "operations": ["publish"], "key": ["tenant"],
        "global": { "cluster": "ratelimit", "domain": "mq", "timeout": "1s", "on_error": on_error },
    })
}

/// A gateway whose policy has `limits`, and whose cluster `ratelimit` has these endpoints.
pub(super) fn asking(mode: HostMode, endpoints: &[SocketAddr], limits: Value) -> Setup {
    Setup::new(mode).bootstrap(|bootstrap| bootstrap.with(|document| add_cluster(document, endpoints))).policy(
        |policy| {
            policy["limits"] = limits;
        },
    )
}

/// Adds the cluster `ratelimit` to a configuration of Envoy.
pub(super) fn add_cluster(document: &mut Value, endpoints: &[SocketAddr]) {
    let endpoint = |address: &SocketAddr| {
        let address = json!({ "address": address.ip().to_string(), "port_value": address.port() });
        json!({ "endpoint": { "address": { "socket_address": address } } })
    };
    let endpoints: Vec<Value> = endpoints.iter().map(endpoint).collect();
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let cluster = json!({
        "name": "ratelimit", "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": { "cluster_name": "ratelimit", "endpoints": [{ "lb_endpoints": endpoints }] },
        "typed_extension_protocol_options": {
            options: {
                "@type": format!("type.googleapis.com/{options}"),
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        },
    });
    let clusters = document["static_resources"]["clusters"].as_array_mut().expect("clusters");
    clusters.push(cluster);
}

/// A publish of so many messages by a tenant.
pub(super) fn publish(tenant: &str, messages: usize) -> Vec<u8> {
    let body = json!({ "messages": vec![json!({ "body": "x" }); messages] }).to_string();
    Request::publish("orders")
        .header("x-dingtalk-mq-appkey", tenant)
        .header("content-type", "application/json")
        .body(body)
}

/// Sends a publish of so many messages and says whether it went on; one that did is taken from the upstream.
pub(super) async fn passes(gateway: &Gateway, tenant: &str, messages: usize) -> bool {
    let response = gateway.guarded(&publish(tenant, messages)).await;
    went_on(gateway, &response).await
}

/// Whether a publish went on that was answered with `response`.
pub(super) async fn went_on(gateway: &Gateway, response: &Message) -> bool {
    let received = gateway.went_on(response).await;
    assert!(received.iter().all(|received| received.text().starts_with("{\"messages\":[")), "{received:?}");
    received.is_some()
}

/// How many calls ended in each of [`RESULTS`].
pub(super) async fn results(gateway: &Gateway) -> [u64; 5] {
    let mut counts = [0; 5];
    for (count, result) in counts.iter_mut().zip(RESULTS) {
        *count = gateway.count(&format!("ackguard_fleet_calls_total;result={result}")).await;
    }
    counts
}
