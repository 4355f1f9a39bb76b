//! Limits in real Envoy: what a client sees, what is charged, and that both workers keep one count.

use std::rc::Rc;

use e2e::client::Http1Client;
use e2e::gateway::{Gateway, Setup, in_both_modes, shipped};
use e2e::message::Message;
use e2e::request::{REQUEST_ID, Request};
use e2e::upstream::Answer;
use serde_json::{Value, json};
use stack::{Clock, HostMode, http_connection_manager, until};
use tokio::task::JoinSet;

/// A rate that brings nothing in while a test runs, so that the burst alone decides.
const SLOW: &str = "4/h";

fn publish(tenant: &str, topic: &str, messages: usize) -> Vec<u8> {
    let message = json!({ "body": "x" });
    let body = json!({ "messages": vec![message; messages] }).to_string();
    Request::publish(topic).header("x-dingtalk-mq-appkey", tenant).header("content-type", "application/json").body(body)
}

fn with_limits(limits: Value) -> impl Fn(Setup) -> Setup {
    move |setup| setup.policy(|policy| policy["limits"] = limits.clone())
}

async fn passed_of(gateway: &Gateway, request: &[u8], times: usize) -> usize {
    let mut passed = 0;
    for _ in 0..times {
        passed += usize::from(gateway.passes(request).await);
    }
    passed
}

#[tokio::test]
async fn who_is_over_a_limit_is_told_in_the_dialects_form_when_to_come_back() {
    let limits = json!([
        { "name": "publish-per-tenant", "operations": ["publish"], "key": ["tenant"], "rate": "2/m", "burst": 3 }
    ]);
    in_both_modes(with_limits(limits), async |gateway| {
        let request = publish("app-1", "orders", 1);
        assert_eq!(passed_of(gateway, &request, 3).await, 3, "the burst");
        let response = gateway.guarded(&request).await;
        assert_eq!(response.head.status(), 429, "{response:?}");
        let header = |name: &str| response.header(name).unwrap_or_else(|| panic!("{name}: {response:?}"));
        assert_eq!(header("x-ackguard"), "reject; limit=publish-per-tenant; policy=1");
        assert_eq!(header("ratelimit-policy"), "\"publish-per-tenant\";q=2;w=60");
        assert_eq!(header("x-dingtalk-mq-request-id"), REQUEST_ID);
        let error: Value = serde_json::from_str(&response.text()).expect("JSON");
        assert_eq!(error["code"], "Throttled");
        // A token comes in each 30 s, and the first of them began when the burst did.
        let wait = error["retryAfterMs"].as_u64().expect("a number");
        assert!((1..=30_000).contains(&wait), "{wait}");
        let seconds: u64 = header("retry-after").parse().expect("seconds");
        assert_eq!(seconds, wait.div_ceil(1_000));
        assert_eq!(header("ratelimit"), format!("\"publish-per-tenant\";r=0;t={seconds}"));
        // Another tenant has a bucket of its own; another operation is not limited.
        assert!(gateway.passes(&publish("app-2", "orders", 1)).await);
        let ack = Request::consumer("g", "ack").header("x-dingtalk-mq-appkey", "app-1").body("{\"receipts\":[]}");
        assert!(gateway.passes(&ack).await);
        assert_eq!(gateway.count("ackguard_limited_total;limit=publish-per-tenant").await, 1);
        let count =
            |decision: &str| format!("ackguard_requests_total;dialect=tmq;operation=publish;decision={decision}");
        assert_eq!(gateway.count(&count("pass")).await, 4);
        assert_eq!(gateway.count(&count("reject")).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_publish_costs_as_many_messages_or_bytes_as_it_has() {
    let limits = json!([
        { "name": "messages", "operations": ["publish"], "key": ["topic"], "rate": SLOW, "burst": 20, "cost": "messages" },
        { "name": "bytes", "operations": ["publish"], "key": ["tenant"], "rate": "1000/h", "burst": 1000, "cost": "bytes" },
    ]);
    in_both_modes(with_limits(limits), async |gateway| {
        assert!(gateway.passes(&publish("a", "orders", 16)).await);
        assert!(!gateway.passes(&publish("a", "orders", 5)).await, "21 messages");
        assert!(gateway.passes(&publish("a", "orders", 4)).await, "what was refused cost nothing");
        // More than the bucket ever holds: no waiting helps.
        let response = gateway.guarded(&publish("a", "stock", 21)).await;
        assert_eq!(response.head.status(), 413, "{response:?}");
        assert_eq!(response.header("retry-after"), None);
        assert!(
            response.text().contains("costs 21; the limit messages of policy 1 lets 20 pass at once"),
            "{response:?}"
        );
        // Bytes: a body of 400 with a length, and the same in chunks whose length nobody tells.
        let body = json!({ "messages": [{ "body": "x".repeat(400 - 27) }] }).to_string();
        let request = Request::publish("t1").header("x-dingtalk-mq-appkey", "b");
        assert!(gateway.passes(&request.body(&body)).await);
        assert!(gateway.passes(&request.chunked([body.as_bytes()])).await);
        assert!(!gateway.passes(&request.body(&body)).await);
        assert!(!gateway.passes(&request.chunked([body.as_bytes()])).await);
    })
    .await;
}

#[tokio::test]
async fn all_limits_must_agree_and_none_is_charged_when_one_does_not() {
    let limits = json!([
        { "name": "wide", "operations": ["any"], "key": ["tenant"], "rate": SLOW, "burst": 5 },
        { "name": "narrow", "operations": ["publish"], "key": ["tenant", "topic"], "rate": SLOW, "burst": 2 },
    ]);
    in_both_modes(with_limits(limits), async |gateway| {
        assert_eq!(passed_of(gateway, &publish("a", "orders", 1), 6).await, 2, "the narrow one");
        assert_eq!(passed_of(gateway, &publish("a", "stock", 1), 6).await, 2, "narrow, of another topic");
        assert_eq!(
            passed_of(gateway, &publish("a", "prices", 1), 3).await,
            1,
            "what the refused ones left of the wide one"
        );
        assert_eq!(gateway.count("ackguard_limited_total;limit=narrow").await, 8);
        assert_eq!(gateway.count("ackguard_limited_total;limit=wide").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_limit_in_shadow_counts_and_logs_only() {
    let limits = json!([
        { "name": "tried", "operations": ["publish"], "key": ["tenant"], "rate": SLOW, "burst": 2, "over": "shadow" },
        { "name": "held", "operations": ["publish"], "key": ["tenant"], "rate": SLOW, "burst": 4 },
    ]);
    in_both_modes(with_limits(limits), async |gateway| {
        assert_eq!(passed_of(gateway, &publish("a", "orders", 1), 6).await, 4);
        assert_eq!(gateway.count("ackguard_shadow_limited_total;limit=tried").await, 2);
        assert_eq!(gateway.count("ackguard_limited_total;limit=held").await, 2);
        let count = |decision: &str| {
            format!("ackguard_shadow_requests_total;scope=limit;dialect=tmq;operation=publish;decision={decision}")
        };
        assert_eq!(gateway.count(&count("pass")).await, 2);
        assert_eq!(gateway.count(&count("would_reject")).await, 2);
        let log = gateway.envoy.log();
        let line = "ackguard: shadow limit: publish: reject; limit=tried; policy=1";
        assert_eq!(log.lines().filter(|found| found.contains(line)).count(), 2, "{log}");
    })
    .await;
}

#[tokio::test]
async fn a_client_of_grpc_is_told_by_the_status_of_grpc() {
    let limits = json!([{ "name": "one", "operations": ["publish"], "rate": SLOW, "burst": 1 }]);
    in_both_modes(with_limits(limits), async |gateway| {
        let request = Request::publish("t").header("content-type", "application/grpc+proto");
        let request = request.body("{}");
        assert!(gateway.passes(&request).await);
        let response: Message = gateway.guarded(&request).await;
        assert_eq!(response.head.status(), 200, "{response:?}");
        assert_eq!(response.header("grpc-status").as_deref(), Some("8"), "{response:?}");
        assert!(response.header("grpc-message").is_some_and(|text| text.contains("Throttled")), "{response:?}");
        assert!(response.header("retry-after").is_some(), "{response:?}");
    })
    .await;
}

#[tokio::test]
async fn a_body_that_cannot_be_counted_is_as_undecidable_as_any() {
    let limits = json!([
        { "name": "messages", "operations": ["publish"], "rate": SLOW, "burst": 50, "cost": "messages" }
    ]);
    in_both_modes(with_limits(limits), async |gateway| {
        let request = Request::publish("t");
        for (body, message) in [
            ("[]", "the body is not a JSON object"),
            ("{\"messages\":7}", "messages: not a list"),
            ("{\"messages\":[],\"messages\":[]}", "messages: stands more than once"),
        ] {
            let response = gateway.guarded(&request.body(body)).await;
            assert_eq!(response.head.status(), 400, "{body}: {response:?}");
            assert!(response.text().contains(message), "{body}: {response:?}");
        }
        assert_eq!(gateway.count("ackguard_limited_total;limit=messages").await, 0);
    })
    .await;
}

/// Whoever sends, and through whichever worker: of a burst of n, n pass, from the very first requests on.
#[tokio::test]
async fn two_workers_keep_one_count_from_the_first_request_on() {
    const BURST: usize = 40;
    let limits = json!([{ "name": "all", "operations": ["publish"], "key": ["tenant"], "rate": SLOW, "burst": BURST }]);
    in_both_modes(with_limits(limits), async |gateway| {
        let mut both = 0;
        for round in 0..8 {
            let before = gateway.connections().await;
            let request = publish(&format!("app-{round}"), "orders", 1);
            // Each on a connection of its own, all at once.
            let mut sent = JoinSet::new();
            for _ in 0..BURST * 3 {
                let (address, request) = (gateway.envoy.guarded(), request.clone());
                sent.spawn(async move {
                    let mut client = Http1Client::open(address).await;
                    client.send(&request).await;
                    client.response_to("POST").await
                });
            }
            let responses = sent.join_all().await;
            let passed = responses.iter().filter(|response| response.head.status() == 200).count();
            assert_eq!(passed, BURST, "round {round}");
            for _ in 0..passed {
                gateway.upstream.take().await;
            }
            let after = gateway.connections().await;
            both += usize::from(before.iter().zip(&after).all(|(before, after)| before < after));
        }
        assert!(both > 0, "every worker took part in some round");
        assert_eq!(gateway.count("ackguard_limit_contention_total").await, 0);
    })
    .await;
}

/// Made-up tenants by the thousands take no more memory than a few, and whoever had used up a burst gets no new one.
#[tokio::test]
async fn made_up_tenants_neither_take_memory_nor_win_a_burst_back() {
    const MADE_UP: u32 = 9_000;
    // So many fill all slots of the limit.
    const FULL: u32 = 2_000;
    let limits =
        json!([{ "name": "all", "operations": ["publish"], "key": ["tenant", "topic"], "rate": SLOW, "burst": 2 }]);
    in_both_modes(with_limits(limits), async |gateway| {
        let victim = publish("the-one", "orders", 1);
        assert_eq!(passed_of(gateway, &victim, 3).await, 2);
        let mut client = Http1Client::open(gateway.envoy.guarded()).await;
        let memory = || gateway.envoy.resident_bytes().expect("Envoy runs");
        let (mut passed, mut full) = (0, 0);
        for made_up in 0..MADE_UP {
            if made_up == FULL {
                full = memory();
            }
            // Names as long as are read: three fit into a slot.
            let (tenant, topic) = (format!("{made_up:06}{}", "x".repeat(250)), "t".repeat(1_024));
            client.send(&publish(&tenant, &topic, 1)).await;
            let response = client.response_to("POST").await;
            if response.head.status() == 200 {
                gateway.upstream.take().await;
                passed += 1;
            } else {
                // Envoy ends a connection whose request was answered before its body was there.
                client = Http1Client::open(gateway.envoy.guarded()).await;
            }
        }
        assert!(passed > 0);
        assert!(gateway.count("ackguard_evictions_total;table=limits").await > 0);
        // The names that came since take more than twice as much.
        let grown = memory().saturating_sub(full);
        assert!(grown < 4 << 20, "{grown} bytes more");
        assert_eq!(passed_of(gateway, &victim, 2).await, 0);
    })
    .await;
}

/// A bucket is as full after a reload, in proportion, as it was before; a reload that does not touch it leaves it alone.
#[tokio::test]
async fn a_limit_that_is_changed_in_use_finds_its_buckets_as_full_as_they_were() {
    let shipped = shipped("ecds.yaml").host_mode(HostMode::Streamed);
    let policy = |version: &str, rate: &str, burst: u64| {
        let limit =
            json!({ "name": "all", "operations": ["publish"], "key": ["tenant"], "rate": rate, "burst": burst });
        shipped.clone().edit_policy(|policy| {
            policy["version"] = version.into();
            policy["limits"] = json!([limit]);
        })
    };
    let gateway = Setup::new(HostMode::Streamed).bootstrap(|_| policy("1", "4/h", 40)).start().await;
    let request = publish("app-1", "orders", 1);
    assert_eq!(passed_of(&gateway, &request, 30).await, 30);
    // Of 40, 10 are left. 5 more go; what is left is 5 of 40, which is 10 of 80, which is 2 of 16.
    for (version, rate, burst, asked, passed) in
        [("2", "4/h", 40, 5, 5), ("3", "8/h", 80, 0, 0), ("4", "2/h", 16, 9, 2)]
    {
        gateway.envoy.deliver(&policy(version, rate, burst)).expect("a configuration with ECDS");
        served(&gateway, version).await;
        assert_eq!(passed_of(&gateway, &request, asked).await, passed, "policy {version}");
    }
    gateway.finish().await;
}

/// Waits until every worker serves this version of the policy.
async fn served(gateway: &Gateway, version: &str) {
    let subscribe = Request::subscribe("g").body(r#"{"topic":"t","ackTimeout":0}"#);
    let end = format!("policy={version}");
    until("every worker to serve the policy", async || {
        let responses = gateway.by_every_worker(&subscribe).await;
        gateway.upstream.forget();
        let is_new = |response: &Message| response.header("x-ackguard").is_some_and(|told| told.ends_with(&end));
        responses.iter().all(is_new).then_some(())
    })
    .await
    .expect("the new policy");
}

/// A clock that is set back neither gives a burst nor stops the bucket; one that is set forward gives one burst.
#[tokio::test]
async fn a_clock_that_is_set_in_use_gives_one_burst_at_most() {
    const BURST: usize = 20;
    let clock = Rc::new(Clock::new().expect("a clock"));
    let limits =
        json!([{ "name": "all", "operations": ["publish"], "key": ["tenant"], "rate": "5/m", "burst": BURST }]);
    let gateway = with_limits(limits)(Setup::new(HostMode::Held)).clock(clock.clone()).start().await;
    let request = publish("app-1", "orders", 1);
    assert_eq!(passed_of(&gateway, &request, BURST + 1).await, BURST);
    // Nothing comes in within the moment that this takes: a token takes 12 s.
    for (seconds, passed) in [(-3_600, 0), (-3_600 + 25, 2), (7_200, BURST), (-86_400, 0), (-86_400 + 25, 2)] {
        clock.set(seconds).expect("the clock is set");
        assert_eq!(passed_of(&gateway, &request, BURST + 1).await, passed, "{seconds} s from the system's time");
    }
    gateway.finish().await;
}

/// A pull pays for what it brings when it is there; the next one waits until that is made up.
#[tokio::test]
async fn a_pull_costs_what_it_brings() {
    let limits = json!([
        { "name": "messages", "operations": ["pull"], "key": ["group"], "rate": SLOW, "burst": 20, "cost": "messages" },
        { "name": "bytes", "operations": ["pull"], "key": ["tenant"], "rate": "9/h", "burst": 100, "cost": "bytes" },
    ]);
    let setup = |setup: Setup| with_limits(limits.clone())(setup).script(twelve_messages);
    in_both_modes(setup, async |gateway| {
        let pull = |group: &str, tenant: &str| {
            let request = Request::consumer(group, "pull").header("x-dingtalk-mq-appkey", tenant);
            request.body(r#"{"maxMessages":16}"#)
        };
        // 12 of 20, then 12 more although there are but 8.
        assert!(gateway.passes(&pull("g", "a")).await);
        assert!(gateway.passes(&pull("g", "b")).await);
        assert!(!gateway.passes(&pull("g", "c")).await, "4 are owed");
        // The answer has more than 100 bytes, so the same tenant pulls no more, whatever its group.
        assert!(!gateway.passes(&pull("h", "a")).await);
        assert!(gateway.passes(&pull("h", "d")).await);
        assert_eq!(gateway.count("ackguard_limited_total;limit=messages").await, 1);
        assert_eq!(gateway.count("ackguard_limited_total;limit=bytes").await, 1);
    })
    .await;
}

fn twelve_messages(_: &Message) -> Answer {
    let message = |index: u32| json!({ "messageId": format!("m{index}"), "receipt": format!("r{index}"), "body": "x" });
    let messages: Vec<Value> = (0..12).map(message).collect();
    let body = json!({ "messages": messages }).to_string().into_bytes();
    Answer { headers: Vec::new(), body, trailers: Vec::new() }
}

/// A client is its address, whatever its port. Envoy takes it from `x-forwarded-for` unless it is told that it stands at the
/// edge.
#[tokio::test]
async fn a_client_is_counted_by_its_address() {
    let limits = json!([{ "name": "all", "operations": ["ack"], "key": ["client"], "rate": SLOW, "burst": 2 }]);
    let at_the_edge = |edge: bool| {
        let limits = limits.clone();
        move |setup: Setup| {
            with_limits(limits.clone())(setup).bootstrap(|bootstrap| {
                bootstrap.with(|document| {
                    http_connection_manager(document, "guarded")["use_remote_address"] = edge.into();
                })
            })
        }
    };
    let ack = |address: &str| Request::consumer("g", "ack").header("x-forwarded-for", address).body("{}");
    in_both_modes(at_the_edge(false), async |gateway| {
        assert_eq!(passed_of(gateway, &ack("10.1.2.3"), 3).await, 2);
        assert_eq!(passed_of(gateway, &ack("10.1.2.4"), 3).await, 2);
        assert_eq!(passed_of(gateway, &ack("2001:db8::1"), 3).await, 2);
        assert_eq!(passed_of(gateway, &ack("2001:db8::2"), 3).await, 0, "one client has a whole /64");
    })
    .await;
    in_both_modes(at_the_edge(true), async |gateway| {
        assert_eq!(passed_of(gateway, &ack("10.1.2.3"), 3).await, 2);
        assert_eq!(passed_of(gateway, &ack("10.1.2.4"), 3).await, 0, "it is the same machine");
    })
    .await;
}
