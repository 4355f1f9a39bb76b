//! The incident in small: consumers that subscribe with an ack timeout of zero, at a broker that loses messages by it.

use std::time::Duration;

use e2e::gateway::{WORKERS, shipped};
use serde_json::Value;
use stack::{Broker, BrokerOptions, Envoy, PATIENCE, Protocol, Workers};
use tmq_load::incident::{Endpoints, Incident, IncidentOptions};
use tmq_load::verdict::{Deviation, deviations};
use tmq_load::workload::Workload;

const MESSAGES: u64 = 2_000;

/// What in the figures is not as it must be, with a change of the shipped policy.
async fn replay(edit: impl FnOnce(&mut Value)) -> Vec<String> {
    let broker = Broker::start(BrokerOptions::default()).await.unwrap_or_else(|failure| panic!("{failure}"));
    let bootstrap = shipped("static.yaml").edit_policy(edit).upstream(broker.address(), Protocol::Http1);
    let envoy = Envoy::start(bootstrap, Workers(WORKERS)).await.unwrap_or_else(|failure| panic!("{failure}"));
    let endpoints = Endpoints { bare: envoy.bare(), guarded: envoy.guarded(), admin: broker.admin() };
    let options = IncidentOptions {
        messages: MESSAGES,
        consumers: 4,
        concurrency: 32,
        workload: Workload::new(1, Duration::from_millis(1)..=Duration::from_millis(5)).expect("a range"),
        time_limit: PATIENCE,
    };
    let incident =
        Incident::replay(endpoints, options, &[], None, |_, _| ()).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(envoy.warnings(), Vec::<String>::new());
    deviations(&incident.result()).iter().map(Deviation::to_string).collect()
}

#[tokio::test]
async fn a_bare_gateway_loses_every_message_and_a_guarded_one_none() {
    assert_eq!(replay(|_| ()).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_gateway_that_only_watches_loses_every_message_too() {
    let lost = replay(|policy| policy["mode"] = "shadow".into()).await;
    assert_eq!(lost, [format!("guarded: lost is {MESSAGES}, expected 0")]);
}
