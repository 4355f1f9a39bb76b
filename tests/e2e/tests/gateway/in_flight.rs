//! Groups that may hold only so many messages at once, at a real broker whose ledger tells how many they hold.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use e2e::client::Http1Client;
use e2e::gateway::{MODES, WORKERS, connections, count, exchange, in_both_modes, named, shipped, untrapped};
use e2e::message::Message;
use e2e::request::Request;
use e2e::upstream::Answer;
use serde_json::{Value, json};
use stack::{Broker, BrokerOptions, Envoy, HostMode, Protocol, Workers, until};
use tmq_load::client::Admin;
use tokio::task::JoinSet;

/// The shipped gateway in front of a broker, and one consumer of the topic `orders`.
struct Stand {
    broker: Broker,
    envoy: Envoy,
    consumer: String,
}

fn receipts(pulled: &Message) -> Vec<String> {
    assert_eq!(pulled.head.status(), 200, "{pulled:?}");
    let pulled: Value = serde_json::from_slice(&pulled.body).expect("JSON");
    let messages = pulled["messages"].as_array().expect("a list");
    messages.iter().map(|message| message["receipt"].as_str().expect("a receipt").to_owned()).collect()
}

impl Stand {
    /// Starts it with so many messages, whose leases hold for `ack_timeout` ms, and this bound.
    async fn start(mode: HostMode, messages: usize, ack_timeout: u64, bound: usize) -> Stand {
        let edit = |policy: &mut Value| policy["defaults"]["max_in_flight"] = bound.into();
        Stand::start_with(mode, messages, ack_timeout, edit).await
    }

    /// The same with any change of the shipped policy.
    async fn start_with(mode: HostMode, messages: usize, ack_timeout: u64, edit: impl FnOnce(&mut Value)) -> Stand {
        let broker = Broker::start(BrokerOptions::default()).await.unwrap_or_else(|failure| panic!("{failure}"));
        let bootstrap = shipped("static.yaml").host_mode(mode).edit_policy(|policy| {
            edit(policy);
            policy["defaults"]["ack_timeout"]["min"] = "1s".into();
        });
        let bootstrap = named(bootstrap.upstream(broker.address(), Protocol::Http1));
        let envoy = Envoy::start(bootstrap, Workers(WORKERS)).await.unwrap_or_else(|failure| panic!("{failure}"));
        let mut stand = Stand { broker, envoy, consumer: String::new() };
        let topic = Request::new("PUT", "/tmq/v1/topics/orders").body(r#"{"partitions":1}"#);
        assert_eq!(exchange(stand.broker.address(), &topic).await.head.status(), 201);
        let subscribe =
            json!({ "topic": "orders", "ackTimeout": ack_timeout, "deadLetterTopic": "d", "maxReconsumeTimes": 16 });
        let created = exchange(stand.envoy.guarded(), &Request::subscribe("g").body(subscribe.to_string())).await;
        let created: Value = serde_json::from_slice(&created.body).expect("JSON");
        stand.consumer = created["consumerId"].as_str().expect("an id").to_owned();
        assert_eq!(exchange(stand.broker.address(), &stand.request("start", "{}")).await.head.status(), 200);
        stand.publish(messages).await;
        stand
    }

    async fn publish(&self, messages: usize) {
        let body = json!({ "messages": vec![json!({ "body": "x" }); messages] }).to_string();
        let published = Request::publish("orders").body(body);
        if messages > 0 {
            assert_eq!(exchange(self.broker.address(), &published).await.head.status(), 200);
        }
    }

    fn request(&self, action: &str, body: &str) -> Vec<u8> {
        Request::new("POST", &format!("/tmq/v1/groups/g/consumers/{}:{action}", self.consumer)).body(body)
    }

    fn pull_of(&self, messages: usize) -> Vec<u8> {
        self.request("pull", &format!(r#"{{"maxMessages":{messages}}}"#))
    }

    async fn pull(&self, messages: usize) -> Message {
        exchange(self.envoy.guarded(), &self.pull_of(messages)).await
    }

    fn settling(&self, action: &str, receipts: &[String]) -> Vec<u8> {
        self.request(action, &json!({ "receipts": receipts }).to_string())
    }

    /// A connection to each worker.
    async fn workers(&self) -> Vec<Http1Client> {
        let mut clients: Vec<Option<Http1Client>> = (0..WORKERS).map(|_| None).collect();
        while clients.iter().any(Option::is_none) {
            let before = connections(&self.envoy).await;
            let client = Http1Client::open(self.envoy.guarded()).await;
            let worker = until("a worker to accept", async || {
                let now = connections(&self.envoy).await;
                before.iter().zip(&now).position(|(before, now)| before < now)
            });
            clients[worker.await.expect("a worker")] = Some(client);
        }
        clients.into_iter().flatten().collect()
    }

    async fn count(&self, name: &str) -> u64 {
        count(&self.envoy, name).await
    }

    /// How many messages the group holds, as the broker knows it.
    async fn in_flight(&self) -> u64 {
        let ledger = Admin::new(self.broker.admin()).group_ledger("orders", "g").await;
        ledger.unwrap_or_else(|error| panic!("{error}")).in_flight
    }

    /// Waits until a pull brings messages, and returns their receipts.
    async fn pull_brings(&self, messages: usize) -> Vec<String> {
        let brought = until("messages", async || {
            let response = self.pull(messages).await;
            if response.head.status() == 429 {
                return None;
            }
            Some(receipts(&response)).filter(|receipts| !receipts.is_empty())
        });
        brought.await.expect("a pull that is not throttled")
    }

    async fn finish(self) {
        untrapped(&self.envoy).await;
        assert_eq!(self.envoy.warnings(), Vec::<String>::new(), "Envoy's log");
    }
}

async fn on(client: &mut Http1Client, request: &[u8]) -> Message {
    client.send(request).await;
    client.response_to("POST").await
}

#[tokio::test]
async fn what_one_worker_delivers_another_counts_and_takes_back() {
    for mode in MODES {
        let stand = Stand::start(mode, 40, 20_000, 10).await;
        let [mut first, mut second] = stand.workers().await.try_into().expect("two workers");
        let whole = on(&mut first, &stand.pull_of(6)).await;
        assert_eq!((receipts(&whole).len(), whole.header("x-ackguard")), (6, None));
        let cut = on(&mut second, &stand.pull_of(6)).await;
        let told = "clamp; field=maxMessages; from=6; to=4; rule=defaults; policy=1";
        assert_eq!((receipts(&cut).len(), cut.header("x-ackguard").as_deref()), (4, Some(told)));
        assert_eq!(stand.in_flight().await, 10);

        for _ in 0..WORKERS {
            let throttled = stand.pull(1).await;
            assert_eq!(throttled.head.status(), 429, "{throttled:?}");
            assert_eq!(throttled.header("retry-after").as_deref(), Some("1"));
            assert_eq!(throttled.header("x-ackguard").as_deref(), Some("reject; limit=max_in_flight; policy=1"));
            let error: Value = serde_json::from_slice(&throttled.body).expect("JSON");
            assert_eq!((&error["code"], &error["retryAfterMs"]), (&json!("Throttled"), &json!(1_000)));
        }

        let (acked, rejected) = (&receipts(&whole)[..3], &receipts(&cut)[..2]);
        assert_eq!(on(&mut second, &stand.settling("ack", acked)).await.head.status(), 200);
        assert_eq!(receipts(&on(&mut first, &stand.request("pull", "{ }")).await).len(), 3);
        assert_eq!(on(&mut first, &stand.settling("reject", rejected)).await.head.status(), 200);
        // Nobody can cut a body that is not there, and without one the broker delivers 16.
        let bodiless = Request::new("POST", &format!("/tmq/v1/groups/g/consumers/{}:pull", stand.consumer)).body("");
        assert_eq!(exchange(stand.envoy.guarded(), &bodiless).await.head.status(), 429);
        assert_eq!(receipts(&stand.pull(1_000).await).len(), 2);
        // What the broker no longer knows is no lease any more, and what was acknowledged is none already.
        assert_eq!(on(&mut first, &stand.settling("ack", rejected)).await.head.status(), 200);
        assert_eq!(on(&mut first, &stand.settling("ack", acked)).await.head.status(), 200);
        assert_eq!(stand.pull(1).await.head.status(), 429);
        assert_eq!(stand.in_flight().await, 10);

        assert_eq!(stand.count("ackguard_limited_total;limit=max_in_flight").await, 4);
        let violations = "ackguard_violations_total;dialect=tmq;field=max_in_flight;kind=long;action";
        for (action, count) in [("clamp", 2), ("default", 1), ("reject", 4)] {
            assert_eq!(stand.count(&format!("{violations}={action};rule=defaults")).await, count, "{action}");
        }
        assert_eq!(stand.count("ackguard_evictions_total;table=leases").await, 0);
        stand.finish().await;
    }
}

#[tokio::test]
async fn a_lease_that_expires_comes_back_and_one_that_was_extended_later() {
    let stand = Stand::start(HostMode::Streamed, 40, 5_000, 3).await;
    let held = receipts(&stand.pull(3).await);
    let extend = json!({ "receipts": held[..1], "ackTimeout": 30_000 }).to_string();
    assert_eq!(exchange(stand.envoy.guarded(), &stand.request("heartbeat", &extend)).await.head.status(), 200);
    assert_eq!(stand.pull(3).await.head.status(), 429);
    assert_eq!(stand.pull_brings(3).await.len(), 2, "all but the one that was extended");
    stand.finish().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_pull_takes_nothing_with_it() {
    for mode in MODES {
        let stand = Stand::start(mode, 0, 20_000, 4).await;
        let mut waiting = Http1Client::open(stand.envoy.guarded()).await;
        waiting.send(&stand.request("pull", r#"{"maxMessages":4,"waitMs":60000}"#)).await;
        let passed = "wasmcustom.ackguard_requests_total;dialect=tmq;operation=pull;decision=pass";
        stand.envoy.stat_reaches(passed, 1).await.expect("the pull goes on");
        assert_eq!(stand.pull(1).await.head.status(), 429, "all is set aside");
        drop(waiting);
        let free = async || (stand.pull(1).await.head.status() == 200).then_some(());
        until("what was set aside to come back", free).await.expect("a pull that is not throttled");
        stand.publish(10).await;
        assert_eq!(stand.pull_brings(10).await.len(), 4);
        stand.finish().await;
    }
}

/// However many pull at once: what clients hold and what the broker has in flight never pass the bound, and in the end
/// every message is acknowledged.
#[tokio::test]
async fn pulls_of_many_connections_at_once_never_pass_the_bound() {
    const BOUND: i64 = 20;
    const MESSAGES: usize = 600;
    let stand = Stand::start(HostMode::Streamed, MESSAGES, 20_000, BOUND as usize).await;
    static HELD: AtomicI64 = AtomicI64::new(0);
    static ACKED: AtomicI64 = AtomicI64::new(0);
    let mut consumers = JoinSet::new();
    for consumer in 0..16_usize {
        let (address, pull) = (stand.envoy.guarded(), stand.pull_of(3 + consumer % 5));
        let path = format!("/tmq/v1/groups/g/consumers/{}:ack", stand.consumer);
        consumers.spawn(async move {
            let mut most = 0;
            while ACKED.load(Ordering::SeqCst) < MESSAGES as i64 {
                let pulled = exchange(address, &pull).await;
                if pulled.head.status() == 429 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    continue;
                }
                let receipts = receipts(&pulled);
                let count = receipts.len() as i64;
                most = most.max(HELD.fetch_add(count, Ordering::SeqCst) + count);
                tokio::task::yield_now().await;
                HELD.fetch_sub(count, Ordering::SeqCst);
                let acked = Request::new("POST", &path).body(json!({ "receipts": receipts }).to_string());
                assert_eq!(exchange(address, &acked).await.head.status(), 200);
                ACKED.fetch_add(count, Ordering::SeqCst);
            }
            most
        });
    }
    let (mut in_flight, mut most) = (0, 0);
    while ACKED.load(Ordering::SeqCst) < MESSAGES as i64 {
        in_flight = in_flight.max(stand.in_flight().await);
        assert!(in_flight <= BOUND as u64, "{in_flight} in flight");
        // One that failed ends the test: nobody acknowledges what it held.
        while let Some(ended) = consumers.try_join_next() {
            most = most.max(ended.expect("a consumer that ends well"));
        }
    }
    most = consumers.join_all().await.into_iter().fold(most, i64::max);
    assert!(most <= BOUND, "{most} held");
    assert!(in_flight > 0 && stand.count("ackguard_limited_total;limit=max_in_flight").await > 0);
    assert_eq!(stand.in_flight().await, 0);
    stand.publish(BOUND as usize).await;
    assert_eq!(receipts(&stand.pull(1_000).await).len(), BOUND as usize, "nothing leaked");
    assert!(connections(&stand.envoy).await.iter().all(|accepted| *accepted > 0), "every worker took part");
    assert_eq!(stand.count("ackguard_evictions_total;table=leases").await, 0);
    stand.finish().await;
}

/// A pull that finds no room takes no token of a limit.
#[tokio::test]
async fn what_is_throttled_for_what_is_in_flight_costs_nothing() {
    for mode in MODES {
        let limits = json!([{ "name": "pulls", "operations": ["pull"], "key": ["group"], "rate": "4/h", "burst": 4 }]);
        let stand = Stand::start_with(mode, 10, 20_000, |policy| {
            policy["defaults"]["max_in_flight"] = 1.into();
            policy["limits"] = limits;
        })
        .await;
        for _ in 0..3 {
            let held = receipts(&stand.pull(1).await);
            for _ in 0..3 {
                let throttled = stand.pull(1).await;
                assert_eq!(throttled.header("x-ackguard").as_deref(), Some("reject; limit=max_in_flight; policy=1"));
            }
            assert_eq!(exchange(stand.envoy.guarded(), &stand.settling("ack", &held)).await.head.status(), 200);
        }
        assert_eq!(receipts(&stand.pull(1).await).len(), 1, "the last token");
        let throttled = stand.pull(1).await;
        assert_eq!(throttled.header("x-ackguard").as_deref(), Some("reject; limit=pulls; policy=1"));
        assert_eq!(stand.in_flight().await, 1);
        stand.finish().await;
    }
}

#[tokio::test]
async fn a_policy_that_only_watches_counts_what_it_would_do() {
    in_both_modes(
        |setup| {
            setup.script(delivers).policy(|policy| {
                policy["mode"] = "shadow".into();
                policy["defaults"]["max_in_flight"] = 5.into();
            })
        },
        async |gateway| {
            let pull = Request::consumer("g", "pull").body(r#"{"maxMessages":3}"#);
            for _ in 0..3 {
                let response = gateway.guarded(&pull).await;
                assert_eq!((response.head.status(), response.header("x-ackguard")), (200, None));
                assert!(gateway.upstream.take().await.text().contains(r#""maxMessages":3"#));
            }
            assert_eq!(gateway.count("ackguard_shadow_limited_total;limit=max_in_flight").await, 1);
            for (decision, count) in [("pass", 1), ("would_edit", 1), ("would_reject", 1)] {
                let name = format!("ackguard_requests_total;dialect=tmq;operation=pull;decision={decision}");
                assert_eq!(gateway.count(&name).await, count, "{decision}");
            }
            let line = "ackguard: shadow: pull: reject; limit=max_in_flight; policy=1";
            gateway.envoy.log_contains(line).await.expect("a line");
        },
    )
    .await;
}

/// Three messages to each pull, with receipts of their own.
fn delivers(request: &Message) -> Answer {
    static RECEIPTS: AtomicI64 = AtomicI64::new(0);
    let message = || {
        let receipt = format!("r{}", RECEIPTS.fetch_add(1, Ordering::SeqCst));
        json!({ "receipt": receipt, "ackTimeout": 30_000, "body": "x".repeat(100_000) })
    };
    let messages: Vec<_> = (0..3).map(|_| message()).collect();
    let body = if request.head.path().ends_with(":pull") { json!({ "messages": messages }) } else { json!({}) };
    let headers = vec![("content-type", "application/json".to_owned())];
    Answer { headers, body: body.to_string().into_bytes(), trailers: Vec::new() }
}

/// An answer that no client takes in at once: of megabytes, with the receipts behind them.
fn delivers_much(request: &Message) -> Answer {
    let mut answer = delivers(request);
    if request.head.path().ends_with(":pull") {
        let much = format!(r#"{{"other":"{}","messages":["#, "x".repeat(32 << 20));
        let message = r#"{"receipt":"r","ackTimeout":30000}]}"#;
        answer.body = [much, message.to_owned()].concat().into_bytes();
    }
    answer
}

#[tokio::test]
async fn of_an_answer_that_breaks_off_all_that_it_may_have_brought_counts() {
    in_both_modes(
        |setup| setup.script(delivers_much).policy(|policy| policy["defaults"]["max_in_flight"] = 5.into()),
        async |gateway| {
            let pull = Request::consumer("g", "pull").body(r#"{"maxMessages":5}"#);
            let mut client = Http1Client::open(gateway.envoy.guarded()).await;
            client.send(&pull).await;
            gateway.upstream.take().await;
            let under_way = async || {
                let buffered = gateway.stat("http.guarded.downstream_cx_tx_bytes_buffered").await;
                (buffered > 0).then_some(())
            };
            until("an answer under way", under_way).await.expect("more than the client takes in");
            drop(client);
            let over = async || (gateway.stat("http.guarded.downstream_rq_active").await == 0).then_some(());
            until("the end of the pull", over).await.expect("it ends with its client");
            assert_eq!(gateway.guarded(&pull).await.head.status(), 429);
        },
    )
    .await;
}

/// What no JSON reader reads: the start of gzip.
fn unreadable(_: &Message) -> Answer {
    Answer { headers: Vec::new(), body: b"\x1f\x8b\x08\x00".to_vec(), trailers: Vec::new() }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_passes_is_counted_and_holds_nothing() {
    in_both_modes(
        |setup| setup.script(unreadable).policy(|policy| policy["defaults"]["max_in_flight"] = 5.into()),
        async |gateway| {
            for _ in 0..3 {
                let response = gateway.guarded(&Request::consumer("g", "pull").body(r#"{"maxMessages":5}"#)).await;
                assert_eq!((response.head.status(), &*response.body), (200, &b"\x1f\x8b\x08\x00"[..]));
                gateway.upstream.take().await;
            }
            assert_eq!(gateway.count("ackguard_evictions_total;table=leases").await, 3);
        },
    )
    .await;
}

#[tokio::test]
async fn a_pull_whose_number_nobody_can_tell_is_undecidable_where_there_is_a_bound() {
    for (bound, status) in [(json!(5), 400), (json!("unlimited"), 200)] {
        in_both_modes(
            |setup| setup.policy(|policy| policy["defaults"]["max_in_flight"] = bound.clone()),
            async |gateway| {
                for body in [r#"{"maxMessages":1,"maxMessages":1000}"#, r#"{"maxMessages":1e3}"#] {
                    let response = gateway.guarded(&Request::consumer("g", "pull").body(body)).await;
                    assert_eq!(response.head.status(), status, "{response:?}");
                    if status == 200 {
                        assert_eq!(gateway.upstream.take().await.text(), body);
                    }
                }
                let counted = gateway.envoy.stats("ackguard_undecidable_total").await.expect("Envoy's admin");
                assert_eq!(counted.values().sum::<u64>(), if status == 200 { 0 } else { 2 }, "{counted:?}");
            },
        )
        .await;
    }
}
