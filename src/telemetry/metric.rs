//! Every metric: its name, its kind, its labels and its meaning, each written down once. The counters, the gauges and the
//! histogram name them; docs/metrics.md and the `stats_tags` of the sample configurations are made of them.

use super::label;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows, until Envoy starts anew.
    Counter,
    /// A value of the whole Envoy, whichever worker set it.
    Gauge,
    /// Milliseconds, in buckets.
    Histogram,
}

impl MetricKind {
    /// Prometheus's name of it.
    pub fn name(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, as Prometheus shows it.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// The names of its labels, in the order in which they stand in a series' name.
    pub labels: &'static [&'static str],
    /// What it tells, in Markdown.
    pub help: &'static str,
}

impl Metric {
    /// The name of the series with these values of its labels, as Envoy's statistics hold it: `name;label=value;…`, the
    /// form of Graphite's tagged series. No value contains a semicolon, so that Envoy's `stats_tags` can take the labels
    /// out again.
    pub fn series(&self, values: &[&str]) -> String {
        debug_assert_eq!(self.labels.len(), values.len(), "{}", self.name);
        let mut out = self.name.to_owned();
        for (label, value) in self.labels.iter().zip(values) {
            out.push(';');
            out.push_str(label);
            out.push('=');
            label::escape(value, &mut out);
        }
        out
    }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, help }
}

pub(super) const REQUESTS: Metric = counter(
    "ackguard_requests_total",
    &["dialect", "operation", "decision"],
    "Requests of a dialect by what became of them: `pass`, `edit`, `reject`; in shadow `would_edit`, `would_reject`. \
     `operation` is `unknown` where the wire does not define what was asked.",
);
pub(super) const CANDIDATE_REQUESTS: Metric = counter(
    "ackguard_candidate_requests_total",
    &["dialect", "operation", "decision"],
    "Requests among `ackguard_requests_total` that a roll-out's candidate decided on.",
);
pub(super) const SHADOW_REQUESTS: Metric = counter(
    "ackguard_shadow_requests_total",
    &["scope", "dialect", "operation", "decision"],
    "What rules, stages and limits in shadow would have done beside what was done; `scope`: `rule`, `rollout`, `limit`.",
);
pub(super) const VIOLATIONS: Metric = counter(
    "ackguard_violations_total",
    &["dialect", "field", "kind", "action", "rule"],
    "Settings against the policy, also those that it allows: which, how it was wrong, what was done and by which rule.",
);
pub(super) const SHADOW_VIOLATIONS: Metric = counter(
    "ackguard_shadow_violations_total",
    &["scope", "dialect", "field", "kind", "action", "rule"],
    "Settings against rules that are only tried.",
);
pub(super) const TENANT_VIOLATIONS: Metric = counter(
    "ackguard_tenant_violations_total",
    &["tenant"],
    "Requests with settings against the policy, by who sent them.",
);
pub(super) const REQUEST_DURATION: Metric = Metric {
    name: "ackguard_request_duration_ms",
    kind: MetricKind::Histogram,
    labels: &["dialect", "operation", "code", "timeout"],
    help: "How long the broker took to begin its answer, for requests that went on to it, in milliseconds. `code` is the \
           status, `none` where the client left before there was one. `timeout` is `true` where Envoy gave up waiting \
           for the broker, which tells that 504 from one of the broker's own.",
};
pub(super) const LIMITED: Metric = counter(
    "ackguard_limited_total",
    &["limit"],
    "Requests over a limit that were refused; `max_in_flight` is one of the limits.",
);
pub(super) const SHADOW_LIMITED: Metric = counter(
    "ackguard_shadow_limited_total",
    &["limit"],
    "Requests that a limit in shadow, or in a document in shadow, would have refused.",
);
pub(super) const LIMIT_CONTENTION: Metric = counter(
    "ackguard_limit_contention_total",
    &[],
    "Requests that were taken for over a limit, be it one in shadow, because too many workers wrote its bucket at once.",
);
pub(super) const LIMIT_LOST_WRITES: Metric = counter(
    "ackguard_limit_lost_writes_total",
    &[],
    "Tokens that could not be put back, or charged when a pull's answer was there, because too many workers wrote a bucket \
     at once.",
);
pub(super) const FLEET_CALLS: Metric = counter(
    "ackguard_fleet_calls_total",
    &["result"],
    "What the fleet's rate limit service said: `ok`, `over_limit`, `timeout`, `error`; `open`: it was not asked, since \
     the calls before had failed, or 4,096 requests of the worker waited for it; `left`: the client left before its \
     answer.",
);
pub(super) const BREAKER_STATE: Metric = gauge(
    "ackguard_breaker_state",
    &["cluster"],
    "Whether the fleet's service is asked: 0 closed, it is; 1 half open, one call tries it; 2 open, it is not. Each \
     worker has a breaker of its own, and the gauge tells of the worst.",
);
pub(super) const LEASES: Metric = gauge(
    "ackguard_leases",
    &[],
    "Messages that the consumers of groups with a `max_in_flight` hold, counted once a second.",
);
pub(super) const LEASES_EXPIRED: Metric = counter(
    "ackguard_leases_expired_total",
    &[],
    "Leases among them that ended by their time, with neither ack nor reject. What a pull whose answer broke off is taken to \
     have brought counts too.",
);
pub(super) const DELIVERIES: Metric =
    counter("ackguard_deliveries_total", &["dialect"], "Messages that answers to pulls brought.");
pub(super) const REDELIVERIES: Metric =
    counter("ackguard_redeliveries_total", &["dialect"], "Those of them that had been delivered before.");
pub(super) const LAST_ATTEMPTS: Metric = counter(
    "ackguard_last_attempts_total",
    &["dialect"],
    "Those of them on their last attempt: when it fails, the broker drops the message or dead-letters it.",
);
pub(super) const LATE_ACKS: Metric = counter(
    "ackguard_late_acks_total",
    &["dialect"],
    "Receipts that an ack named when their lease was over: the work was done, and is done again.",
);
pub(super) const UNREAD_ANSWERS: Metric = counter(
    "ackguard_unread_answers_total",
    &["dialect"],
    "Successful answers to pulls and acks that could not be read, be it that they are compressed or no JSON: the four \
     counters before tell of what stood in front of that.",
);
pub(super) const POLICY_INFO: Metric =
    gauge("ackguard_policy_info", &["version", "mode"], "1 for the policy in force, 0 for those before it.");
pub(super) const POLICY_RELOADS: Metric = counter(
    "ackguard_policy_reloads_total",
    &["result"],
    "Policies that Envoy handed over: `accepted`, once for all workers, or more often where another one follows before all \
     have it; `refused`, once by each worker that was asked.",
);
pub(super) const ROLLOUT_TRANSITIONS: Metric = counter(
    "ackguard_rollout_transitions_total",
    &["to"],
    "Steps of a roll-out: `started`, `advanced`, `held`, `resumed`, `completed`, `rolled_back`.",
);
pub(super) const ROLLOUT_STATE: Metric = gauge(
    "ackguard_rollout_state",
    &[],
    "Where the roll-out stands: 0 there is none, 1 fresh, 2 running, 3 held, 4 completed, 5 rolled back.",
);
pub(super) const ROLLOUT_STAGE: Metric = gauge(
    "ackguard_rollout_stage",
    &[],
    "The stage that is served, from 1; 0 where nobody is on the candidate's side.",
);
pub(super) const ROLLOUT_STAGE_SECONDS: Metric =
    gauge("ackguard_rollout_stage_seconds", &[], "How long the stage has lasted.");
pub(super) const ROLLOUT_CANDIDATE: Metric =
    gauge("ackguard_rollout_candidate", &[], "A number that stands for the candidate, for `ackguard rollout status`.");
pub(super) const ROLLOUT_ACKS: Metric =
    gauge("ackguard_rollout_acks", &[], "The acks of the candidate's consumers within the window.");
pub(super) const ROLLOUT_ACKS_FAILED: Metric = gauge("ackguard_rollout_acks_failed", &[], "Those that failed.");
pub(super) const ROLLOUT_ACKS_SLOW: Metric =
    gauge("ackguard_rollout_acks_slow", &[], "Those that took longer than the policy's `p99`.");
pub(super) const EVICTIONS: Metric = counter(
    "ackguard_evictions_total",
    &["table"],
    "What found no room: consumers' `subscriptions` that were forgotten for newer ones, or whose answer could not be \
     read; buckets of `limits`; `leases` that are not counted.",
);
pub(super) const UNDECIDABLE: Metric =
    counter("ackguard_undecidable_total", &["dialect", "reason"], "Requests that could not be read, and why.");

/// Every metric, in the order in which a reader wants to know them.
pub const METRICS: [&Metric; 32] = [
    &REQUESTS,
    &VIOLATIONS,
    &TENANT_VIOLATIONS,
    &UNDECIDABLE,
    &REQUEST_DURATION,
    &DELIVERIES,
    &REDELIVERIES,
    &LAST_ATTEMPTS,
    &LATE_ACKS,
    &UNREAD_ANSWERS,
    &LEASES,
    &LEASES_EXPIRED,
    &LIMITED,
    &LIMIT_CONTENTION,
    &LIMIT_LOST_WRITES,
    &FLEET_CALLS,
    &BREAKER_STATE,
    &POLICY_INFO,
    &POLICY_RELOADS,
    &SHADOW_REQUESTS,
    &SHADOW_VIOLATIONS,
    &SHADOW_LIMITED,
    &CANDIDATE_REQUESTS,
    &ROLLOUT_TRANSITIONS,
    &ROLLOUT_STATE,
    &ROLLOUT_STAGE,
    &ROLLOUT_STAGE_SECONDS,
    &ROLLOUT_CANDIDATE,
    &ROLLOUT_ACKS,
    &ROLLOUT_ACKS_FAILED,
    &ROLLOUT_ACKS_SLOW,
    &EVICTIONS,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn metrics_are_named_as_prometheus_has_it() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len(), "each once");
        for Metric { name, kind, labels, help } in METRICS {
            assert!(name.starts_with("ackguard_"), "{name}");
            assert_eq!(*kind == MetricKind::Counter, name.ends_with("_total"), "{name}");
            for word in labels.iter().chain([name]) {
                assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{word}");
            }
            assert!(help.ends_with('.'), "{name}");
        }
    }

    #[test]
    #[should_panic(expected = "ackguard_limited_total")]
    fn a_series_with_a_value_too_many_is_a_fault() {
        LIMITED.series(&["a", "b"]);
    }

    #[test]
    fn a_series_has_its_labels_in_its_name_and_no_value_can_add_one() {
        assert_eq!(LEASES.series(&[]), "ackguard_leases");
        assert_eq!(LIMITED.series(&["per.tenant"]), "ackguard_limited_total;limit=per.tenant");
        assert_eq!(LIMITED.series(&["a;limit=b"]), "ackguard_limited_total;limit=a%3Blimit=b");
    }
}
