//! Statistics: with labels as attributes, and the same figures that Envoy shows.

use std::collections::BTreeMap;
use std::time::Duration;

use collector::{Collector, Metric, Value};
use stack::until;
use tmq_load::client::Client;
use tmq_load::latency::Latencies;

use super::{Stack, consumer};

/// The metric that counts requests, as Envoy names it in its statistics.
const REQUESTS: &str = "wasmcustom.ackguard_requests_total";

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
