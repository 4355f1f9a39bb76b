//! A collector that is absent or hangs: it costs no request, and no memory.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use collector::Collector;
use tmq_load::client::Client;
use tmq_load::latency::Latencies;

use super::{Stack, consumer};

/// The requests that are sent while the collector takes nothing: each makes three spans.
const REQUESTS_SENT: usize = 5_000;

/// What Envoy may hold for a collector, in messages: `max_requests` of its cluster, and as many that wait.
const HELD: u64 = 16;

/// Requests pass, and neither Envoy nor the broker grows with what they cannot send.
async fn nothing_suffers(collector: SocketAddr) {
    let stack = Stack::start(collector, 100).await;
    let client = Client::new(stack.envoy.guarded(), Latencies::new().into());
    let id = consumer(&client).await;
    let send = async |count: usize| {
        let one = async || {
            for _ in 0..count / 20 {
                client.pull(&id, 1, Duration::ZERO).await.unwrap();
            }
        };
        tokio::join!(
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one(),
            one()
        );
    };
    let resident = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
        status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
    };
    let both = || resident(stack.envoy.pid()) + resident(stack.broker.pid());
    // Until every queue on the way is full.
    send(REQUESTS_SENT).await;
    let before = both();
    send(REQUESTS_SENT).await;
    for gauge in ["upstream_rq_active", "upstream_rq_pending_active"] {
        let held = stack.envoy.stat(&format!("cluster.otel-collector.{gauge}")).await.unwrap();
        assert!(held <= HELD, "{gauge} is {held}");
    }
    let grown = both().saturating_sub(before);
    // 15,000 spans of a KiB each on the wire, some four of them in memory, would be 60 MiB.
    assert!(grown < 16 << 20, "{grown} bytes more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_collector_costs_no_request_and_no_memory() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    nothing_suffers(nobody).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_costs_no_request_and_no_memory() {
    let collector = Collector::hanging().await.unwrap();
    nothing_suffers(collector.address()).await;
    assert!(collector.messages() > 0, "it was asked");
}
