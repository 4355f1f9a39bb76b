//! Policies and modules that change under load.
//!
//! The load is on kept-alive connections to every worker, each of which sends one request after the other. A worker
//! keeps its connections, so what all of them are answered by, every worker serves.

mod broken;
mod stand;

use e2e::client::Http1Client;
use e2e::gateway::WORKERS;
use e2e::request::Request;
use stack::{copy_of_module, until, wasm};
use tempfile::TempDir;

use broken::BROKEN;
use stand::Stand;

/// Renames of the long run.
const RENAMES: u64 = 1_000;
/// Every so many renames bring a broken policy.
const BROKEN_EVERY: u64 = 10;
/// Renames after which Envoy has what it needs: from here on its memory must not grow.
const WARM_UP: u64 = 200;
/// What Envoy's memory may grow by after that. A policy of the stand's that is not given back takes some 60 KiB of each
/// worker: 720 of them are 90 MiB.
const GROWTH: u64 = 32 << 20;

const REJECTED: &str = "extension_config_discovery.http_filter.ackguard.update_rejected";
/// Counts the files that Envoy could not read.
const UNREADABLE: &str = "extension_config_discovery.http_filter.ackguard.update_failure";
/// Virtual machines that Envoy has made.
const MADE: &str = "wasm.envoy.wasm.runtime.v8.created";

#[tokio::test]
async fn a_policy_changes_a_thousand_times_under_load_and_no_request_fails() {
    let mut stand = Stand::start().await;
    let mut refused = 0;
    let mut size = None;
    for rename in 0..RENAMES {
        if rename % BROKEN_EVERY == BROKEN_EVERY - 1 {
            let kind = &BROKEN[refused % BROKEN.len()];
            let version = stand.version + 1;
            stand.deliver(&(kind.put)(stand.policy(version), rename));
            refused += 1;
            stand.gateway.envoy.stat_reaches(REJECTED, refused as u64).await.expect(kind.what);
            // Whoever would serve it has had the time to: the old one is in force.
            stand.load.another_round().await.expect("the load goes on");
        } else {
            stand.change_policy().await;
        }
        stand.check_served(&format!("rename {rename}")).await;
        if rename == WARM_UP {
            size = stand.gateway.envoy.resident_bytes();
        }
    }
    let (size, now) = (size.expect("Envoy runs"), stand.gateway.envoy.resident_bytes().expect("Envoy runs"));
    assert!(now < size + GROWTH, "{size} bytes after {WARM_UP} renames, {now} after {RENAMES}");
    assert_eq!(stand.gateway.stat(REJECTED).await, refused as u64);
    let counted = async |result| stand.gateway.count(&format!("ackguard_policy_reloads_total;result={result}")).await;
    assert_eq!((counted("accepted").await, counted("refused").await), (stand.version, refused as u64));
    check_faults(&stand, refused).await;
    println!("{RENAMES} renames, {refused} of them refused; {} MiB, then {} MiB", size >> 20, now >> 20);
    stand.finish().await;
}

/// Checks that the log has every fault of every one of `refused` broken policies.
async fn check_faults(stand: &Stand, refused: usize) {
    let times = refused / BROKEN.len();
    for fault in BROKEN.iter().flat_map(|kind| kind.faults) {
        let line = format!("ackguard: {fault}");
        until(&line, async || {
            let log = stand.gateway.envoy.log();
            (log.lines().filter(|logged| logged.ends_with(&line)).count() == times).then_some(())
        })
        .await
        .expect("each fault once for each broken policy");
    }
}

#[tokio::test]
async fn a_file_that_is_no_resource_leaves_the_policy_in_force() {
    let mut stand = Stand::start().await;
    let whole = stand.policy(stand.version + 1).extension().expect("a configuration with ECDS");
    for (number, text) in ["", "version_info: [", &whole[..whole.len() / 2]].into_iter().enumerate() {
        stand.gateway.envoy.deliver_text(text).expect("a file");
        stand.gateway.envoy.stat_reaches(UNREADABLE, number as u64 + 1).await.expect("a file that cannot be read");
        stand.load.another_round().await.expect("the load goes on");
        stand.check_served(text).await;
    }
    stand.change_policy().await;
    stand.finish().await;
}

#[tokio::test]
async fn a_new_module_takes_over_under_load_and_no_request_fails() {
    let mut stand = Stand::start().await;
    let folder = TempDir::new().expect("a temporary folder");
    let module = std::fs::read(wasm()).expect("the built filter");
    for number in 0..5 {
        let made = stand.gateway.stat(MADE).await;
        let copy = folder.path().join(format!("{number}.wasm"));
        std::fs::write(&copy, copy_of_module(&module, &number.to_string())).expect("a temporary file");
        stand.change_module(&copy).await;
        stand.check_served(&format!("module {number}")).await;
        let machines = stand.gateway.stat(MADE).await - made;
        assert!(machines > u64::from(WORKERS), "{machines} new machines: the main thread's, and one for each worker");
        // What a new module remembers stands a new policy, too.
        stand.change_policy().await;
    }
    stand.finish().await;
}

#[tokio::test]
async fn a_request_that_began_before_a_change_ends_as_it_began() {
    let mut stand = Stand::start().await;
    let folder = TempDir::new().expect("a temporary folder");
    let copy = folder.path().join("copy.wasm");
    let module = std::fs::read(wasm()).expect("the built filter");
    std::fs::write(&copy, copy_of_module(&module, "copy")).expect("a temporary file");
    let request = Request::subscribe("slow").body(r#"{"topic":"slow","ackTimeout":0,"deadLetterTopic":"d"}"#);
    let (begin, end) = request.split_at(request.len() - 20);

    for change_module in [false, true] {
        let began_with = stand.version;
        let mut clients = Vec::new();
        for _ in 0..8 {
            let mut client = Http1Client::open(stand.gateway.envoy.guarded()).await;
            client.send(begin).await;
            clients.push(client);
        }
        // Streamed, the upstream sees the heads of all of them before the bodies are whole.
        let upstream = &stand.gateway.upstream;
        until("eight requests under way", async || (upstream.waiting(b"/groups/slow/") == 8).then_some(()))
            .await
            .expect("the gateway has the requests");
        if change_module {
            stand.change_module(&copy).await;
        } else {
            stand.change_policy().await;
        }
        for mut client in clients {
            client.send(end).await;
            let response = client.response().await;
            let told = format!("clamp; field=ackTimeout; from=0; to=10000; rule=defaults; policy={began_with}");
            assert_eq!((response.head.status(), response.header("x-ackguard")), (200, Some(told)));
        }
    }
    stand.finish().await;
}
