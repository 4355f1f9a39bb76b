//! Traffic without an end, against a real broker: what its ledger says, and what happens when it is away.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use stack::{Broker, BrokerOptions, until};
use tmq_load::client::{Admin, GroupLedger};
use tmq_load::traffic::{Session, SessionError, TrafficOptions, traffic};
use tmq_load::workload::Workload;

async fn broker(options: BrokerOptions) -> Broker {
    Broker::start(options).await.unwrap()
}

fn options(gateway: SocketAddr, ack_timeout: Duration) -> TrafficOptions {
    TrafficOptions {
        gateway: gateway.to_string(),
        tenant: "checkout".to_owned(),
        topic: "orders".to_owned(),
        group: "workers".to_owned(),
        rate: 100,
        session: Duration::from_millis(300),
        consumers: 2,
        concurrency: 16,
        ack_timeout,
        max_reconsume_times: 3,
        workload: Workload::new(7, Duration::from_millis(1)..=Duration::from_millis(5)).unwrap(),
        spans: None,
    }
}

/// Runs the traffic until `enough` says so of all that came to its end.
async fn sessions_until(
    options: &TrafficOptions,
    enough: impl Fn(&[Result<Session, SessionError>]) -> bool,
) -> Vec<Result<Session, SessionError>> {
    let ended = RefCell::new(Vec::new());
    let done = until("enough sessions", async || enough(&ended.borrow()).then_some(()));
    tokio::select! {
        never = traffic(options, |session| ended.borrow_mut().push(session)) => match never {},
        done = done => done.unwrap(),
    }
    ended.into_inner()
}

async fn ledger(admin: SocketAddr) -> GroupLedger {
    Admin::new(admin).group_ledger("orders", "workers").await.unwrap()
}

#[tokio::test]
async fn every_session_joins_anew_and_loses_nothing_that_it_was_given_time_for() {
    let broker = broker(BrokerOptions::default()).await;
    let options = options(broker.address(), Duration::from_secs(30));
    let ended = sessions_until(&options, |ended| ended.len() >= 3).await;
    let sessions: Vec<_> = ended.into_iter().map(Result::unwrap).collect();
    assert_ne!(sessions[0].subscription.consumer_id, sessions[1].subscription.consumer_id);
    for session in &sessions {
        assert!(session.published > 0, "{session:?}");
        assert_eq!(session.tally.acks_accepted, session.tally.deliveries, "{session:?}");
    }
    let ledger = ledger(broker.admin()).await;
    assert!(ledger.acked >= sessions.iter().map(|session| session.tally.deliveries).sum(), "{ledger:?}");
    assert_eq!((ledger.lost(), ledger.redeliveries), (0, 0), "{ledger:?}");
}

#[tokio::test]
async fn consumers_without_time_lose_what_they_are_given() {
    let broker = broker(BrokerOptions::default()).await;
    let options = options(broker.address(), Duration::ZERO);
    let ended = sessions_until(&options, |ended| ended.len() >= 2).await;
    let refused: u64 = ended.iter().map(|session| session.as_ref().unwrap().tally.acks_refused).sum();
    let ledger = ledger(broker.admin()).await;
    assert!(refused > 0);
    assert!(ledger.archived > 0 && ledger.acked == 0, "{ledger:?}");
}

#[tokio::test]
async fn a_broker_that_was_away_is_used_again() {
    let first = broker(BrokerOptions::default()).await;
    let (listen, admin) = (first.address(), first.admin());
    let brokers = RefCell::new(Some(first));
    let options = options(listen, Duration::from_secs(30));
    let ended = RefCell::new(Vec::new());
    let away_and_back = async {
        let happened = |wanted: fn(&Result<Session, SessionError>) -> bool| {
            let ended = &ended;
            async move { until("a session", async || ended.borrow().iter().any(wanted).then_some(())).await.unwrap() }
        };
        happened(Result::is_ok).await;
        drop(brokers.take());
        happened(Result::is_err).await;
        let _again = broker(BrokerOptions { listen, admin, ..BrokerOptions::default() }).await;
        ended.borrow_mut().clear();
        happened(Result::is_ok).await;
        ledger(admin).await
    };
    tokio::select! {
        never = traffic(&options, |session| ended.borrow_mut().push(session)) => match never {},
        ledger = away_and_back => assert!(ledger.acked > 0, "{ledger:?}"),
    }
}

#[tokio::test]
async fn a_gateway_that_nobody_knows_is_named() {
    let options = TrafficOptions {
        gateway: "nowhere.invalid:80".to_owned(),
        ..options(([127, 0, 0, 1], 1).into(), Duration::ZERO)
    };
    let ended = sessions_until(&options, |ended| !ended.is_empty()).await;
    let said = ended[0].as_ref().unwrap_err().to_string();
    assert!(said.starts_with("nowhere.invalid:80 is no address, expected HOST:PORT: "), "{said}");
}
