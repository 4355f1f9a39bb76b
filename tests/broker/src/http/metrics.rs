//! The broker's metrics, in Prometheus's text form.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::operation::Operation;
use crate::broker::Broker;
use crate::clock::Timestamp;
use crate::ledger::Entry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    operation: &'static str,
}

/// Counts requests, and reads the ledger when it is asked.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<Asked, Histogram>,
}

/// From 50 µs, an ack in memory, to a long poll's minute; in seconds. 0.2 and 0.4 are what the gateway's alerts on acks ask
/// for.
fn histogram() -> Histogram {
    Histogram::new([5e-5, 2e-4, 1e-3, 5e-3, 2e-2, 0.1, 0.2, 0.4, 0.5, 2.0, 10.0, 60.0])
}

impl Metrics {
    /// `began` is when the ledger began to count, where that was in this process.
    pub(crate) fn new(broker: Arc<Broker>, began: Option<Timestamp>) -> Self {
        let mut registry = Registry::with_prefix("tmq");
        let requests = Family::<Answered, Counter>::default();
        let durations = Family::new_with_constructor(histogram as fn() -> Histogram);
        registry.register("requests", "Requests by operation and status", requests.clone());
        registry.register("request_duration_seconds", "Time to answer, long polls included", durations.clone());
        if let Some(began) = began {
            let seconds = Gauge::<i64>::default();
            seconds.set(i64::try_from(began.0 / 1_000).unwrap_or(i64::MAX));
            let tells = "When the ledger began at 0, in Unix time; absent where it goes on from what the disk kept";
            registry.register("ledger_start_time_seconds", tells, seconds);
        }
        registry.register_collector(Box::new(LedgerCollector { broker }));
        Self { registry, requests, durations }
    }

    /// Counts one answer.
    pub(super) fn answered(&self, operation: Operation, status: StatusCode, took: Duration) {
        let operation = operation.as_str();
        self.requests.get_or_create(&Answered { operation, status: status.as_u16() }).inc();
        self.durations.get_or_create(&Asked { operation }).observe(took.as_secs_f64());
    }

    /// Everything, as text.
    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

struct LedgerCollector {
    broker: Arc<Broker>,
}

impl fmt::Debug for LedgerCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LedgerCollector")
    }
}

type Figure = fn(&Entry) -> u64;

/// What is so now, and may fall.
const GAUGES: [(&str, &str, Figure); 2] = [
    ("messages_ready", "Messages to be delivered, at once or after a rest", |entry| entry.ready),
    ("messages_in_flight", "Messages that are leased to a consumer", |entry| entry.in_flight),
];

/// What only grows.
const COUNTERS: [(&str, &str, Figure); 7] = [
    ("messages_published", "Messages of the group's topic", |entry| entry.published),
    ("messages_acked", "Messages that were acknowledged", |entry| entry.totals.acked),
    ("messages_dead_lettered", "Messages that went to a dead-letter topic", |entry| entry.totals.dead_lettered),
    ("messages_archived", "Messages that were given up", |entry| entry.totals.archived),
    ("messages_forgotten", "Messages that a rebalance lost", |entry| entry.totals.forgotten),
    ("deliveries", "Deliveries to consumers", |entry| entry.totals.deliveries),
    ("redeliveries", "Deliveries of messages that had been delivered before", |entry| entry.totals.redeliveries),
];

impl Collector for LedgerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let ledger = self.broker.ledger_now();
        let mut family = |name, help, counter: bool, figure: Figure| {
            let kind =
                if counter { ConstCounter::new(0_u64).metric_type() } else { ConstGauge::new(0_i64).metric_type() };
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            for account in &ledger.entries {
                let labels = [("topic", account.topic.as_str()), ("group", account.group.as_str())];
                let encoder = metric.encode_family(&labels)?;
                let value = figure(&account.entry);
                if counter {
                    ConstCounter::new(value).encode(encoder)?;
                } else {
                    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)?;
                }
            }
            Ok::<(), fmt::Error>(())
        };
        for (name, help, figure) in GAUGES {
            family(name, help, false, figure)?;
        }
        for (name, help, figure) in COUNTERS {
            family(name, help, true, figure)?;
        }
        Ok(())
    }
}
