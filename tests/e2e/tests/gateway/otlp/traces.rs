//! Traces: one for a request, from the consumer to the broker, and none where nobody samples it.

use std::net::SocketAddr;
use std::time::Duration;

use collector::{Collector, Kind, Span};
use e2e::gateway::WORKERS;
use serde_json::json;
use spans::{Endpoint, Sampling, Spans};
use stack::until;
use tmq_load::client::Client;
use tmq_load::latency::Latencies;

use super::{Stack, consumer};

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
    assert_eq!(gateway.attribute("ackguard.decision"), None, "{gateway:#?}");
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
    // Of what is sampled nothing is left, so each worker's next flush would bring the dark one.
    let flushes = async || stack.envoy.stat("tracing.opentelemetry.timer_flushed").await.ok();
    let before = flushes().await.unwrap();
    let twice = async || flushes().await.filter(|&count| count >= before + 2 * u64::from(WORKERS));
    until("two flushes of each worker", twice).await.unwrap();
    assert_eq!(collector.trace(dark), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bare_listener_leaves_no_request_to_the_brokers_own_sampling() {
    let collector = Collector::start().await.unwrap();
    let stack = Stack::start(collector.address(), 0).await;
    let untraced = Client::new(stack.envoy.bare(), Latencies::new().into());
    let id = consumer(&untraced).await;
    let (client, spans) = traced(stack.envoy.bare(), collector.address());
    client.pull(&id, 1, Duration::ZERO).await.unwrap();
    spans.end().await.unwrap();

    let pull = trace_of(&collector, "consumer", "pull", 4).await;
    let [_, gateway, _, broker] = chain(&pull);
    assert_eq!(gateway.attribute("ackguard.decision"), None, "{gateway:#?}");
    // The broker sends its spans in their order: those of the requests before would be here.
    let of_the_broker = collector.spans().into_iter().filter(|span| span.service == broker.service);
    assert_eq!(of_the_broker.collect::<Vec<_>>(), std::slice::from_ref(broker));
}
