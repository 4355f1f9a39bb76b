//! What a crash and a failing disk leave in the files: cut where that is safe, refused where it is not.

use std::fs::{self, OpenOptions};
use std::io::Write;

use rustix::process::Signal;
use serde_json::json;

use crate::client::{bodies, receipts};
use crate::stand::{Stand, flip};

#[tokio::test]
async fn a_torn_tail_of_the_journal_is_cut() {
    let mut stand = Stand::new(&[]);
    stand.orders(1, 3).await;
    stand.end(Signal::KILL);
    let journal = stand.files("journal", ".wal").pop().unwrap();
    let whole = fs::read(&journal).unwrap();
    let torn = &whole[whole.len() / 2..][..40];
    OpenOptions::new().append(true).open(&journal).unwrap().write_all(torn).unwrap();
    stand.start();
    assert_eq!(stand.publish_one("after").await, 200);
    let said = stand.end(Signal::KILL);
    assert!(said.contains("torn"), "{said}");
    stand.start();
    let consumer = stand.consumer(json!({})).await;
    assert_eq!(bodies(&stand.pull(&consumer, json!({})).await), ["after", "m0", "m1", "m2"]);
}

#[tokio::test]
async fn a_flipped_bit_in_the_journal_is_not_passed_over() {
    let mut stand = Stand::new(&[]);
    stand.orders(1, 0).await;
    for body in ["one", "two", "three"] {
        assert_eq!(stand.publish_one(body).await, 200);
    }
    stand.end(Signal::KILL);
    let journal = stand.files("journal", ".wal").pop().unwrap();
    let at = fs::read(&journal).unwrap().windows(3).position(|bytes| bytes == b"one").unwrap();
    flip(&journal, at);
    let said = stand.try_start().unwrap_err();
    let name = journal.file_name().unwrap().to_str().unwrap();
    assert!(said.contains(name) && said.contains("damaged at byte"), "{said}");
    assert_eq!(stand.reconcile().status.code(), Some(2));
    flip(&journal, at);
    stand.start();
    let consumer = stand.consumer(json!({})).await;
    assert_eq!(stand.pull(&consumer, json!({})).await.len(), 3);
}

/// The messages of a damaged block are not delivered and not given up; the others are served.
#[tokio::test]
async fn a_flipped_bit_in_a_segment_hides_its_block_and_is_reconciled() {
    let mut stand = Stand::new(&["--cache", "0"]);
    stand.orders(1, 0).await;
    for body in ["one", "two", "three"] {
        assert_eq!(stand.publish_one(body).await, 200);
    }
    stand.end(Signal::TERM);
    stand.reconciled();
    let segment = stand.files("topics", ".segment").pop().unwrap();
    let at = fs::read(&segment).unwrap().windows(3).position(|bytes| bytes == b"two").unwrap();
    flip(&segment, at);
    let output = stand.reconcile();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("orders/0 offset 1") && said.contains("1 not accounted for"), "{said}");

    stand.start();
    let consumer = stand.consumer(json!({})).await;
    assert_eq!(bodies(&stand.pull(&consumer, json!({})).await), ["one", "three"]);
    stand.end(Signal::KILL);
    flip(&segment, at);
    stand.reconciled();
}

#[tokio::test]
async fn a_missing_index_is_made_again() {
    let mut stand = Stand::new(&["--segment-bytes", "4096"]);
    stand.orders(2, 0).await;
    let body = "x".repeat(1_000);
    for number in 0..30 {
        assert_eq!(stand.publish_one(&format!("{number} {body}")).await, 200);
    }
    stand.end(Signal::TERM);
    let indexes = stand.files("topics", ".index");
    assert!(indexes.len() > 2, "{indexes:?}");
    fs::remove_file(&indexes[0]).unwrap();
    fs::write(&indexes[1], b"garbage").unwrap();
    stand.start();
    let consumer = stand.consumer(json!({})).await;
    assert_eq!(stand.pull(&consumer, json!({ "maxMessages": 100 })).await.len(), 30);
    stand.end(Signal::TERM);
    stand.reconciled();
}

#[tokio::test]
async fn the_snapshot_before_serves_where_the_newest_is_half_written_or_damaged() {
    let mut stand = Stand::new(&["--heartbeat-period", "60000"]);
    stand.orders(1, 4).await;
    let consumer = stand.consumer(json!({ "ackTimeout": 600_000 })).await;
    stand.restart(Signal::TERM);
    let pulled = stand.pull(&consumer, json!({ "maxMessages": 2 })).await;
    stand.post(&format!("{consumer}:ack"), json!({ "receipts": receipts(&pulled)[..1] })).await.ok();
    stand.restart(Signal::TERM);
    assert_eq!(stand.publish_one("last").await, 200);
    let ledger = stand.ledger().await;
    stand.end(Signal::KILL);

    let snapshots = stand.files("snapshots", ".snapshot");
    assert_eq!(snapshots.len(), 2, "{snapshots:?}");
    let newest = snapshots.last().unwrap();
    let whole = fs::read(newest).unwrap();
    // A crash in the middle of writing leaves it under another name.
    fs::write(newest.with_extension("unfinished"), &whole[..whole.len() / 2]).unwrap();
    for damaged in [&whole[..whole.len() - 1], &whole[..whole.len() / 2], &[], &[0; 100]] {
        fs::write(newest, damaged).unwrap();
        stand.start();
        assert_eq!(stand.ledger().await, ledger);
        stand.end(Signal::KILL);
        assert_eq!(stand.files("snapshots", ".unfinished"), [] as [std::path::PathBuf; 0]);
    }
    stand.start();
    let acked = stand.post(&format!("{consumer}:ack"), json!({ "receipts": receipts(&pulled)[1..] })).await.ok();
    assert_eq!(acked["acked"].as_array().unwrap().len(), 1);
    stand.end(Signal::TERM);
    stand.reconciled();
}

/// The journal is not cut before there are two snapshots.
#[tokio::test]
async fn a_damaged_snapshot_that_is_alone_is_done_without() {
    let mut stand = Stand::new(&[]);
    stand.orders(1, 4).await;
    stand.end(Signal::TERM);
    let snapshots = stand.files("snapshots", ".snapshot");
    assert_eq!(snapshots.len(), 1);
    flip(&snapshots[0], 20);
    stand.start();
    let consumer = stand.consumer(json!({})).await;
    assert_eq!(stand.pull(&consumer, json!({})).await.len(), 4);
    stand.end(Signal::TERM);
    stand.reconciled();
}

#[tokio::test]
async fn without_a_whole_snapshot_and_the_journal_before_it_nothing_is_started() {
    let mut stand = Stand::new(&[]);
    stand.orders(1, 4).await;
    for _ in 0..3 {
        assert_eq!(stand.publish_one("more").await, 200);
        stand.restart(Signal::TERM);
    }
    stand.end(Signal::TERM);
    let snapshots = stand.files("snapshots", ".snapshot");
    snapshots.iter().for_each(|path| flip(path, 20));
    let said = stand.try_start().unwrap_err();
    assert!(said.contains(".snapshot: damaged at byte"), "{said}");
    snapshots.iter().for_each(|path| flip(path, 20));
    stand.start();
    assert_eq!(stand.whole_ledger().await["topics"][0]["published"], json!(7));
}
