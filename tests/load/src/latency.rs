//! How long requests took: one histogram for each operation.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// What a request asked for, as latencies are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Making a topic.
    CreateTopic,
    /// Publishing a batch.
    Publish,
    /// Joining a group.
    Subscribe,
    /// Start, stop and close.
    Lifecycle,
    /// A pull that brought messages.
    Pull,
    /// A pull that brought none: its time is the long poll's wait, not the gateway's.
    EmptyPull,
    /// Acknowledging receipts.
    Ack,
}

impl Operation {
    /// Every operation, in the order of a consumer's life.
    pub const ALL: [Self; 7] =
        [Self::CreateTopic, Self::Publish, Self::Subscribe, Self::Lifecycle, Self::Pull, Self::EmptyPull, Self::Ack];

    /// The operation's name in messages and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateTopic => "create topic",
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Lifecycle => "lifecycle",
            Self::Pull => "pull",
            Self::EmptyPull => "empty pull",
            Self::Ack => "ack",
        }
    }
}

/// The latencies of many tasks' requests.
#[derive(Debug)]
pub struct Latencies {
    /// In the order of [`Operation::ALL`]. In microseconds.
    histograms: [Mutex<Histogram<u64>>; Operation::ALL.len()],
}

/// One operation's latencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Requests answered.
    pub count: u64,
    /// The median, ms.
    pub p50_ms: f64,
    /// The 99th percentile, ms.
    pub p99_ms: f64,
}

impl Latencies {
    /// Latencies above this are counted as this: longer than any answer that the client waits for.
    const MAX_MICROS: u64 = 120_000_000;
    /// Three digits: a value is off by a thousandth at most.
    const DIGITS: u8 = 3;

    /// No latencies yet.
    #[must_use]
    pub fn new() -> Self {
        let empty = || {
            Histogram::new_with_max(Self::MAX_MICROS, Self::DIGITS)
                .expect("the bounds are constants within the library's")
        };
        Self { histograms: std::array::from_fn(|_| Mutex::new(empty())) }
    }

    /// Counts one answered request.
    pub fn record(&self, operation: Operation, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.histogram(operation).lock().unwrap_or_else(PoisonError::into_inner).saturating_record(micros);
    }

    /// What was recorded of `operation`; `None` where nothing was.
    #[must_use]
    pub fn summary(&self, operation: Operation) -> Option<Summary> {
        let histogram = self.histogram(operation).lock().unwrap_or_else(PoisonError::into_inner);
        let millis = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        (!histogram.is_empty()).then(|| Summary { count: histogram.len(), p50_ms: millis(0.50), p99_ms: millis(0.99) })
    }

    /// All requests answered.
    #[must_use]
    pub fn requests(&self) -> u64 {
        Operation::ALL.iter().filter_map(|operation| self.summary(*operation)).map(|summary| summary.count).sum()
    }

    fn histogram(&self, operation: Operation) -> &Mutex<Histogram<u64>> {
        &self.histograms[operation as usize]
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_the_histogram_at_its_place() {
        for (place, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, place, "{}", operation.name());
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let latencies = Latencies::new();
        for millis in 1..=1_000 {
            latencies.record(Operation::Ack, Duration::from_millis(millis));
        }
        let summary = latencies.summary(Operation::Ack).unwrap();
        assert_eq!(summary.count, 1_000);
        assert!((summary.p50_ms - 500.0).abs() <= 0.5, "p50 {}", summary.p50_ms);
        assert!((summary.p99_ms - 990.0).abs() <= 1.0, "p99 {}", summary.p99_ms);
    }

    #[test]
    fn an_operation_that_never_ran_has_no_quantiles() {
        let latencies = Latencies::new();
        latencies.record(Operation::EmptyPull, Duration::from_secs(1));
        assert_eq!(latencies.summary(Operation::Pull), None);
        assert_eq!(latencies.requests(), 1);
    }

    #[test]
    fn a_latency_over_the_bound_is_counted_at_the_bound() {
        let latencies = Latencies::new();
        latencies.record(Operation::Ack, Duration::MAX);
        let summary = latencies.summary(Operation::Ack).unwrap();
        assert!((summary.p99_ms - 120_000.0).abs() < 120.0, "p99 {}", summary.p99_ms);
    }
}
