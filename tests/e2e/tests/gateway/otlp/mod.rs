//! Traces and statistics of the compose stack's gateway, as a collector receives them.

mod absence;
mod statistics;
mod traces;

use std::net::SocketAddr;
use std::time::Duration;

use e2e::gateway::{WORKERS, shipped};
use stack::{Broker, BrokerOptions, Envoy, Workers, http_connection_manager};
use tmq_load::client::{Client, ConsumerId, Message, Step, Subscribe};

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
                for listener in ["guarded", "bare"] {
                    let tracer =
                        &mut http_connection_manager(document, listener)["tracing"]["provider"]["typed_config"];
                    let root = &mut tracer["sampler"]["typed_config"]["wrapped_sampler"]["typed_config"];
                    root["sampling_percentage"]["numerator"] = percent.into();
                }
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
