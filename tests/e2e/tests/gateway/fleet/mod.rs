//! Limits that a fleet of Envoys shares, with real rate limit services on a real Redis.

mod failures;
mod stand;

use e2e::gateway::MODES;
use serde_json::{Value, json};
use stack::HostMode;
use tokio::task::JoinSet;

use stand::{asking, at_most, fleet, passes, publish, redis, results, service, went_on};

#[tokio::test]
async fn two_envoys_with_two_workers_each_share_one_limit() {
    const MOST: u64 = 20;
    let redis = redis().await;
    let limits = json!([at_most(MOST, "publish")]);
    let services = [service(&redis, limits.clone()).await, service(&redis, limits).await];
    let mut gateways = Vec::new();
    for (mode, service) in MODES.into_iter().zip(&services) {
        let limits = json!([fleet("publish", "reject")]);
        gateways.push(asking(mode, &[service.address()], limits).start().await);
    }
    let mut clients = JoinSet::new();
    for index in 0..80 {
        let address = gateways[index % 2].envoy.guarded();
        clients.spawn(async move {
            let mut client = e2e::client::Http1Client::open(address).await;
            client.send(&publish("app", 1)).await;
            client.response().await.head.status()
        });
    }
    let statuses = clients.join_all().await;
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    // On a machine that stands still for a second, an answer may come too late for its request.
    let mut late = 0;
    for gateway in &gateways {
        let [_, _, timeout, error, open] = results(gateway).await;
        assert_eq!((error, open), (0, 0));
        late += timeout;
    }
    assert!(passed as u64 <= MOST && passed as u64 + late >= MOST, "{passed} of {MOST}, {late} too late");
    assert!(passes(&gateways[0], "other", 1).await, "another tenant has a count of its own");
    let calls: u64 = services.iter().map(rate_limit_service::Server::calls).sum();
    assert_eq!(calls, 81, "one call for each request");
    for gateway in gateways {
        gateway.upstream.forget();
        gateway.finish().await;
    }
}

#[tokio::test]
async fn one_call_asks_for_all_limits_and_each_costs_what_it_says() {
    for mode in MODES {
        let redis = redis().await;
        let service =
            service(&redis, json!([at_most(20, "messages"), at_most(5, "requests"), at_most(3, "tried")])).await;
        let with = |name: &str, member: &str, value: &str| {
            let mut limit = fleet(name, "reject");
            limit[member] = value.into();
            limit
        };
        let limits = json!([
            with("messages", "cost", "messages"),
            fleet("requests", "reject"),
            with("bytes", "cost", "bytes"),
            { "name": "here", "operations": ["publish"], "rate": "10/h", "burst": 100 },
        ]);
        let gateway = asking(mode, &[service.address()], limits).start().await;
        assert!(passes(&gateway, "a", 16).await);
        assert!(!passes(&gateway, "a", 5).await, "21 messages");
        assert!(passes(&gateway, "a", 4).await, "what was refused cost nothing");
        for tenant in ["b", "b", "b", "b", "b"] {
            assert!(passes(&gateway, tenant, 1).await);
        }
        assert!(!passes(&gateway, "b", 1).await, "the sixth request");
        assert_eq!(service.calls(), 9);
        assert_eq!(results(&gateway).await, [7, 2, 0, 0, 0]);
        assert_eq!(gateway.count("ackguard_limited_total;limit=messages").await, 1);
        assert_eq!(gateway.count("ackguard_limited_total;limit=requests").await, 1);
        // More than the limit ever lets through: no waiting helps.
        let response = gateway.guarded(&publish("c", 21)).await;
        assert_eq!((response.head.status(), response.header("retry-after")), (413, None), "{response:?}");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn what_the_service_refuses_costs_the_local_limits_nothing_and_what_they_refuse_is_not_asked() {
    let redis = redis().await;
    let service = service(&redis, json!([at_most(2, "publish")])).await;
    let limits =
        json!([fleet("publish", "reject"), { "name": "here", "operations": ["publish"], "rate": "1/h", "burst": 5 }]);
    let gateway = asking(HostMode::Streamed, &[service.address()], limits).start().await;
    let mut passed = Vec::new();
    for tenant in ["a", "a", "a", "a", "b", "b", "b", "c", "c"] {
        passed.push(passes(&gateway, tenant, 1).await);
    }
    assert_eq!(passed, [true, true, false, false, true, true, false, true, false]);
    assert_eq!(gateway.count("ackguard_limited_total;limit=here").await, 1);
    assert_eq!(service.calls(), 8, "what is refused here is not asked about there");
    gateway.finish().await;
}

#[tokio::test]
async fn a_client_is_told_what_the_service_tells() {
    for mode in MODES {
        let redis = redis().await;
        let service = service(&redis, json!([at_most(1, "publish")])).await;
        let gateway = asking(mode, &[service.address()], json!([fleet("publish", "reject")])).start().await;
        let passed = gateway.guarded(&publish("a", 1)).await;
        assert!(went_on(&gateway, &passed).await);
        let refused = gateway.guarded(&publish("a", 1)).await;
        assert_eq!(refused.head.status(), 429, "{refused:?}");
        for response in [&passed, &refused] {
            let header = |name: &str| response.header(name).unwrap_or_else(|| panic!("{name}: {response:?}"));
            assert_eq!(header("x-ratelimit-limit"), "1, 1;w=3600;name=\"publish\"");
            assert_eq!(header("x-ratelimit-remaining"), "0");
            let reset: u64 = header("x-ratelimit-reset").parse().expect("seconds");
            assert!((1..=3600).contains(&reset), "{reset}");
        }
        let header = |name: &str| refused.header(name).unwrap_or_else(|| panic!("{name}: {refused:?}"));
        assert_eq!(header("x-ackguard"), "reject; limit=publish; policy=1");
        assert_eq!(header("ratelimit-policy"), "\"publish\";q=1;w=3600");
        let error: Value = serde_json::from_str(&refused.text()).expect("JSON");
        assert_eq!(error["code"], "Throttled");
        let wait = error["retryAfterMs"].as_u64().expect("a number");
        assert!((1..=3_600_000).contains(&wait), "{wait}");
        assert_eq!(header("retry-after"), wait.div_ceil(1_000).to_string());
        gateway.finish().await;
    }
}

#[tokio::test]
async fn a_limit_in_shadow_is_asked_and_counted_only() {
    let redis = redis().await;
    let service = service(&redis, json!([at_most(1, "tried"), at_most(3, "held")])).await;
    let mut tried = fleet("tried", "reject");
    tried["over"] = "shadow".into();
    let gateway = asking(HostMode::Held, &[service.address()], json!([tried, fleet("other", "reject")])).start().await;
    for _ in 0..3 {
        assert!(passes(&gateway, "a", 1).await);
    }
    assert_eq!(service.calls(), 3);
    assert_eq!(results(&gateway).await, [1, 2, 0, 0, 0]);
    assert_eq!(gateway.count("ackguard_shadow_limited_total;limit=tried").await, 2);
    let line = "ackguard: shadow limit: publish: reject; limit=tried; policy=1";
    let log = gateway.envoy.log();
    assert_eq!(log.lines().filter(|found| found.contains(line)).count(), 2, "{log}");
    gateway.finish().await;
}
