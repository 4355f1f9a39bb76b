//! What holds when the service gives no answer.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Instant;

use e2e::client::Http1Client;
use e2e::gateway::{Gateway, MODES, Setup, shipped};
use e2e::request::Request;
use serde_json::{Value, json};
use stack::{Clock, HostMode, until};

use super::stand::{add_cluster, asking, at_most, fleet, passes, publish, redis, results, service, went_on};

/// A limit that waits no longer than this.
fn within(timeout: &str, on_error: &str) -> Value {
    let mut limit = fleet("publish", on_error);
    limit["global"]["timeout"] = timeout.into();
    limit
}

/// What the gauge of the breakers says.
const BREAKER: &str = "wasmcustom.ackguard_breaker_state;cluster=ratelimit";

/// Sends requests, to every worker in the end, until the gauge of the breakers says `state`.
async fn breaker_becomes(gateway: &Gateway, state: u64) {
    let told = async || {
        passes(gateway, "a", 1).await;
        (gateway.stat(BREAKER).await == state).then_some(())
    };
    until(&format!("{BREAKER} {state}"), told).await.unwrap_or_else(|error| panic!("{error}"));
}

/// Sends requests until one is answered by the service again.
async fn answered_again(gateway: &Gateway) {
    let before = results(gateway).await[0];
    until("an answer of the service", async || {
        let response = gateway.guarded(&publish("after", 1)).await;
        went_on(gateway, &response).await;
        (results(gateway).await[0] > before).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn a_service_that_hangs_is_waited_for_no_longer_than_the_limit_says() {
    let redis = redis().await;
    let service = service(&redis, json!([at_most(1_000, "publish")])).await;
    for (mode, on_error, goes_on) in
        [(MODES[0], "allow", true), (MODES[1], "allow", true), (MODES[0], "reject", false), (MODES[1], "reject", false)]
    {
        let gateway = asking(mode, &[service.address()], json!([within("50ms", on_error)])).start().await;
        service.hang(true);
        let response = gateway.guarded(&publish("a", 1)).await;
        assert_eq!(went_on(&gateway, &response).await, goes_on, "{mode:?}, {on_error}");
        assert_eq!(results(&gateway).await, [0, 0, 1, 0, 0], "{mode:?}, {on_error}");
        if !goes_on {
            assert_eq!(response.header("x-ackguard").as_deref(), Some("reject; limit=publish; policy=1"));
            assert_eq!(response.header("retry-after").as_deref(), Some("1"));
        }
        service.hang(false);
        answered_again(&gateway).await;
        gateway.finish().await;
    }
}

/// Envoy ends a call by its own time-out. A filter whose clock runs ahead of Envoy's timers shows that it would not wait for
/// that end: it answers while the call is still under way.
#[tokio::test]
async fn a_wait_ends_where_envoy_never_tells_how_the_call_ended() {
    // On a machine that stands still for a second, Envoy may be first. Fewer than the failures that open the breaker.
    const TRIALS: u64 = 4;
    let redis = redis().await;
    let service = service(&redis, json!([at_most(1_000, "publish")])).await;
    for mode in MODES {
        let clock = Rc::new(Clock::new().expect("a clock"));
        let limits = json!([fleet("publish", "reject")]);
        let gateway = asking(mode, &[service.address()], limits).clock(clock.clone()).start().await;
        let mut first = false;
        for trial in 1..=TRIALS {
            service.hang(true);
            let before = service.calls();
            let mut client = Http1Client::open(gateway.envoy.guarded()).await;
            client.send(&publish("a", 1)).await;
            until("the call", async || (service.calls() > before).then_some(())).await.unwrap();
            clock.set(2 * i64::try_from(trial).expect("few")).expect("the clock is set");
            let response = client.response().await;
            first = gateway.stat("cluster.ratelimit.upstream_rq_active").await == 1;
            assert!(!went_on(&gateway, &response).await, "{mode:?}");
            assert_eq!(results(&gateway).await, [0, 0, trial, 0, 0], "{mode:?}");
            service.hang(false);
            if first {
                break;
            }
        }
        assert!(first, "{mode:?}: the filter waited for Envoy");
        // The end of the call, when it comes, is nobody's business any more.
        assert!(passes(&gateway, "a", 1).await, "{mode:?}");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn redis_may_die_and_come_back() {
    let mut redis = redis().await;
    let service = service(&redis, json!([at_most(1_000, "publish")])).await;
    let mut gateways = Vec::new();
    for (mode, on_error) in MODES.into_iter().zip(["allow", "reject"]) {
        let gateway = asking(mode, &[service.address()], json!([fleet("publish", on_error)])).start().await;
        assert!(passes(&gateway, "a", 1).await);
        gateways.push((gateway, on_error == "allow"));
    }
    redis.kill();
    for (gateway, goes_on) in &gateways {
        assert_eq!(passes(gateway, "a", 1).await, *goes_on);
        assert_eq!(results(gateway).await, [1, 0, 0, 1, 0]);
    }
    redis.restart().await.unwrap_or_else(|failure| panic!("{failure}"));
    for (gateway, _) in gateways {
        answered_again(&gateway).await;
        gateway.finish().await;
    }
}

#[tokio::test]
async fn a_service_that_fails_in_a_row_is_not_asked_for_a_while_and_then_again() {
    const MANY: u64 = 80;
    let mut redis = redis().await;
    let service = service(&redis, json!([at_most(1_000, "publish")])).await;
    let gateway = asking(HostMode::Streamed, &[service.address()], json!([fleet("publish", "allow")])).start().await;
    redis.kill();
    let began = Instant::now();
    for _ in 0..MANY {
        assert!(passes(&gateway, "a", 1).await, "the limit lets pass what nobody counts");
    }
    // For each worker five failures, and a trial each time that five seconds are over.
    let most = 2 * (5 + began.elapsed().as_secs() / 5);
    let [ok, over, timeout, error, open] = results(&gateway).await;
    assert_eq!((ok, over, timeout, error + open), (0, 0, 0, MANY));
    assert!(open > 0 && error <= most, "{error} calls, {open} without one; at most {most}");
    assert_eq!(service.calls(), error, "an open breaker makes no call");
    breaker_becomes(&gateway, 2).await;
    redis.restart().await.unwrap_or_else(|failure| panic!("{failure}"));
    answered_again(&gateway).await;
    breaker_becomes(&gateway, 0).await;
    gateway.finish().await;
}

#[tokio::test]
async fn the_gauge_of_the_breakers_falls_with_the_limit_that_it_tells_of() {
    // An address where nobody listens.
    let nobody = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).and_then(|held| held.local_addr()).unwrap();
    let bootstrap = shipped("ecds.yaml").host_mode(HostMode::Streamed);
    let bootstrap = bootstrap.with(|document| add_cluster(document, &[nobody]));
    let first = bootstrap.clone().edit_policy(|policy| policy["limits"] = json!([fleet("publish", "allow")]));
    let second = bootstrap.edit_policy(|policy| policy["version"] = "2".into());
    let gateway = Setup::new(HostMode::Streamed).bootstrap(|_| first).start().await;
    breaker_becomes(&gateway, 2).await;
    gateway.envoy.deliver(&second).expect("a configuration with ECDS");
    let fallen = async || (gateway.stat(BREAKER).await == 0).then_some(());
    until("the gauge to fall", fallen).await.unwrap_or_else(|error| panic!("{error}"));
    gateway.finish().await;
}

/// How long the service took is none of the broker's doing.
#[tokio::test]
async fn an_ack_that_waits_for_the_service_is_not_slow() {
    let redis = redis().await;
    let service = service(&redis, json!([at_most(1_000, "ack")])).await;
    let clock = Rc::new(Clock::new().expect("a clock"));
    let mut limit = fleet("ack", "allow");
    limit["operations"] = json!(["ack"]);
    let setup = asking(HostMode::Streamed, &[service.address()], json!([limit])).policy(|policy| {
        policy["rollout"] = json!({
            "candidate": { "version": "2" },
            "stages": [{ "percent": 100, "hold": "1h" }, { "percent": 100 }],
            "health": { "p99": "30s" },
        });
    });
    let gateway = setup.clock(clock.clone()).start().await;
    gateway.envoy.stat_reaches("wasmcustom.ackguard_rollout_stage", 1).await.expect("the first stage");
    service.hang(true);
    let mut client = Http1Client::open(gateway.envoy.guarded()).await;
    client.send(&Request::consumer("g", "ack").header("x-dingtalk-mq-appkey", "a").body(r#"{"receipts":["r"]}"#)).await;
    until("the call", async || (service.calls() > 0).then_some(())).await.unwrap();
    clock.set(60).expect("the clock is set");
    assert_eq!(client.response().await.head.status(), 200);
    gateway.upstream.take().await;
    gateway.envoy.stat_reaches("wasmcustom.ackguard_rollout_acks", 1).await.expect("the ack");
    assert_eq!(gateway.stat("wasmcustom.ackguard_rollout_acks_slow").await, 0);
    service.hang(false);
    gateway.finish().await;
}

#[tokio::test]
async fn a_cluster_without_endpoints_or_of_no_name_that_envoy_knows_hangs_nothing() {
    // An address where nobody listens.
    let nobody = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).and_then(|held| held.local_addr()).unwrap();
    // Read as a protobuf message, `x1` is one without a target.
    for (endpoints, cluster) in [(&[][..], "ratelimit"), (&[nobody][..], "ratelimit"), (&[][..], "x1")] {
        for (mode, on_error) in MODES.into_iter().zip(["reject", "allow"]) {
            let mut limit = fleet("publish", on_error);
            limit["global"]["cluster"] = cluster.into();
            let gateway = asking(mode, endpoints, json!([limit])).start().await;
            for _ in 0..3 {
                assert_eq!(passes(&gateway, "a", 1).await, on_error == "allow", "{cluster}, {endpoints:?}, {mode:?}");
            }
            assert_eq!(results(&gateway).await, [0, 0, 0, 3, 0], "{cluster}, {endpoints:?}, {mode:?}");
            gateway.finish().await;
        }
    }
}

#[tokio::test]
async fn clients_that_leave_while_the_service_is_asked_leave_nothing_behind() {
    for mode in MODES {
        let redis = redis().await;
        let service = service(&redis, json!([at_most(1_000, "publish")])).await;
        // The one token of the limit here is back when its client has left, or the next one would not be asked for.
        let here = json!({"name": "here", "operations": ["publish"], "rate": "1/h", "burst": 1});
        let gateway = asking(mode, &[service.address()], json!([here, fleet("publish", "reject")])).start().await;
        service.hang(true);
        for round in 1..=4 {
            let mut client = Http1Client::open(gateway.envoy.guarded()).await;
            client.send(&publish("a", 1)).await;
            until("the call", async || (service.calls() == round).then_some(())).await.unwrap();
            drop(client);
            let left = "wasmcustom.ackguard_fleet_calls_total;result=left";
            gateway.envoy.stat_reaches(left, round).await.expect("its end is noticed");
        }
        assert_eq!(gateway.stat("http.guarded.downstream_rq_active").await, 0);
        let counted = gateway.envoy.stats("ackguard_requests_total").await.expect("Envoy's admin");
        assert!(counted.is_empty(), "no request was decided on: {counted:?}");
        service.hang(false);
        assert!(passes(&gateway, "a", 1).await);
        gateway.end().await;
    }
}

/// The limit counts requests, so it is asked when the head is there.
#[tokio::test]
async fn a_body_that_comes_while_the_service_is_asked_arrives_whole() {
    for mode in MODES {
        let redis = redis().await;
        let service = service(&redis, json!([at_most(1_000, "publish")])).await;
        let gateway = asking(mode, &[service.address()], json!([fleet("publish", "reject")])).start().await;
        let pieces = ["{\"messages\":[", "{\"body\":\"x\"}", "]}"];
        let request = Request::publish("orders").header("x-dingtalk-mq-appkey", "a");
        let whole = request.chunked_with_trailers(pieces.map(str::as_bytes), "x-trailer: t\r\n");
        let end = whole.windows(4).position(|found| found == b"\r\n\r\n").expect("the end of the head") + 4;
        let (head, body) = whole.split_at(end);
        let received = "http.guarded.downstream_cx_rx_bytes_total";
        let before = gateway.stat(received).await;
        service.hang(true);
        let mut client = Http1Client::open(gateway.envoy.guarded()).await;
        client.send(head).await;
        until("the call", async || (service.calls() > 0).then_some(())).await.unwrap();
        for piece in body.chunks(10) {
            client.send(piece).await;
            tokio::task::yield_now().await;
        }
        gateway.envoy.stat_reaches(received, before + whole.len() as u64).await.expect("the body while it waits");
        service.hang(false);
        let response = client.response().await;
        assert_eq!(response.head.status(), 200, "{mode:?}: {response:?}");
        let received = gateway.upstream.take().await;
        assert_eq!(received.text(), pieces.concat(), "{mode:?}");
        assert_eq!(received.trailers.text("x-trailer").as_deref(), Some("t"), "{mode:?}");
        gateway.finish().await;
    }
}

/// A policy that is replaced takes nothing from the requests that wait under it, whether the new one asks a service or not,
/// and they end as it says.
#[tokio::test]
async fn a_request_that_waits_when_the_policy_changes_is_answered_under_its_own() {
    let redis = redis().await;
    let service = service(&redis, json!([at_most(1_000, "publish")])).await;
    for (on_error, next) in [("reject", json!([])), ("allow", json!([fleet("publish", "reject")]))] {
        let bootstrap = shipped("ecds.yaml").host_mode(HostMode::Streamed);
        let bootstrap = bootstrap.with(|document| add_cluster(document, &[service.address()]));
        let first = bootstrap.clone().edit_policy(|policy| policy["limits"] = json!([fleet("publish", on_error)]));
        let second = bootstrap.edit_policy(|policy| {
            policy["version"] = "2".into();
            policy["limits"] = next;
        });
        let gateway = Setup::new(HostMode::Streamed).bootstrap(|_| first).start().await;
        service.hang(true);
        let before = service.calls();
        let mut client = Http1Client::open(gateway.envoy.guarded()).await;
        client.send(&publish("a", 1)).await;
        until("the call", async || (service.calls() > before).then_some(())).await.unwrap();
        let updates = "extension_config_discovery.http_filter.ackguard.update_success";
        let updated = gateway.stat(updates).await;
        gateway.envoy.deliver(&second).expect("a configuration with ECDS");
        gateway.envoy.stat_reaches(updates, updated + 1).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(results(&gateway).await, [0; 5], "{on_error}: it waits while the policy changes");
        let response = client.response().await;
        // The second policy would do the other of the two.
        assert_eq!(went_on(&gateway, &response).await, on_error == "allow", "{on_error}");
        let told = (on_error == "reject").then_some("reject; limit=publish; policy=1");
        assert_eq!(response.header("x-ackguard").as_deref(), told, "{on_error}");
        assert_eq!(results(&gateway).await, [0, 0, 1, 0, 0], "{on_error}");
        service.hang(false);
        gateway.finish().await;
    }
}
