//! Everything that is counted and measured, held against the list of metrics.

use std::collections::BTreeSet;

use crate::dialect::Dialect;
use crate::operation::{Field, Kind, Reason};
use crate::policy::Mode;
use crate::policy::verdict::{Action, Finding, Violation};
use crate::rollout::Transition;

use super::{Counter, Decision, Duration, Ending, FleetResult, Gauge, METRICS, MetricKind, Scope};

#[test]
fn every_series_is_one_of_a_metric_here_with_all_of_its_labels() {
    let (dialect, kind, decision) = (Dialect::Tmq, Kind::Ack, Decision::Pass);
    let finding = Finding { field: Field::AckTimeout, violation: Violation::Zero, action: Action::Clamp };
    let counters = [
        Counter::Requests { dialect, operation: Some(kind), decision },
        Counter::Requests { dialect, operation: None, decision },
        Counter::Violations { dialect, finding, rule: "r".into() },
        Counter::TenantViolations { tenant: "t".into() },
        Counter::CandidateRequests { dialect, operation: kind, decision },
        Counter::ShadowRequests { scope: Scope::Rule, dialect, operation: kind, decision },
        Counter::ShadowViolations { scope: Scope::Rule, dialect, finding, rule: "r".into() },
        Counter::Reloads { accepted: true },
        Counter::Transitions(Transition::Started),
        Counter::Limited { limit: "l".into(), mode: Mode::Enforce },
        Counter::Limited { limit: "l".into(), mode: Mode::Shadow },
        Counter::LimitEvictions,
        Counter::LimitContention,
        Counter::LimitLostWrites,
        Counter::LeaseEvictions,
        Counter::SubscriptionEvictions,
        Counter::FleetCalls(FleetResult::Ok),
        Counter::Deliveries(dialect),
        Counter::Redeliveries(dialect),
        Counter::LastAttempts(dialect),
        Counter::LateAcks(dialect),
        Counter::UnreadAnswers(dialect),
        Counter::LeasesExpired,
        Counter::Undecidable { dialect, reason: Reason::Malformed },
    ];
    let gauges = [
        Gauge::Policy { version: "1".into(), mode: Mode::Enforce },
        Gauge::Leases,
        Gauge::Breaker { cluster: "c".into() },
        Gauge::RolloutState,
        Gauge::RolloutStage,
        Gauge::RolloutElapsed,
        Gauge::RolloutCandidate,
        Gauge::RolloutAcks,
        Gauge::RolloutAcksFailed,
        Gauge::RolloutAcksSlow,
    ];
    let endings = [Ending::Status(200), Ending::Timeout(504), Ending::Left];
    let series = counters.iter().map(|counter| (MetricKind::Counter, counter.name()));
    let series = series.chain(gauges.iter().map(|gauge| (MetricKind::Gauge, gauge.name())));
    let durations = endings.map(|ending| (MetricKind::Histogram, Duration::of(dialect, kind, ending).name()));
    let mut seen = BTreeSet::new();
    for (kind, series) in series.chain(durations) {
        let mut parts = series.split(';');
        let name = parts.next().expect("a name");
        let metric = METRICS.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("{series}"));
        let labels: Vec<&str> = parts.map(|label| label.split_once('=').expect("a label").0).collect();
        assert_eq!((metric.kind, metric.labels), (kind, &labels[..]), "{series}");
        seen.insert(name.to_owned());
    }
    assert_eq!(seen.len(), METRICS.len(), "each metric has a series");
}
