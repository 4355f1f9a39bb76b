//! `result.json`: what the broker's ledgers say of both runs, and the latencies of their acks.

use serde::{Deserialize, Serialize};

use crate::latency::Operation;
use crate::run::RunOutcome;

/// The figures of the incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentResult {
    /// Messages that each run was to publish.
    pub messages: u64,
    /// The run without AckGuard.
    pub bare: RunResult,
    /// The run with AckGuard.
    pub guarded: RunResult,
}

/// The figures of one run. All but the latencies are the ledger's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunResult {
    /// Messages that the broker took.
    pub published: u64,
    /// Messages that were acknowledged in time.
    pub acked: u64,
    /// Messages that were given up without a dead letter.
    pub archived: u64,
    /// Messages that a rebalance dropped.
    pub forgotten: u64,
    /// Messages that were given up and kept in a dead-letter topic.
    pub dead_lettered: u64,
    /// Archived and forgotten: gone for every consumer.
    pub lost: u64,
    /// Deliveries beyond the first, for each published message.
    pub redeliveries_per_message: f64,
    /// The median latency of an ack through the gateway, ms; null where there was none.
    pub p50_ms: Option<f64>,
    /// The 99th percentile of the same.
    pub p99_ms: Option<f64>,
}

impl RunResult {
    /// The figures of `outcome`.
    #[must_use]
    pub fn of(outcome: &RunOutcome) -> Self {
        let ledger = &outcome.ledger;
        let acks = outcome.latencies.summary(Operation::Ack);
        Self {
            published: ledger.published,
            acked: ledger.acked,
            archived: ledger.archived,
            forgotten: ledger.forgotten,
            dead_lettered: ledger.dead_lettered,
            lost: ledger.lost(),
            redeliveries_per_message: match ledger.published {
                0 => 0.0,
                published => ledger.redeliveries as f64 / published as f64,
            },
            p50_ms: acks.map(|acks| acks.p50_ms),
            p99_ms: acks.map(|acks| acks.p99_ms),
        }
    }

    /// Messages whose fate is known.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.acked + self.dead_lettered + self.archived + self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_the_contract() {
        let run = RunResult {
            published: 2,
            acked: 1,
            archived: 1,
            forgotten: 0,
            dead_lettered: 0,
            lost: 1,
            redeliveries_per_message: 1.5,
            p50_ms: Some(0.25),
            p99_ms: None,
        };
        let result = IncidentResult { messages: 2, bare: run, guarded: run };
        let run = r#"{"published":2,"acked":1,"archived":1,"forgotten":0,"deadLettered":0,"lost":1,"redeliveriesPerMessage":1.5,"p50Ms":0.25,"p99Ms":null}"#;
        assert_eq!(
            serde_json::to_string(&result).unwrap(),
            format!(r#"{{"messages":2,"bare":{run},"guarded":{run}}}"#)
        );
    }
}
