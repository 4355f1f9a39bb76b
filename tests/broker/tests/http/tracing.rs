//! The span of each request, as a collector receives it; and a collector that is not there or hangs.

use std::time::{Duration, Instant};

use axum::http::Method;
use collector::{Collector, Kind, Span};
use rustix::process::Signal;
use serde_json::json;
use tmq_broker::Semantics;

use crate::client::{Broker, receipts};
use crate::process::{answer, send};
use crate::program::Program;

/// Traces, and the span in them that sends each request.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const UNSAMPLED: &str = "5bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

async fn traced(collector: &Collector) -> Broker {
    let endpoint = format!("http://{}", collector.address()).parse().unwrap();
    Broker::start_with(Semantics::Fixed, |config| config.otlp = Some(endpoint)).await
}

/// The one span of the operation `name`.
fn only<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name} among {spans:#?}"));
    assert!(found.next().is_none(), "two of {name} among {spans:#?}");
    span
}

#[track_caller]
fn says(span: &Span, attributes: &[(&str, &str)]) {
    for (name, value) in attributes {
        assert_eq!(span.attribute(name), Some(*value), "{name} of {span:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_is_a_span_that_names_what_it_was_about_and_never_a_receipt_or_a_body() {
    let collector = Collector::start().await.unwrap();
    let broker = traced(&collector).await;
    broker.orders(1, 2).await;
    let consumer = broker.consumer(json!({})).await;
    let id = consumer.rsplit('/').next().unwrap();
    let pulled = broker.pull(&consumer, json!({ "maxMessages": 10 })).await;
    let mut acked: Vec<&str> = receipts(&pulled);
    acked.push("not-a-receipt");
    broker.post(&format!("{consumer}:ack"), json!({ "receipts": acked })).await.ok();
    broker.post("/topics/nowhere/messages", json!({ "messages": [{ "body": "m" }] })).await.refused(
        404,
        "TopicNotFound",
        Some("topic"),
    );
    let fault = json!({ "operation": "heartbeat", "kind": "status", "status": 503, "probability": 1 });
    broker.admin(Method::POST, "/admin/faults", &fault.to_string()).await;
    broker.post(&format!("{consumer}:heartbeat"), json!({})).await;
    broker.send_with(Method::GET, "/../secret", &[("authorization", "secret")], "").await;
    assert!(broker.send(broker.listen, Method::GET, "/healthz", "").await.status.is_success());
    broker.server.shutdown().await;

    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.service == "tmq-broker" && span.kind == Kind::Server), "{spans:#?}");
    assert!(spans.iter().all(|span| span.attribute("messaging.system") == Some("tmq")), "{spans:#?}");
    assert_eq!(spans.len(), 9, "a health check has none: {spans:#?}");
    says(
        only(&spans, "createTopic"),
        &[("messaging.destination.name", "orders"), ("http.response.status_code", "201")],
    );
    let whose =
        [("messaging.destination.name", "orders"), ("messaging.consumer.group.name", "g"), ("messaging.client.id", id)];
    for name in ["subscribe", "start", "pull", "ack", "heartbeat"] {
        says(only(&spans, name), &whose);
        says(only(&spans, name), &[("messaging.operation.name", name)]);
    }
    says(only(&spans, "pull"), &[("messaging.operation.type", "receive"), ("messaging.batch.message_count", "2")]);
    let ack = only(&spans, "ack");
    says(ack, &[("messaging.operation.type", "settle"), ("messaging.batch.message_count", "3")]);
    says(ack, &[("tmq.receipts.failed", "1"), ("http.response.status_code", "200")]);
    assert!(!ack.failed);
    let heartbeat = only(&spans, "heartbeat");
    says(heartbeat, &[("error.type", "injected"), ("http.response.status_code", "503")]);
    assert!(heartbeat.failed);
    says(only(&spans, "unknown"), &[("error.type", "NotFound"), ("http.response.status_code", "404")]);
    let published = |topic: &str| {
        let to = |span: &&Span| span.attribute("messaging.destination.name") == Some(topic);
        spans.iter().filter(|span| span.name == "publish").find(to).unwrap()
    };
    says(published("orders"), &[("messaging.batch.message_count", "2"), ("messaging.operation.type", "send")]);
    says(published("nowhere"), &[("error.type", "TopicNotFound"), ("http.response.status_code", "404")]);
    assert!(published("nowhere").failed && !published("orders").failed);

    let everything = format!("{spans:?}");
    for secret in receipts(&pulled).into_iter().chain(["not-a-receipt", "secret", "m0"]) {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_came_goes_on_and_one_that_is_not_sampled_stays_dark() {
    let collector = Collector::start().await.unwrap();
    let broker = traced(&collector).await;
    for (trace, flags) in [(TRACE, "01"), (UNSAMPLED, "00")] {
        let traceparent = format!("00-{trace}-{CALLER}-{flags}");
        broker.send_with(Method::PUT, "/topics/orders", &[("traceparent", &traceparent)], "{}").await.ok();
    }
    for malformed in ["", "00-short-00f067aa0ba902b7-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
        broker.send_with(Method::PUT, "/topics/orders", &[("traceparent", malformed)], "{}").await.ok();
    }
    broker.server.shutdown().await;
    let continued = collector.trace(TRACE);
    assert_eq!(continued.len(), 1, "{:#?}", collector.spans());
    assert_eq!(continued[0].parent.as_deref(), Some(CALLER));
    assert_eq!(collector.trace(UNSAMPLED), []);
    let begun = collector.spans().into_iter().filter(|span| span.parent.is_none()).count();
    assert_eq!(begun, 3, "a traceparent that cannot be read is none: {:#?}", collector.spans());
}

/// Serves and ends though the collector takes nothing. Returns what it logged.
fn serves_and_ends(collector: &str) -> String {
    let process = Program::start(&["--otlp", collector]);
    // More than wait and are on their way.
    for _ in 0..3_000 {
        answer(send(process.listen, "PUT /tmq/v1/topics/orders", "{}"));
    }
    let told = Instant::now();
    let (status, written) = process.end(Signal::TERM);
    assert_eq!(status.code(), Some(0), "{written}");
    assert!(told.elapsed() < Duration::from_secs(20), "it ends by itself");
    written
}

#[test]
fn a_collector_that_is_not_there_is_told_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let written = serves_and_ends(&nobody);
    assert_eq!(written.matches("spans are lost").count(), 1, "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_holds_up_neither_requests_nor_the_end() {
    let collector = Collector::hanging().await.unwrap();
    let endpoint = format!("http://{}", collector.address());
    let written = tokio::task::spawn_blocking(move || serves_and_ends(&endpoint)).await.unwrap();
    assert!(collector.messages() > 0);
    assert!(written.contains("did not reach the collector"), "{written}");
}
