//! A candidate that is brought in by stages: who is held to it when, and what takes it back.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use e2e::client::Http1Client;
use e2e::gateway::{Gateway, Setup, WORKERS, shipped};
use e2e::message::Message;
use e2e::request::Request;
use e2e::upstream::Answer;
use serde_json::{Value, json};
use stack::{Bootstrap, Broker, BrokerOptions, Clock, Envoy, HostMode, Protocol, Workers, until};

/// The receipt that the upstream refuses.
const REFUSED: &str = "expired";

/// Acks are answered as T-MQ answers them, everything else with an empty object.
fn acks(request: &Message) -> Answer {
    let body = if !request.head.path().ends_with(":ack") {
        "{}".to_owned()
    } else if request.text().contains(REFUSED) {
        format!(r#"{{"acked":[],"failed":[{{"receipt":"{REFUSED}","code":"ReceiptExpired"}}]}}"#)
    } else {
        r#"{"acked":["r"],"failed":[]}"#.to_owned()
    };
    let headers = vec![("content-type", "application/json".to_owned())];
    Answer { headers, body: body.into_bytes(), trailers: Vec::new() }
}

/// The canary first, then everybody; a judgement takes ten acks of the last ten minutes.
fn rollout(candidate: &str) -> Value {
    json!({
        "candidate": { "version": candidate, "defaults": { "ack_timeout": { "default": "12s" } } },
        "stages": [{ "tenants": ["canary"], "hold": "1s" }, { "percent": 100, "hold": "1s" }],
        "health": { "ack_success": 0.9, "p99": "10s", "window": "10m", "min_samples": 10 },
    })
}

/// The shipped ECDS configuration with this roll-out.
fn with(rollout: &Value) -> Bootstrap {
    shipped("ecds.yaml").edit_policy(|policy| policy["rollout"] = rollout.clone())
}

async fn start(rollout: &Value) -> Gateway {
    Setup::new(HostMode::Streamed).bootstrap(|_| with(rollout)).script(acks).start().await
}

fn subscribe(tenant: &str) -> Vec<u8> {
    let request = Request::subscribe("g").header("x-dingtalk-mq-appkey", tenant);
    request.body(r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#)
}

fn ack(tenant: &str, receipt: &str) -> Vec<u8> {
    let request = Request::consumer("g", "ack").header("x-dingtalk-mq-appkey", tenant);
    request.body(format!(r#"{{"receipts":["{receipt}"]}}"#))
}

/// The versions of the policy by which every worker decides for a tenant.
async fn versions(gateway: &Gateway, tenant: &str) -> Vec<String> {
    let mut versions = Vec::new();
    for response in gateway.by_every_worker(&subscribe(tenant)).await {
        assert_eq!(response.head.status(), 200, "{response:?}");
        let told = response.header("x-ackguard").expect("zero is clamped");
        versions.push(told.rsplit("policy=").next().unwrap_or_default().to_owned());
        gateway.upstream.take().await;
    }
    versions.sort();
    versions.dedup();
    versions
}

async fn await_version(gateway: &Gateway, tenant: &str, version: &str) {
    let condition = format!("{tenant} on policy {version}");
    until(&condition, async || (versions(gateway, tenant).await == [version]).then_some(())).await.expect("a stage");
}

async fn send_acks(gateway: &Gateway, tenant: &str, receipt: &str, count: usize) {
    for _ in 0..count {
        let response = gateway.guarded(&ack(tenant, receipt)).await;
        assert_eq!(response.head.status(), 200, "{response:?}");
        gateway.upstream.take().await;
    }
}

async fn transitions(gateway: &Gateway, to: &str) -> u64 {
    gateway.count(&format!("ackguard_rollout_transitions_total;to={to}")).await
}

async fn await_transition(gateway: &Gateway, to: &str) {
    let name = format!("wasmcustom.ackguard_rollout_transitions_total;to={to}");
    gateway.envoy.stat_reaches(&name, 1).await.expect("a step of the roll-out");
}

/// Delivers `bootstrap` and waits until Envoy has taken it.
async fn deliver(gateway: &Gateway, bootstrap: &Bootstrap) {
    let name = "extension_config_discovery.http_filter.ackguard.update_success";
    let before = gateway.stat(name).await;
    gateway.envoy.deliver(bootstrap).expect("a configuration with ECDS");
    gateway.envoy.stat_reaches(name, before + 1).await.expect("Envoy reads the update");
}

/// What `ackguard rollout status` prints of this Envoy, and its exit status.
async fn status(envoy: &Envoy, arguments: &[&str]) -> (String, Option<i32>) {
    let program = stack::program("ackguard").unwrap_or_else(|missing| panic!("{missing}"));
    let admin = format!("http://{}", envoy.admin());
    let output = tokio::process::Command::new(program)
        .args(["rollout", "status", "--admin", &admin])
        .args(arguments)
        .output()
        .await
        .expect("the program runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

#[tokio::test]
async fn a_healthy_candidate_goes_through_its_stages_on_all_workers_at_once() {
    let gateway = start(&rollout("2")).await;
    await_version(&gateway, "canary", "2").await;
    assert_eq!(versions(&gateway, "other").await, ["1"]);
    assert_eq!(gateway.count("ackguard_rollout_stage").await, 1);
    let (told, code) = status(&gateway.envoy, &[]).await;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        (lines[0], lines[2], code),
        ("roll-out of 2: running", "  stage 2: 100 %, at least 1s", Some(0)),
        "{told}"
    );
    assert!(lines[1].starts_with("▸ stage 1: tenants canary, at least 1s, for "), "{told}");
    assert_eq!(lines[3..], ["acks of its consumers in the last 10m: 0", "  too few to judge by: 10 are wanted"]);

    // Without acks to judge by, the stage lasts; acks of others say nothing of the candidate.
    send_acks(&gateway, "other", REFUSED, 20).await;
    assert_eq!(versions(&gateway, "other").await, ["1"]);

    send_acks(&gateway, "canary", "r", 20).await;
    await_version(&gateway, "other", "2").await;
    // The second stage is judged by its own acks.
    assert_eq!(transitions(&gateway, "completed").await, 0);
    send_acks(&gateway, "other", "r", 20).await;
    await_transition(&gateway, "completed").await;
    for (to, times) in [("started", 1), ("advanced", 1), ("completed", 1), ("held", 0), ("rolled_back", 0)] {
        assert_eq!(transitions(&gateway, to).await, times, "{to}: one of {WORKERS} workers makes each step");
    }
    gateway.envoy.log_contains("ackguard: rollout of 2: advanced, stage 2 of 2; acks 20").await.expect("a line");
    assert_eq!(gateway.envoy.warnings(), Vec::<String>::new());
    gateway.end().await;
}

#[tokio::test]
async fn an_unhealthy_candidate_is_taken_back_for_good_and_another_one_begins_anew() {
    let gateway = start(&rollout("2")).await;
    await_version(&gateway, "canary", "2").await;
    send_acks(&gateway, "canary", "r", 8).await;
    send_acks(&gateway, "canary", REFUSED, 2).await;
    await_transition(&gateway, "rolled_back").await;
    assert_eq!(versions(&gateway, "canary").await, ["1"], "on every worker, from the next request on");
    let line = "ackguard: rollout of 2: rolled_back, stage 1 of 2; acks 10, failed 2, slow 0";
    gateway.envoy.log_contains(line).await.expect("a line");
    assert_eq!(gateway.count("ackguard_rollout_stage").await, 0);
    let (told, code) = status(&gateway.envoy, &[]).await;
    let expected = "\
roll-out of 2: rolled back
  stage 1: tenants canary, at least 1s
  stage 2: 100 %, at least 1s
acks of its consumers in the last 10m: 10
  80.00 % succeeded; wanted 90 %
  0.00 % took longer than 10s; allowed 1 %
";
    assert_eq!((told.as_str(), code), (expected, Some(1)));
    let (told, code) = status(&gateway.envoy, &["--json"]).await;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        (&told["state"], &told["candidate"], &told["acks"]["failed"]),
        (&json!("rolled_back"), &json!("2"), &json!(2))
    );
    assert_eq!(code, Some(1));

    // The same candidate in a policy that is otherwise another one.
    let same = with(&rollout("2")).edit_policy(|policy| policy["version"] = "1b".into());
    deliver(&gateway, &same).await;
    await_version(&gateway, "canary", "1b").await;
    send_acks(&gateway, "canary", "r", 20).await;
    assert_eq!(versions(&gateway, "canary").await, ["1b"]);
    assert_eq!(transitions(&gateway, "rolled_back").await, 1);

    deliver(&gateway, &with(&rollout("3"))).await;
    await_version(&gateway, "canary", "3").await;
    assert_eq!(versions(&gateway, "other").await, ["1"]);

    deliver(&gateway, &shipped("ecds.yaml")).await;
    await_version(&gateway, "canary", "1").await;
    assert_eq!(status(&gateway.envoy, &[]).await, ("no roll-out\n".to_owned(), Some(0)));
    gateway.end().await;
}

/// The context of the policy before lives as long as a request that it began.
#[tokio::test]
async fn a_policy_that_was_replaced_takes_no_part_any_more() {
    let gateway = start(&rollout("2")).await;
    await_version(&gateway, "canary", "2").await;
    let mut unfinished = Http1Client::open(gateway.envoy.guarded()).await;
    let request = subscribe("canary");
    unfinished.send(&request[..request.len() - 1]).await;
    gateway.envoy.stat_reaches("http.guarded.downstream_rq_active", 1).await.expect("a request under way");

    deliver(&gateway, &shipped("ecds.yaml")).await;
    await_version(&gateway, "canary", "1").await;
    // Five ticks long, nobody says that there is a roll-out.
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        let mut gauges = gateway.envoy.stats("ackguard_rollout_").await.expect("Envoy's admin");
        gauges.retain(|name, _| !name.contains("_transitions_"));
        assert!(gauges.len() == 7 && gauges.values().all(|value| *value == 0), "{gauges:?}");
    }

    unfinished.send(&request[request.len() - 1..]).await;
    let response = unfinished.response_to("POST").await;
    assert!(response.header("x-ackguard").expect("zero is clamped").ends_with("policy=2"), "{response:?}");
    gateway.upstream.take().await;
    drop(unfinished);
    gateway.end().await;
}

#[tokio::test]
async fn a_reload_of_the_same_candidate_goes_on_where_it_was() {
    let mut long = rollout("2");
    long["stages"][1] = json!({ "percent": 100, "hold": "1h" });
    let gateway = start(&long).await;
    await_version(&gateway, "canary", "2").await;
    send_acks(&gateway, "canary", "r", 20).await;
    await_version(&gateway, "other", "2").await;
    for version in ["1b", "1c", "1d"] {
        deliver(&gateway, &with(&long).edit_policy(|policy| policy["version"] = version.into())).await;
        assert_eq!(versions(&gateway, "other").await, ["2"], "nobody goes back at a reload");
    }
    assert_eq!(gateway.count("ackguard_policy_reloads_total;result=accepted").await, 4);
    assert_eq!(transitions(&gateway, "started").await, 1);
    gateway.end().await;
}

#[tokio::test]
async fn a_stage_in_shadow_counts_what_the_candidate_would_do_and_changes_nothing() {
    let mut tried = rollout("2");
    tried["candidate"]["defaults"] = json!({ "ack_timeout": { "zero": "reject" } });
    tried["stages"] = json!([{ "percent": 100, "mode": "shadow" }]);
    let gateway = start(&tried).await;
    await_transition(&gateway, "completed").await;
    let response = gateway.guarded(&subscribe("other")).await;
    let told = "clamp; field=ackTimeout; from=0; to=10000; rule=defaults; policy=1";
    assert_eq!(response.header("x-ackguard").as_deref(), Some(told));
    assert!(gateway.upstream.take().await.text().contains(r#""ackTimeout":10000"#));
    let labels = "dialect=tmq;operation=subscribe;decision";
    for (name, count) in [
        (format!("ackguard_requests_total;{labels}=edit"), 1),
        (format!("ackguard_shadow_requests_total;scope=rollout;{labels}=would_reject"), 1),
        (format!("ackguard_candidate_requests_total;{labels}=reject"), 0),
    ] {
        assert_eq!(gateway.count(&name).await, count, "{name}");
    }
    let line = "ackguard: shadow rollout: subscribe: reject; field=ackTimeout; from=0; rule=defaults; policy=2";
    gateway.envoy.log_contains(line).await.expect("a line");
    gateway.end().await;
}

/// Sends a request to the gateway at this address.
async fn exchange(gateway: SocketAddr, request: &[u8]) -> Message {
    let mut client = Http1Client::open(gateway).await;
    client.send(request).await;
    client.response_to("POST").await
}

/// An ack is slow when it has taken too long, whether its client waits for the answer or not; of one whose client left sooner
/// nothing is known.
#[tokio::test]
async fn an_ack_whose_client_left_late_is_slow() {
    // It accepts, and never answers.
    let broker = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = broker.local_addr().expect("a bound socket has an address");
    let mut wide = rollout("2");
    wide["health"]["p99"] = "30s".into();
    let clock = Clock::new().expect("a clock");
    let bootstrap = with(&wide).without_health_checks().upstream(address, Protocol::Http1);
    let envoy = Envoy::start_by(Some(&clock), bootstrap, Workers(WORKERS)).await;
    let envoy = envoy.unwrap_or_else(|failure| panic!("{failure}"));
    envoy.stat_reaches("wasmcustom.ackguard_rollout_stage", 1).await.expect("the first stage");
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut client = Http1Client::open(envoy.guarded()).await;
        client.send(&ack("canary", "r")).await;
        waiting.push(client);
    }
    let active = "cluster.broker.upstream_rq_active";
    envoy.stat_reaches(active, 2).await.expect("both are on their way");
    waiting.pop();
    let left = async || (envoy.stat(active).await.ok()? == 1).then_some(());
    until("the end of the first", left).await.unwrap_or_else(|error| panic!("{error}"));
    clock.set(60).expect("the clock is set");
    waiting.pop();
    envoy.stat_reaches("wasmcustom.ackguard_rollout_acks_slow", 1).await.expect("the ack that took long");
    assert_eq!(envoy.stat("wasmcustom.ackguard_rollout_acks").await.unwrap_or_else(|error| panic!("{error}")), 1);
}

/// Acks that a real broker answers late, as a fault of its own makes it, take the candidate back.
#[tokio::test]
async fn slow_acks_take_a_candidate_back() {
    let broker = Broker::start(BrokerOptions::default()).await.unwrap_or_else(|failure| panic!("{failure}"));
    let mut strict = rollout("2");
    strict["health"]["p99"] = "200ms".into();
    let bootstrap = with(&strict).upstream(broker.address(), Protocol::Http1);
    let envoy = Envoy::start(bootstrap, Workers(WORKERS)).await.unwrap_or_else(|failure| panic!("{failure}"));
    envoy.stat_reaches("wasmcustom.ackguard_rollout_stage", 1).await.expect("the first stage");

    let topic = Request::new("PUT", "/tmq/v1/topics/orders").body(r#"{"partitions":1}"#);
    assert_eq!(exchange(envoy.guarded(), &topic).await.head.status(), 201);
    let created = exchange(envoy.guarded(), &subscribe("canary")).await;
    assert_eq!(created.head.status(), 201, "{created:?}");
    let created: Value = serde_json::from_slice(&created.body).expect("JSON");
    let consumer = created["consumerId"].as_str().expect("an id");

    let fault = json!({ "operation": "ack", "probability": 1.0, "kind": "latency", "latencyMs": 400 }).to_string();
    let head = format!("POST /admin/faults HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", fault.len());
    let armed = exchange(broker.admin(), format!("{head}{fault}").as_bytes()).await;
    assert!((200..300).contains(&armed.head.status()), "{armed:?}");
    let act = async |action: &str| {
        let request = Request::new("POST", &format!("/tmq/v1/groups/g/consumers/{consumer}:{action}"));
        let request = request.header("x-dingtalk-mq-appkey", "canary").body(r#"{"receipts":[]}"#);
        exchange(envoy.guarded(), &request).await
    };
    assert_eq!(act("start").await.head.status(), 200);
    for _ in 0..10 {
        assert_eq!(act("ack").await.head.status(), 200);
    }
    let line = "ackguard: rollout of 2: rolled_back, stage 1 of 2; acks 10, failed 0, slow 10";
    envoy.log_contains(line).await.expect("a line");
}
