//! A disk that is full, a directory that is in use or that is none.

use std::path::Path;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::json;

use crate::program::{Program, run};
use crate::stand::Stand;

/// A limit on the size of files stands for a disk without room: the writes fail in the same way.
fn limit_files(program: &Program, bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(Pid::from_child(&program.child)), Resource::Fsize, limit).unwrap();
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_then_served_again() {
    let mut stand = Stand::new(&[]);
    stand.orders(1, 1).await;
    let consumer = stand.consumer(json!({ "ackTimeout": 600_000 })).await;
    let held = stand.pull(&consumer, json!({})).await;
    let journal = stand.files("journal", ".wal").pop().unwrap().metadata().unwrap().len();
    limit_files(stand.program(), Some(journal + 200));
    let (mut answered, mut refused) = (0, 0);
    while refused < 5 {
        match stand.publish_one(&"x".repeat(100)).await {
            200 => answered += 1,
            status => {
                assert_eq!(status, 503);
                refused += 1;
            }
        }
        assert!(answered < 10, "it has no room for more");
    }
    let ack = json!({ "receipts": [held[0]["receipt"]] });
    let refusal = stand.post(&format!("{consumer}:ack"), ack.clone()).await;
    refusal.refused(503, "Unavailable", None);
    assert!(refusal.text.contains("room"), "{refusal:?}");
    assert!(stand.get(&consumer).await.status.is_success(), "what needs no disk is answered");

    limit_files(stand.program(), None);
    let acked = async { while stand.post(&format!("{consumer}:ack"), ack.clone()).await.status != 200 {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), acked).await.expect("it serves again");
    assert_eq!(stand.publish_one("room").await, 200);
    stand.restart(Signal::KILL);
    let ledger = stand.ledger().await;
    assert_eq!(ledger["acked"], json!(1));
    // A publish that was answered 503 may have happened.
    let published = ledger["published"].as_u64().unwrap();
    assert!((2 + answered..=2 + answered + refused).contains(&published), "{published}");
    stand.end(Signal::TERM);
    stand.reconciled();
}

#[tokio::test]
async fn one_process_at_a_time_uses_a_directory() {
    let mut stand = Stand::new(&[]);
    let dir = stand.path().to_str().unwrap().to_owned();
    let second = Program::try_start(&["--data", &dir]).err().unwrap();
    assert!(second.contains("--data") && second.contains("another process uses it"), "{second}");
    let output = stand.reconcile();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    stand.end(Signal::KILL);
    stand.reconciled();
}

#[test]
fn what_is_no_data_directory_is_not_reconciled() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path(), Path::new("/nonexistent")] {
        let output = run(&["reconcile", "--data", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("no broker has kept its messages there"));
    }
    let said = Program::try_start(&["--data", "/proc/nothing"]).err().unwrap();
    assert!(said.contains("--data /proc/nothing"), "{said}");
}
