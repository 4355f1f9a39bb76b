//! `Content-Encoding`: compressed bodies, and those that only say so.

use std::path::Path;

use axum::http::Method;
use serde_json::json;
use tmq_broker::Semantics::Fixed;
use tmq_broker::{DiskConfig, StorageConfig};

use crate::client::{Answer, Broker, bodies};

const PUBLISH: &str = "/topics/orders/messages";

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 0).unwrap()
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

async fn post(broker: &Broker, path: &str, encoding: &str, body: Vec<u8>) -> Answer {
    broker.send_with(Method::POST, path, &[("content-encoding", encoding)], body).await
}

fn publish(body: &str) -> Vec<u8> {
    json!({ "messages": [{ "body": body }] }).to_string().into_bytes()
}

#[tokio::test]
async fn a_publish_is_read_in_the_encoding_that_it_states() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    post(&broker, PUBLISH, "zstd", zstd(&publish("a"))).await.ok();
    post(&broker, PUBLISH, "Snappy", snappy(&publish("b"))).await.ok();
    post(&broker, PUBLISH, "identity", publish("c")).await.ok();
    // Frames may follow one another, and need not state their size.
    let (head, tail) = (publish("d"), b"  ".to_vec());
    let streamed = zstd::stream::encode_all(&head[..], 0).unwrap();
    post(&broker, PUBLISH, "zstd", [streamed, zstd(&tail)].concat()).await.ok();

    let half = json!({ "half": true, "messages": [{ "body": "e" }] }).to_string();
    let begun = post(&broker, PUBLISH, "zstd", zstd(half.as_bytes())).await.ok();
    let commit = format!("/transactions/{}:commit", begun["transactionId"].as_str().unwrap());
    post(&broker, &commit, "zstd", Vec::new()).await.ok();

    let consumer = broker.consumer(json!({})).await;
    let pulled = post(&broker, &format!("{consumer}:pull"), "snappy", snappy(b"{}")).await.ok();
    assert_eq!(bodies(pulled["messages"].as_array().unwrap()), ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn what_is_not_of_the_stated_encoding_is_refused() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() - 3);
        bytes
    };
    for (encoding, body) in [
        ("zstd", publish("a")),
        ("zstd", snappy(&publish("a"))),
        ("zstd", cut(zstd(&publish("a")))),
        ("zstd", [zstd(&publish("a")), vec![0; 9]].concat()),
        ("snappy", publish("a")),
        ("snappy", cut(snappy(&publish("a")))),
        // It states 4 MiB less one byte, and has none.
        ("snappy", vec![0xff, 0xff, 0xff, 0x01]),
    ] {
        let answer = post(&broker, PUBLISH, encoding, body).await;
        answer.refused(400, "InvalidArgument", Some("Content-Encoding"));
    }
    // The encoding is right, and what it holds is not.
    post(&broker, PUBLISH, "zstd", zstd(b"[]")).await.refused(400, "InvalidArgument", None);
    assert_eq!(broker.publish(1).await["results"][0]["offset"], 0, "nothing was published");
}

#[tokio::test]
async fn a_body_that_is_too_large_once_decompressed() {
    let broker = Broker::start_with(Fixed, |config| config.max_body_bytes = 10_000).await;
    broker.orders(1, 0).await;
    let bomb = publish(&"x".repeat(3 << 20));
    for (encoding, body) in [
        ("zstd", zstd(&bomb)),
        ("zstd", zstd::stream::encode_all(&bomb[..], 0).unwrap()),
        ("snappy", snappy(&bomb)),
        ("identity", bomb.clone()),
    ] {
        post(&broker, PUBLISH, encoding, body).await.refused(413, "MessageTooLarge", Some("body"));
    }
    let largest = publish(&"x".repeat(10_000 - publish("").len()));
    for (encoding, body) in [("zstd", zstd(&largest)), ("snappy", snappy(&largest))] {
        post(&broker, PUBLISH, encoding, body).await.ok();
    }
}

#[tokio::test]
async fn another_encoding_is_answered_with_those_that_there_are() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    for encoding in ["gzip", "br", "zstd, snappy", "zstd;q=1", ""] {
        let answer = post(&broker, PUBLISH, encoding, publish("a")).await;
        answer.refused(415, "UnsupportedEncoding", Some("Content-Encoding"));
        assert_eq!(answer.headers["accept-encoding"], "zstd, snappy, identity");
    }
    let twice = [("content-encoding", "zstd"), ("content-encoding", "zstd")];
    let answer = broker.send_with(Method::POST, PUBLISH, &twice, zstd(&zstd(&publish("a")))).await;
    answer.refused(415, "UnsupportedEncoding", Some("Content-Encoding"));
}

/// The bytes of all files of a directory and of those in it.
fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

#[tokio::test]
async fn messages_are_kept_as_compressed_as_they_came() {
    const MESSAGE: usize = 1 << 20;
    let message = publish(&"x".repeat(MESSAGE));
    for (encoding, body, compressed) in
        [("identity", message.clone(), false), ("zstd", zstd(&message), true), ("snappy", snappy(&message), true)]
    {
        let directory = tempfile::tempdir().unwrap();
        let disk = DiskConfig::new(directory.path().to_owned());
        let broker = Broker::start_with(Fixed, |config| config.storage = StorageConfig::Disk(disk)).await;
        broker.orders(1, 0).await;
        let before = size(directory.path());
        post(&broker, PUBLISH, encoding, body).await.ok();
        let grown = size(directory.path()) - before;
        assert_eq!(grown < MESSAGE as u64 / 4, compressed, "{encoding}: {grown} bytes");
        let consumer = broker.consumer(json!({})).await;
        assert_eq!(broker.pull(&consumer, json!({})).await[0]["body"].as_str().unwrap().len(), MESSAGE);
    }
}
