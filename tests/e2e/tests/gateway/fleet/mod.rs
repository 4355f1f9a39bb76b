//! Limits that a fleet of Envoys shares, with real rate limit services on a real Redis.

mod failures;
mod stand;

use e2e::client::Http1Client;
use e2e::gateway::MODES;
use e2e::request::Request;
use serde_json::{Value, json};
use stack::{HostMode, until};
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
            let mut client = Http1Client::open(address).await;
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
        let service = service(&redis, json!([at_most(20, "messages"), at_most(5, "requests")])).await;
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

/// Istio's names for clusters, which have what separates nothing here.
#[tokio::test]
async fn a_cluster_is_called_by_the_name_that_istio_gives_it() {
    const NAME: &str = "outbound|8081||ratelimit.mq.svc.cluster.local";
    let redis = redis().await;
    let service = service(&redis, json!([at_most(1, "publish")])).await;
    for (tenant, mode) in ["a", "b"].into_iter().zip(MODES) {
        let mut limit = fleet("publish", "reject");
        limit["global"]["cluster"] = NAME.into();
        let setup = asking(mode, &[service.address()], json!([limit])).bootstrap(|bootstrap| {
            bootstrap.with(|document| {
                let clusters = document["static_resources"]["clusters"].as_array_mut().expect("clusters");
                let cluster =
                    clusters.iter_mut().find(|cluster| cluster["name"] == "ratelimit").expect("the service's");
                cluster["name"] = NAME.into();
                cluster["load_assignment"]["cluster_name"] = NAME.into();
            })
        });
        let gateway = setup.start().await;
        assert!(passes(&gateway, tenant, 1).await, "{mode:?}");
        assert!(!passes(&gateway, tenant, 1).await, "{mode:?}");
        assert_eq!(results(&gateway).await, [1, 1, 0, 0, 0], "{mode:?}");
        gateway.finish().await;
    }
}

/// A limit in shadow that is over stops nobody, and the enforced one beside it goes on counting.
#[tokio::test]
async fn a_limit_in_shadow_is_asked_and_counted_only() {
    let redis = redis().await;
    let service = service(&redis, json!([at_most(1, "tried"), at_most(3, "held")])).await;
    let mut tried = fleet("tried", "reject");
    tried["over"] = "shadow".into();
    let gateway = asking(HostMode::Held, &[service.address()], json!([tried, fleet("held", "reject")])).start().await;
    for _ in 0..3 {
        assert!(passes(&gateway, "a", 1).await);
    }
    let refused = gateway.guarded(&publish("a", 1)).await;
    assert_eq!(refused.head.status(), 429, "{refused:?}");
    assert_eq!(refused.header("x-ackguard").as_deref(), Some("reject; limit=held; policy=1"));
    assert_eq!(service.calls(), 4);
    assert_eq!(results(&gateway).await, [1, 3, 0, 0, 0]);
    assert_eq!(gateway.count("ackguard_limited_total;limit=held").await, 1);
    // Both are asked in one call: the limit in shadow also of what the enforced one refuses.
    assert_eq!(gateway.count("ackguard_shadow_limited_total;limit=tried").await, 3);
    let line = "ackguard: shadow limit: publish: reject; limit=tried; policy=1";
    let log = gateway.envoy.log();
    assert_eq!(log.lines().filter(|found| found.contains(line)).count(), 3, "{log}");
    gateway.finish().await;
}

/// What a rule or a bound changes in a request is changed when the service has let it pass.
#[tokio::test]
async fn a_request_that_has_waited_goes_on_as_the_policy_edits_it() {
    for mode in MODES {
        let redis = redis().await;
        let service = service(&redis, json!([at_most(1_000, "all")])).await;
        let mut limit = fleet("all", "reject");
        limit["operations"] = json!(["any"]);
        let setup = asking(mode, &[service.address()], json!([limit]));
        let gateway = setup.policy(|policy| policy["defaults"]["max_in_flight"] = 5.into()).start().await;
        let subscribe = Request::subscribe("g").body(r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#);
        let pull = Request::consumer("g", "pull").body(r#"{ "maxMessages": 800 }"#);
        for (request, body, told) in [
            (
                subscribe,
                r#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d"}"#,
                "clamp; field=ackTimeout; from=0; to=10000; rule=defaults; policy=1",
            ),
            (pull, r#"{ "maxMessages": 5 }"#, "clamp; field=maxMessages; from=800; to=5; rule=defaults; policy=1"),
        ] {
            service.hang(true);
            let before = service.calls();
            let mut client = Http1Client::open(gateway.envoy.guarded()).await;
            client.send(&request).await;
            until("the call", async || (service.calls() > before).then_some(())).await.unwrap();
            service.hang(false);
            let response = client.response().await;
            assert_eq!((response.head.status(), response.header("x-ackguard").as_deref()), (200, Some(told)));
            let received = gateway.upstream.take().await;
            assert_eq!(received.text(), body, "{mode:?}");
            let length = (mode == HostMode::Held).then(|| body.len().to_string());
            assert_eq!(received.header("content-length"), length, "{mode:?}: a streamed head has gone on without one");
        }
        assert_eq!(results(&gateway).await, [2, 0, 0, 0, 0], "{mode:?}");
        gateway.finish().await;
    }
}
