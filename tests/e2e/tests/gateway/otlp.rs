//! Traces and statistics of the compose stack's gateway, as a collector receives them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use collector::{Collector, Kind, Metric, Span, Value};
use e2e::gateway::{WORKERS, shipped};
use serde_json::json;
use spans::{Endpoint, Sampling, Spans};
use stack::{Broker, BrokerOptions, Envoy, Workers, http_connection_manager, until};
use tmq_load::client::{Client, ConsumerId, Message, Step, Subscribe};
use tmq_load::latency::Latencies;

/// The metric that counts requests, as Envoy names it in its statistics.
const REQUESTS: &str = "wasmcustom.ackguard_requests_total";

/// Broker and gateway, which both send their telemetry to one place.
struct Stack {
    broker: Broker,
    envoy: Envoy,
}

impl Stack {
    /// Starts both; of the requests that come without a `traceparent`, `percent` are traced.
    async fn start(collector: SocketAddr, percent: u32) -> Self {
        let options =
            BrokerOptions { arguments: vec!["--otlp".into(), format!("http://{collector}")], ..Default::default() };
        let broker = Broker::start(options).await.unwrap_or_else(|failure| panic!("{failure}"));
        let bootstrap = shipped("compose/envoy.yaml")
            .upstream(broker.address(), stack::Protocol::Http1)
            .collector(collector)
            .with(|document| {
                let tracer = &mut http_connection_manager(document, "guarded")["tracing"]["provider"]["typed_config"];
                let root = &mut tracer["sampler"]["typed_config"]["wrapped_sampler"]["typed_config"];
                root["sampling_percentage"]["numerator"] = percent.into();
            });
        let envoy = Envoy::start(bootstrap, Workers(WORKERS)).await.unwrap_or_else(|failure| panic!("{failure}"));
        Self { broker, envoy }
    }
}

/// A consumer of the topic `orders` in the group `workers`, which has asked for an ack timeout of 0, with one message
/// published.
async fn consumer(client: &Client) -> ConsumerId {
    client.create_topic("orders", 1).await.unwrap();
    let subscribe = Subscribe {
        topic: "orders".into(),
        ack_timeout: Duration::ZERO,
        max_reconsume_times: 3,
        client_id: "worker-1".into(),
    };
    let (id, _) = client.subscribe("workers", &subscribe).await.unwrap();
    client.step(&id, Step::Start).await.unwrap();
    client.publish("orders", &[Message { key: "k".into(), body: "not for traces".into() }]).await.unwrap();
    id
}

/// A client whose requests all begin a trace, and what it makes them with.
fn traced(address: SocketAddr, collector: SocketAddr) -> (Client, Spans) {
    let endpoint: Endpoint = format!("http://{collector}").parse().unwrap();
    let spans = Spans::export("consumer", &endpoint, Sampling::Share(1.0)).unwrap();
    (Client::new(address, Latencies::new().into()).traced(Some(spans.clone())), spans)
}

/// The span of the operation `name` that `service` sent, and its whole trace, once that has as many spans as `size`.
async fn trace_of(collector: &Collector, service: &str, name: &str, size: usize) -> Vec<Span> {
    let whole = async || {
        let begun = collector.spans().into_iter().find(|span| (&*span.service, &*span.name) == (service, name))?;
        Some(collector.trace(&begun.trace)).filter(|spans| spans.len() >= size)
    };
    match until(&format!("{size} spans of a trace that begins with {name}"), whole).await {
        Ok(spans) => spans,
        Err(error) => panic!("{error}: {:#?}", collector.spans()),
    }
}

/// The four spans of a request, from the consumer to the broker, each the child of the one before.
fn chain(spans: &[Span]) -> [&Span; 4] {
    assert_eq!(spans.len(), 4, "{spans:#?}");
    let child_of = |parent: Option<&str>| {
        let mut children = spans.iter().filter(|span| span.parent.as_deref() == parent);
        let child = children.next().unwrap_or_else(|| panic!("no child of {parent:?}: {spans:#?}"));
        assert!(children.next().is_none(), "two children of {parent:?}: {spans:#?}");
        child
    };
    let client = child_of(None);
    let gateway = child_of(Some(&client.id));
    let upstream = child_of(Some(&gateway.id));
    let broker = child_of(Some(&upstream.id));
    let parts = [client, gateway, upstream, broker].map(|span| (&*span.service, span.kind));
    let expected = [
        ("consumer", Kind::Client),
        ("gateway", Kind::Server),
        ("gateway", Kind::Client),
        ("tmq-broker", Kind::Server),
    ];
    assert_eq!(parts, expected, "{spans:#?}");
    [client, gateway, upstream, broker]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_shows_consumer_gateway_decision_and_broker() {
    let collector = Collector::start().await.unwrap();
    let stack = Stack::start(collector.address(), 0).await;
    let (client, spans) = traced(stack.envoy.guarded(), collector.address());
    let id = consumer(&client).await;
    let deliveries = client.pull(&id, 10, Duration::ZERO).await.unwrap();
    let receipts: Vec<String> = deliveries.into_iter().map(|delivery| delivery.receipt).collect();
    client.ack(&id, &receipts).await.unwrap();
    spans.end().await.unwrap();

    let subscribe = trace_of(&collector, "consumer", "subscribe", 4).await;
    let [client, gateway, upstream, broker] = chain(&subscribe);
    assert_eq!(client.attribute("http.response.status_code"), Some("201"));
    assert_eq!(gateway.attribute("ackguard.decision"), Some("edit"), "{gateway:#?}");
    let did: serde_json::Value = serde_json::from_str(gateway.attribute("ackguard").unwrap()).unwrap();
    let told = json!({ "dialect": did["dialect"], "operation": did["operation"], "group": did["group"],
                       "topic": did["topic"], "decision": did["decision"] });
    let expected = json!({ "dialect": "tmq", "operation": "subscribe", "group": "workers", "topic": "orders",
                           "decision": "edit" });
    assert_eq!(told, expected, "{did}");
    assert!(gateway.attribute("ackguard.told").unwrap().contains("field=ackTimeout; from=0; to=10000"), "{gateway:#?}");
    assert_eq!(upstream.attribute("upstream_cluster.name"), Some("broker"), "{upstream:#?}");
    assert_eq!(broker.name, "subscribe");
    let attributes = [
        ("messaging.system", "tmq"),
        ("messaging.operation.name", "subscribe"),
        ("messaging.destination.name", "orders"),
        ("messaging.consumer.group.name", "workers"),
        ("http.response.status_code", "201"),
    ];
    for (name, value) in attributes {
        assert_eq!(broker.attribute(name), Some(value), "{name} of {broker:#?}");
    }

    let ack = trace_of(&collector, "consumer", "ack", 4).await;
    let [_, gateway, _, broker] = chain(&ack);
    assert_eq!(gateway.attribute("ackguard.decision"), Some("pass"), "{gateway:#?}");
    assert_eq!(broker.attribute("messaging.operation.type"), Some("settle"));
    assert_eq!(broker.attribute("messaging.batch.message_count"), Some("1"));
    assert_eq!(broker.attribute("messaging.client.id").map(str::len), Some(16), "{broker:#?}");

    // Everything that was sent, of every request: no body, no whole receipt.
    let everything = format!("{:?}", collector.spans());
    assert!(!everything.contains("not for traces"), "{everything}");
    assert!(receipts.iter().all(|receipt| !everything.contains(receipt)), "{everything}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_is_a_failed_span_and_a_query_is_no_part_of_any() {
    let collector = Collector::start().await.unwrap();
    let stack = Stack::start(collector.address(), 100).await;
    // Not sampled by the client: it has no trace, and the gateway samples all.
    let client = Client::new(stack.envoy.guarded(), Latencies::new().into());
    client.create_topic("orders", 1).await.unwrap();
    let body = r#"{"topic":"orders","autoAck":true}"#;
    let request = format!(
        "POST /tmq/v1/groups/workers/consumers?sig=secret-in-query HTTP/1.1\r\nhost: queue.test\r\nconnection: close\r\n\
         authorization: secret-in-header\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut client = e2e::client::Http1Client::open(stack.envoy.guarded()).await;
    client.send(request.as_bytes()).await;
    let answer = client.response_to("POST").await;
    assert_eq!(answer.head.status(), 400, "{answer:?}");

    let refused = until("the span of the refused request", async || {
        let spans = collector.spans();
        spans.into_iter().find(|span| span.attribute("http.status_code") == Some("400"))
    });
    let span = refused.await.unwrap();
    assert_eq!(span.attribute("ackguard.decision"), Some("reject"), "{span:#?}");
    assert_eq!(span.attribute("http.url"), Some("http://queue.test/tmq/v1/groups/workers/consumers"), "{span:#?}");
    assert_eq!(collector.trace(&span.trace), [span], "a refused request goes no further");
    let everything = format!("{:?}", collector.spans());
    assert!(!everything.contains("secret-in"), "{everything}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_does_not_sample_is_traced_nowhere() {
    let collector = Collector::start().await.unwrap();
    let stack = Stack::start(collector.address(), 100).await;
    let send = async |trace: &str, flags: &str| {
        let mut client = e2e::client::Http1Client::open(stack.envoy.guarded()).await;
        let request = format!(
            "PUT /tmq/v1/topics/orders HTTP/1.1\r\nhost: queue.test\r\nconnection: close\r\n\
             traceparent: 00-{trace}-00f067aa0ba902b7-{flags}\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        client.send(request.as_bytes()).await;
        assert!(matches!(client.response_to("PUT").await.head.status(), 200 | 201));
    };
    let (dark, bright) = ("4bf92f3577b34da6a3ce929d0e0e4736", "5bf92f3577b34da6a3ce929d0e0e4736");
    send(dark, "00").await;
    send(bright, "01").await;
    // Sent later: once all of this one is here, the other's would be.
    let spans = until("the sampled trace", async || Some(collector.trace(bright)).filter(|spans| spans.len() == 3));
    let spans = spans.await.unwrap();
    assert!(spans.iter().any(|span| span.parent.as_deref() == Some("00f067aa0ba902b7")), "{spans:#?}");
    until("a second flush", async || {
        let before = stack.envoy.stat("tracing.opentelemetry.timer_flushed").await.ok()?;
        (before >= 2 * u64::from(WORKERS)).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(collector.trace(dark), []);
}

/// The series of `name`, by attributes. A histogram counts by its number of values.
fn series(metrics: Vec<Metric>, name: &str) -> BTreeMap<BTreeMap<String, String>, u64> {
    let ours = metrics.into_iter().filter(|metric| metric.service == "gateway" && metric.name == name);
    let count = |value| match value {
        Value::Counter(value) | Value::Gauge(value) => u64::try_from(value).unwrap(),
        Value::Histogram { count, .. } => count,
    };
    ours.map(|metric| (metric.attributes, count(metric.value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_arrive_with_labels_as_attributes_and_equal_envoys_own() {
    let collector = Collector::start().await.unwrap();
    let stack = Stack::start(collector.address(), 0).await;
    let client = Client::new(stack.envoy.guarded(), Latencies::new().into());
    let id = consumer(&client).await;
    for _ in 0..7 {
        client.pull(&id, 1, Duration::ZERO).await.unwrap();
    }
    let own: BTreeMap<_, _> = stack
        .envoy
        .stats(&format!("^{}", REQUESTS.replace('.', "\\.")))
        .await
        .unwrap()
        .into_iter()
        .map(|(name, value)| {
            let labels = name.split(';').skip(1).map(|label| label.split_once('=').unwrap());
            (labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), value)
        })
        .collect();
    let of = |operation: &str, decision: &str| {
        let labels = [("dialect", "tmq"), ("operation", operation), ("decision", decision)];
        labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect::<BTreeMap<_, _>>()
    };
    assert_eq!((own.get(&of("pull", "pass")), own.get(&of("subscribe", "edit"))), (Some(&7), Some(&1)), "{own:#?}");

    let name = format!("envoy.{REQUESTS}");
    let arrived = until("the same figures at the collector", async || {
        Some(series(collector.metrics(), &name)).filter(|arrived| *arrived == own)
    });
    if let Err(error) = arrived.await {
        panic!("{error}: {:#?}, expected {own:#?}", series(collector.metrics(), &name));
    }
    let durations = collector.metrics().into_iter().find_map(|metric| match metric.value {
        Value::Histogram { bounds, .. } if metric.name.ends_with("ackguard_request_duration_ms") => Some(bounds),
        _ => None,
    });
    let buckets =
        [1, 2, 5, 10, 20, 50, 100, 200, 400, 1_000, 2_000, 5_000, 10_000, 30_000].map(|bound: u32| f64::from(bound));
    assert_eq!(durations.as_deref(), Some(buckets.as_slice()));
}

/// The requests that are sent while the collector takes nothing: each makes three spans.
const REQUESTS_SENT: usize = 5_000;

/// What Envoy may hold for a collector, in messages: `max_requests` of its cluster, and as many that wait.
const HELD: u64 = 16;

/// Requests pass, and neither Envoy nor the broker grows with what they cannot send.
async fn nothing_suffers(collector: SocketAddr) {
    let stack = Stack::start(collector, 100).await;
    let client = Client::new(stack.envoy.guarded(), Latencies::new().into());
    let id = consumer(&client).await;
    let send = async |count: usize| {
        let one = async || {
            for _ in 0..count / 20 {
                client.pull(&id, 1, Duration::ZERO).await.unwrap();
            }
        };
        tokio::join!(
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one()
        );
    };
    let resident = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
        status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    let both = || resident(stack.envoy.pid()) + resident(stack.broker.pid());
    // Until every queue on the way is full.
    send(REQUESTS_SENT).await;
    let before = both();
    send(REQUESTS_SENT).await;
    for gauge in ["upstream_rq_active", "upstream_rq_pending_active"] {
        let held = stack.envoy.stat(&format!("cluster.otel-collector.{gauge}")).await.unwrap();
        assert!(held <= HELD, "{gauge} is {held}");
    }
    let grown = both().saturating_sub(before);
    // 15,000 spans of a KiB each on the wire, some four of them in memory, would be 60 MiB.
    assert!(grown < 16 << 20, "{grown} bytes more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_collector_costs_no_request_and_no_memory() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    nothing_suffers(nobody).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_costs_no_request_and_no_memory() {
    let collector = Collector::hanging().await.unwrap();
    nothing_suffers(collector.address()).await;
    assert!(collector.messages() > 0, "it was asked");
}
