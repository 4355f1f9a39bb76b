//! What is shown, taken from the statistics: figures, not yet text.

use std::collections::BTreeMap;

use ackguard::rollout::State;
use ackguard::telemetry::{Decision, Gauge};

use super::track::{Spread, Tally, Track};
use crate::admin::{Series, Stats};

/// Over which time durations are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durations {
    /// The last half minute.
    Recent,
    /// Since Envoy's start.
    SinceStart,
}

/// All figures of a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Report {
    /// Whether the filter has counted anything at all.
    pub(super) is_filter_seen: bool,
    /// What Envoy is doing, unless it simply serves.
    pub(super) server_state: Option<&'static str>,
    /// The version and the mode of each policy in force: one, but while an update is under way.
    pub(super) policies: Vec<(String, String)>,
    pub(super) reloads_refused: Tally,
    pub(super) rollout: Option<Rollout>,
    pub(super) operations: Vec<Operation>,
    pub(super) tenants: Vec<(String, Tally)>,
    pub(super) violations: Vec<Violation>,
    pub(super) limits: Vec<Limit>,
    pub(super) leases: u64,
    pub(super) leases_expired: Tally,
    pub(super) deliveries: Tally,
    pub(super) redeliveries: Tally,
    pub(super) last_attempts: Tally,
    pub(super) late_acks: Tally,
    /// The state of each cluster's breaker.
    pub(super) breakers: Vec<(String, Breaker)>,
    /// By what came of them.
    pub(super) fleet_calls: Vec<(String, Tally)>,
    /// By table.
    pub(super) evictions: Vec<(String, Tally)>,
    pub(super) contention: Tally,
    pub(super) lost_writes: Tally,
    /// By dialect and reason.
    pub(super) undecidable: Vec<(String, Tally)>,
    /// Series that were not read.
    pub(super) left_out: usize,
}

/// Where a roll-out stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rollout {
    pub(super) state: State,
    /// From 1; 0 for none.
    pub(super) stage: u64,
    pub(super) stage_seconds: u64,
    pub(super) acks: u64,
    pub(super) failed: u64,
    pub(super) slow: u64,
}

/// One operation of one dialect.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) all: Tally,
    /// In the order of [`DECISIONS`]. Those of what is in shadow beside a ruling that was carried out are in the last two.
    pub(super) decisions: [Tally; DECISIONS.len()],
    /// In milliseconds.
    pub(super) half: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) timeouts: Option<u64>,
}

/// What becomes of requests, as the columns have it.
pub(super) const DECISIONS: [Decision; 5] =
    [Decision::Pass, Decision::Edit, Decision::Reject, Decision::WouldEdit, Decision::WouldReject];

/// Settings against the policy, of one kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Violation {
    pub(super) field: String,
    pub(super) kind: String,
    pub(super) action: String,
    pub(super) rule: String,
    pub(super) tally: Tally,
}

/// A limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Limit {
    pub(super) name: String,
    pub(super) limited: Tally,
    pub(super) shadow: Tally,
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    Closed,
    HalfOpen,
    Open,
}

impl Breaker {
    fn of_gauge(value: u64) -> Breaker {
        match value {
            0 => Breaker::Closed,
            1 => Breaker::HalfOpen,
            _ => Breaker::Open,
        }
    }
}

impl Report {
    /// The figures of the last moment.
    pub(super) fn of(track: &Track, durations: Durations) -> Report {
        let Some(stats) = track.stats() else { return Report::default() };
        let policies = stats.all("ackguard_policy_info").filter(|(_, value)| *value > 0);
        let breakers = stats.all("ackguard_breaker_state");
        Report {
            is_filter_seen: stats.values.keys().any(|series| series.metric.starts_with("ackguard_")),
            server_state: server_state(stats),
            policies: policies
                .map(|(series, _)| (series.label("version").to_owned(), series.label("mode").to_owned()))
                .collect(),
            reloads_refused: of_label(track, "ackguard_policy_reloads_total", "result", "refused"),
            rollout: rollout(stats),
            operations: operations(track, durations),
            tenants: by_name(track, "ackguard_tenant_violations_total", |series| series.label("tenant").to_owned()),
            violations: violations(track),
            limits: limits(track),
            leases: stats.all("ackguard_leases").map(|(_, value)| value).fold(0, u64::saturating_add),
            leases_expired: track.sum("ackguard_leases_expired_total"),
            deliveries: track.sum("ackguard_deliveries_total"),
            redeliveries: track.sum("ackguard_redeliveries_total"),
            last_attempts: track.sum("ackguard_last_attempts_total"),
            late_acks: track.sum("ackguard_late_acks_total"),
            breakers: breakers
                .map(|(series, value)| (series.label("cluster").to_owned(), Breaker::of_gauge(value)))
                .collect(),
            fleet_calls: by_name(track, "ackguard_fleet_calls_total", |series| series.label("result").to_owned()),
            evictions: by_name(track, "ackguard_evictions_total", |series| series.label("table").to_owned()),
            contention: track.sum("ackguard_limit_contention_total"),
            lost_writes: track.sum("ackguard_limit_lost_writes_total"),
            undecidable: by_name(track, "ackguard_undecidable_total", |series| {
                format!("{} {}", series.label("dialect"), series.label("reason"))
            }),
            left_out: stats.left_out,
        }
    }
}

/// Envoy's own word for what it does, from its gauge; `None` for LIVE.
fn server_state(stats: &Stats) -> Option<&'static str> {
    match stats.value("server.state") {
        0 => None,
        1 => Some("draining"),
        2 => Some("pre-initializing"),
        _ => Some("initializing"),
    }
}

fn rollout(stats: &Stats) -> Option<Rollout> {
    let value = |gauge: Gauge| stats.value(&gauge.name());
    Some(Rollout {
        state: State::of_gauge(value(Gauge::RolloutState))?,
        stage: value(Gauge::RolloutStage),
        stage_seconds: value(Gauge::RolloutElapsed),
        acks: value(Gauge::RolloutAcks),
        failed: value(Gauge::RolloutAcksFailed),
        slow: value(Gauge::RolloutAcksSlow),
    })
}

/// A counter's series with one value of a label, together.
fn of_label(track: &Track, metric: &str, label: &str, value: &str) -> Tally {
    let all = track.tallies(metric).into_iter().filter(|(series, _)| series.label(label) == value);
    all.map(|(_, tally)| tally).reduce(|one, other| one + other).unwrap_or_default()
}

/// A counter's series under the names that some of their labels give them.
fn by_name(track: &Track, metric: &str, name: impl Fn(&Series) -> String) -> Vec<(String, Tally)> {
    let mut named = BTreeMap::new();
    for (series, tally) in track.tallies(metric) {
        named.entry(name(series)).and_modify(|sum| *sum += tally).or_insert(tally);
    }
    named.into_iter().collect()
}

fn operations(track: &Track, durations: Durations) -> Vec<Operation> {
    let asked = |series: &Series| (series.label("dialect").to_owned(), series.label("operation").to_owned());
    // What is not counted is known to have happened no time, as soon as anything is known.
    let none = track.sum("");
    let mut operations: BTreeMap<_, Operation> = BTreeMap::new();
    for (metric, is_all) in [("ackguard_requests_total", true), ("ackguard_shadow_requests_total", false)] {
        for (series, tally) in track.tallies(metric) {
            let operation = operations.entry(asked(series)).or_insert_with(|| Operation {
                all: none,
                decisions: [none; DECISIONS.len()],
                ..Operation::default()
            });
            if is_all {
                operation.all += tally;
            }
            // What passed beside a ruling in shadow is among those that passed already.
            let columns = DECISIONS.iter().zip(&mut operation.decisions);
            for (_, sum) in columns.filter(|(decision, _)| {
                decision.name() == series.label("decision") && (is_all || **decision != Decision::Pass)
            }) {
                *sum += tally;
            }
        }
    }
    let spreads = match durations {
        Durations::Recent => track.recent(),
        Durations::SinceStart => track.since_start(),
    };
    operations
        .into_iter()
        .map(|(asked, operation)| {
            let spread = spreads.get(&asked);
            let (dialect, name) = asked;
            Operation {
                name: format!("{dialect} {name}"),
                half: spread.and_then(|spread| spread.quantile(0.5)),
                p99: spread.and_then(|spread| spread.quantile(0.99)),
                timeouts: spread.map(|spread: &Spread| spread.timeouts),
                ..operation
            }
        })
        .collect()
}

fn violations(track: &Track) -> Vec<Violation> {
    let mut violations = BTreeMap::new();
    for (metric, would) in [("ackguard_violations_total", ""), ("ackguard_shadow_violations_total", "would ")] {
        for (series, tally) in track.tallies(metric) {
            let [field, kind, action, rule] = ["field", "kind", "action", "rule"].map(|label| series.label(label));
            let key = (field.to_owned(), kind.to_owned(), format!("{would}{action}"), rule.to_owned());
            violations.entry(key).and_modify(|sum| *sum += tally).or_insert(tally);
        }
    }
    let violations = violations.into_iter();
    violations.map(|((field, kind, action, rule), tally)| Violation { field, kind, action, rule, tally }).collect()
}

fn limits(track: &Track) -> Vec<Limit> {
    let none = track.sum("");
    let mut limits: BTreeMap<String, Limit> = BTreeMap::new();
    for (metric, is_shadow) in [("ackguard_limited_total", false), ("ackguard_shadow_limited_total", true)] {
        for (series, tally) in track.tallies(metric) {
            let name = series.label("limit");
            let limit = limits.entry(name.to_owned()).or_insert_with(|| Limit {
                name: name.to_owned(),
                limited: none,
                shadow: none,
            });
            let sum = if is_shadow { &mut limit.shadow } else { &mut limit.limited };
            *sum += tally;
        }
    }
    limits.into_values().collect()
}
