//! The incident, small, against a real broker: what its ledger says of consumers that ask for no time to acknowledge.

use std::cell::Cell;
use std::time::Duration;

use stack::{Broker, BrokerOptions, Semantics};
use tmq_load::incident::{ACK_TIMEOUT, Endpoints, Incident, IncidentOptions, MAX_RECONSUME_TIMES};
use tmq_load::latency::Operation;
use tmq_load::output;
use tmq_load::report::Report;
use tmq_load::result::IncidentResult;
use tmq_load::run::{RunError, RunOptions, run};
use tmq_load::verdict::{Deviation, Side, deviations};
use tmq_load::workload::Workload;

const MESSAGES: u64 = 400;

async fn broker(semantics: Semantics) -> Broker {
    Broker::start(BrokerOptions { semantics, ..BrokerOptions::default() }).await.unwrap()
}

fn short_work() -> Workload {
    Workload::new(7, Duration::from_millis(1)..=Duration::from_millis(5)).unwrap()
}

/// A run straight at `broker`, with no gateway between.
fn options(broker: &Broker, ack_timeout: Duration) -> RunOptions {
    RunOptions {
        gateway: broker.address(),
        admin: broker.admin(),
        topic: "orders".to_owned(),
        group: "workers".to_owned(),
        messages: MESSAGES,
        consumers: 3,
        concurrency: 16,
        ack_timeout,
        max_reconsume_times: MAX_RECONSUME_TIMES,
        workload: short_work(),
        time_limit: Duration::from_secs(60),
        processes: Vec::new(),
        spans: None,
    }
}

fn small() -> IncidentOptions {
    IncidentOptions {
        messages: MESSAGES,
        consumers: 3,
        concurrency: 16,
        workload: short_work(),
        ..IncidentOptions::default()
    }
}

/// The stack of a gateway that lets everything pass.
fn unguarded(broker: &Broker) -> Endpoints {
    Endpoints { bare: broker.address(), guarded: broker.address(), admin: broker.admin() }
}

#[tokio::test]
async fn without_time_to_acknowledge_every_message_is_worked_on_four_times_and_lost() {
    let broker = broker(Semantics::Legacy).await;
    let outcome = run(&options(&broker, ACK_TIMEOUT), |_| {}).await.unwrap();
    let deliveries = MESSAGES * u64::from(1 + MAX_RECONSUME_TIMES);
    assert_eq!(outcome.ledger.published, MESSAGES);
    assert_eq!(outcome.ledger.archived, MESSAGES);
    assert_eq!(outcome.ledger.acked, 0);
    assert_eq!(outcome.ledger.redeliveries, deliveries - MESSAGES);
    assert_eq!(outcome.tally.deliveries, deliveries);
    assert_eq!(outcome.tally.acks_refused, deliveries, "every ack comes too late");
    assert_eq!(outcome.subscription.ackguard, None);
}

#[tokio::test]
async fn with_time_to_acknowledge_every_message_is_acked_once() {
    let broker = broker(Semantics::Legacy).await;
    let outcome = run(&options(&broker, Duration::from_secs(30)), |_| {}).await.unwrap();
    assert_eq!(outcome.ledger.acked, MESSAGES);
    assert_eq!(outcome.ledger.lost(), 0);
    assert_eq!(outcome.ledger.deliveries, MESSAGES);
    assert_eq!(outcome.tally.acks_accepted, MESSAGES);
    assert_eq!(outcome.subscription.ack_timeout, Duration::from_secs(30));
    assert!(outcome.latencies.summary(Operation::Ack).is_some());
}

#[tokio::test]
async fn the_timeline_adds_up_at_every_moment() {
    let broker = broker(Semantics::Legacy).await;
    let observed = Cell::new(0);
    let options = options(&broker, Duration::from_secs(30));
    let outcome = run(&options, |_| observed.set(observed.get() + 1)).await.unwrap();
    assert_eq!(outcome.timeline.len(), observed.get() + 1, "all that was observed, and the end");
    for sample in &outcome.timeline {
        let ledger = sample.ledger;
        assert_eq!(ledger.published, ledger.ready + ledger.in_flight + ledger.settled(), "{sample:?}");
    }
    assert!(outcome.timeline.is_sorted_by_key(|sample| sample.at));
    assert!(outcome.timeline.last().unwrap().ledger.is_drained(MESSAGES));
}

#[tokio::test]
async fn a_gateway_that_lets_everything_pass_does_not_show_the_incident() {
    let broker = broker(Semantics::Legacy).await;
    let incident = Incident::replay(unguarded(&broker), small(), &[], None, |_, _| {}).await.unwrap();
    let deviations = deviations(&incident.result());
    let said: Vec<_> = deviations.iter().map(Deviation::to_string).collect();
    assert_eq!(said, [format!("guarded: lost is {MESSAGES}, expected 0")]);

    let folder = tempfile::tempdir().unwrap();
    let report = Report { incident: &incident, policy: None, deviations: &deviations };
    let written = output::write(&folder.path().join("demo"), &report).unwrap();
    let result: IncidentResult = serde_json::from_slice(&std::fs::read(&written.result).unwrap()).unwrap();
    assert_eq!(result, incident.result());
    let page = std::fs::read_to_string(&written.report).unwrap();
    assert!(page.contains(&said[0]), "the page says so, too");
}

#[tokio::test]
async fn a_broker_that_refuses_the_setting_is_named_with_its_reason() {
    let broker = broker(Semantics::Fixed).await;
    let fault = Incident::replay(unguarded(&broker), small(), &[], None, |_, _| {}).await.unwrap_err();
    assert_eq!(fault.side, Side::Bare);
    let said = fault.to_string();
    assert!(said.contains("subscribe at http://") && said.contains("refused with 400: InvalidArgument"), "{said}");
    assert!(said.contains("ackTimeout"), "{said}");
}

#[tokio::test]
async fn consumers_that_are_too_slow_end_the_run_with_the_ledgers_figures() {
    let broker = broker(Semantics::Legacy).await;
    let hour = Duration::from_secs(3600);
    let options = RunOptions {
        workload: Workload::new(7, hour..=hour).unwrap(),
        time_limit: Duration::ZERO,
        ..options(&broker, hour)
    };
    let fault = run(&options, |_| {}).await.unwrap_err();
    assert!(matches!(fault, RunError::NotDrained { messages: MESSAGES, .. }), "{fault:?}");
}

#[tokio::test]
async fn a_broker_that_dies_ends_the_run() {
    let broker = broker(Semantics::Legacy).await;
    let options = options(&broker, Duration::from_secs(30));
    let broker = Cell::new(Some(broker));
    let fault = run(&options, |_| drop(broker.take())).await.unwrap_err();
    assert!(matches!(fault, RunError::Client(_)), "{fault:?}");
}

#[tokio::test]
async fn a_run_without_consumers_is_refused_by_name() {
    let broker = broker(Semantics::Legacy).await;
    let fault = run(&RunOptions { consumers: 0, ..options(&broker, ACK_TIMEOUT) }, |_| {}).await.unwrap_err();
    assert_eq!(fault.to_string(), "consumers is 0, expected at least 1");
}
