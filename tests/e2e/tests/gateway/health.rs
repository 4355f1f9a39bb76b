//! Brokers that die, hang and live again behind the shipped configuration: which of its parts does what, and that none
//! of them asks a broker twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Instant;

use e2e::client::Http1Client;
use e2e::gateway::{WORKERS, shipped};
use e2e::message::Message;
use e2e::request::Request;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use stack::{Bootstrap, Broker, BrokerOptions, Envoy, Protocol, Semantics, Workers, cluster, until};

/// Clients that publish at the same time.
const CLIENTS: usize = 8;
/// Requests that show where the gateway sends them: every second one goes to either of two brokers.
const SEVERAL: usize = 40;
/// Failures in a row after which the shipped configuration leaves a broker, by requests and by health checks.
const FAILURES: u64 = 3;

/// A gateway in front of brokers.
struct Site {
    envoy: Envoy,
    brokers: Vec<Option<Broker>>,
    addresses: Vec<SocketAddr>,
}

impl Site {
    /// Starts `count` brokers, and the shipped configuration with `edit` in front of them, all of which are well.
    async fn start(count: usize, edit: impl FnOnce(Bootstrap) -> Bootstrap) -> Self {
        let listen = own_address();
        let mut brokers = Vec::new();
        for _ in 0..count {
            brokers.push(broker(listen).await);
        }
        let addresses: Vec<SocketAddr> = brokers.iter().map(Broker::address).collect();
        let bootstrap = edit(shipped("static.yaml")).upstreams(&addresses, Protocol::Http1);
        let envoy = Envoy::start(bootstrap, Workers(WORKERS)).await.unwrap_or_else(|failure| panic!("{failure}"));
        let site = Site { envoy, brokers: brokers.into_iter().map(Some).collect(), addresses };
        site.healthy(count as u64).await;
        site
    }

    async fn stat(&self, name: &str) -> u64 {
        self.envoy.stat(&format!("cluster.broker.{name}")).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until the brokers have got `count` more requests.
    async fn another(&self, count: u64) {
        let wanted = self.stat("upstream_rq_total").await + count;
        let found = self.envoy.stat_reaches("cluster.broker.upstream_rq_total", wanted).await;
        found.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Waits until Envoy takes `count` brokers for well.
    async fn healthy(&self, count: u64) {
        let what = format!("{count} brokers that are well");
        let found = until(&what, async || (self.stat("membership_healthy").await == count).then_some(()));
        found.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Envoy's figure `name` of the broker `index`.
    async fn host(&self, index: usize, name: &str) -> u64 {
        let hosts = self.envoy.admin_get("/clusters").await.unwrap_or_else(|error| panic!("{error}"));
        let line = format!("broker::{}::{name}::", self.addresses[index]);
        let value = hosts.lines().find_map(|text| text.strip_prefix(&line)?.parse().ok());
        value.unwrap_or_else(|| panic!("no {line} in {hosts}"))
    }

    /// Publishes one message on a connection of its own.
    async fn publish(&self) -> Message {
        publish(&mut Http1Client::open(self.envoy.guarded()).await).await
    }

    /// The brokers that answered each of several requests, all of which must succeed.
    async fn answered_by(&self) -> Vec<String> {
        let mut runs = Vec::new();
        for _ in 0..SEVERAL {
            runs.push(run(&self.publish().await));
        }
        runs.sort();
        runs.dedup();
        runs
    }

    /// Waits until both brokers answer.
    async fn both_answer(&self) {
        let found = until("an answer of either broker", async || (self.answered_by().await.len() == 2).then_some(()));
        found.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Ends the broker `index` with SIGKILL.
    fn kill(&mut self, index: usize) -> Instant {
        let broker = self.brokers[index].take().expect("a broker that runs");
        let died = Instant::now();
        drop(broker);
        died
    }

    /// Starts it again at its address.
    async fn restart(&mut self, index: usize) -> Instant {
        self.brokers[index] = Some(broker(self.addresses[index]).await);
        Instant::now()
    }

    /// Messages that the broker `index` has published.
    async fn published(&self, index: usize) -> u64 {
        let broker = self.brokers[index].as_ref().expect("a broker that runs");
        let ledger = broker.ledger().await.unwrap_or_else(|error| panic!("{error}"));
        ledger["topics"][0]["published"].as_u64().expect("a count")
    }

    fn signal(&self, index: usize, signal: Signal) {
        let broker = self.brokers[index].as_ref().expect("a broker that runs");
        let pid = Pid::from_raw(i32::try_from(broker.pid()).expect("a pid")).expect("a process");
        kill_process(pid, signal).expect("the broker gets a signal");
    }
}

/// Any free port of a loopback address of its own: a broker that is started again finds its port free, since no other test
/// listens there.
fn own_address() -> SocketAddr {
    static SITES: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, high, low, SITES.fetch_add(1, Ordering::Relaxed)], 0))
}

/// A broker with a topic.
async fn broker(listen: SocketAddr) -> Broker {
    let options = BrokerOptions { semantics: Semantics::Fixed, listen, ..BrokerOptions::default() };
    let broker = Broker::start(options).await.unwrap_or_else(|failure| panic!("{failure}"));
    let mut client = Http1Client::open(broker.address()).await;
    client.send(&Request::new("PUT", "/tmq/v1/topics/orders").body("{}")).await;
    assert_eq!(client.response_to("PUT").await.head.status(), 201);
    broker
}

async fn publish(client: &mut Http1Client) -> Message {
    client.send(&Request::publish("orders").body(r#"{"messages":[{"body":"m"}]}"#)).await;
    client.response().await
}

/// Which run of a broker has answered, successfully.
fn run(answer: &Message) -> String {
    assert_eq!(answer.head.status(), 200, "{answer:?}");
    let id = answer.header("x-dingtalk-mq-request-id").expect("a request id");
    id.split('-').next().unwrap_or_default().to_owned()
}

fn without_outlier_detection(bootstrap: Bootstrap) -> Bootstrap {
    bootstrap.with(|document| cluster(document)["outlier_detection"] = Value::Null)
}

#[tokio::test]
async fn requests_alone_find_a_dead_broker_and_none_of_them_fails() {
    let mut site = Site::start(2, Bootstrap::without_health_checks).await;
    site.both_answer().await;
    let died = site.kill(0);
    until("an end of the connections to it", async || (site.host(0, "cx_active").await == 0).then_some(()))
        .await
        .expect("Envoy sees the end");

    let mut sent = 0;
    let left = until("a broker that is left", async || {
        sent += 1;
        run(&site.publish().await);
        (site.stat("outlier_detection.ejections_active").await == 1).then_some(())
    });
    left.await.expect("a dead broker is left");
    let took = died.elapsed();
    // A worker that has served one of these has heard of it.
    assert_eq!(site.answered_by().await.len(), 1);
    let tried = site.host(0, "cx_connect_fail").await;
    println!("dead, found by requests: left {took:?} after its death, {tried} of {sent} had tried it");
    assert!(tried >= FAILURES, "{tried} requests made it leave");
    assert_eq!(site.stat("upstream_rq_retry_success").await, tried, "each of them was answered by the other broker");

    assert_eq!(site.answered_by().await.len(), 1);
    assert_eq!(site.host(0, "cx_connect_fail").await, tried, "no further request went to it");
}

#[tokio::test]
async fn of_requests_under_way_only_those_fail_that_a_dying_broker_may_have_done() {
    let mut site = Site::start(2, |bootstrap| bootstrap).await;
    let address = site.envoy.guarded();
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut client = Http1Client::open(address).await;
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    answers.push(publish(&mut client).await);
                }
                answers
            })
        })
        .collect();
    site.another(400).await;
    let died = site.kill(0);
    site.healthy(1).await;
    println!("dead, under load: left {:?} after its death", died.elapsed());
    site.another(400).await;
    let tried = site.host(0, "cx_connect_fail").await;
    site.another(400).await;
    stop.store(true, Ordering::Relaxed);
    let mut answers = Vec::new();
    for client in clients {
        answers.extend(client.await.expect("a client that ends"));
    }

    assert_eq!(site.host(0, "cx_connect_fail").await, tried, "no request went to it any more");
    let failed = answers.iter().filter(|answer| answer.head.status() != 200).count() as u64;
    let broken = site.stat("upstream_cx_destroy_remote_with_active_rq").await;
    assert!(failed <= broken, "{failed} failed, but the broker had only {broken} of them when it died");
    let survivor = run(&site.publish().await);
    let answered = answers.iter().filter(|answer| answer.head.status() == 200 && run(answer) == survivor).count();
    assert_eq!(site.published(1).await, answered as u64 + 1, "no message was published twice");

    let restarted = site.restart(0).await;
    site.healthy(2).await;
    println!("alive again: taken back after {:?}", restarted.elapsed());
    assert_eq!(site.answered_by().await.len(), 2);
}

#[tokio::test]
async fn health_checks_alone_find_a_broker_that_hangs() {
    let site = Site::start(2, without_outlier_detection).await;
    let (failures, checks) = (site.stat("health_check.failure").await, site.stat("health_check.attempt").await);
    let hangs = Instant::now();
    site.signal(0, Signal::STOP);
    site.healthy(1).await;
    println!("hanging, found by health checks: left after {:?}", hangs.elapsed());
    let failed = site.stat("health_check.failure").await - failures;
    let made = site.stat("health_check.attempt").await - checks;
    assert_eq!(failed, FAILURES, "of {made} checks");
    assert_eq!(site.answered_by().await.len(), 1, "a request to the other would have hung");

    let goes_on = Instant::now();
    site.signal(0, Signal::CONT);
    site.healthy(2).await;
    println!("alive again: taken back after {:?}", goes_on.elapsed());
    assert_eq!(site.answered_by().await.len(), 2);
}

#[tokio::test]
async fn a_request_that_a_broker_may_have_done_is_not_sent_again() {
    let site = Site::start(2, |bootstrap| bootstrap).await;
    let fault = json!({ "operation": "publish", "kind": "reset", "stage": "after", "count": 1 }).to_string();
    for broker in site.brokers.iter().flatten() {
        let mut admin = Http1Client::open(broker.admin()).await;
        // The admin port changes nothing for a host of another name.
        let (host, length) = (broker.admin(), fault.len());
        let head = format!("POST /admin/faults HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n");
        admin.send(format!("{head}{fault}").as_bytes()).await;
        assert_eq!(admin.response().await.head.status(), 200);
    }
    let answer = site.publish().await;
    assert_eq!((answer.head.status(), site.stat("upstream_rq_retry").await), (503, 0), "{answer:?}");
    assert_eq!(site.published(0).await + site.published(1).await, 1);
}

#[tokio::test]
async fn a_broker_that_is_alone_is_asked_however_unwell_it_seems() {
    let mut site = Site::start(1, |bootstrap| bootstrap).await;
    site.publish().await;
    site.kill(0);
    for _ in 0..=FAILURES {
        assert_eq!(site.publish().await.head.status(), 503);
    }
    assert_eq!(site.stat("outlier_detection.ejections_active").await, 0);
    site.healthy(0).await;
    let tried = site.host(0, "cx_connect_fail").await;
    assert_eq!(site.publish().await.head.status(), 503);
    assert!(site.host(0, "cx_connect_fail").await > tried, "it is asked although no check has found it well");
    assert!(site.stat("lb_healthy_panic").await > 0);
    site.restart(0).await;
    run(&site.publish().await);
}
