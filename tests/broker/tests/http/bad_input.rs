//! What is too long, too many, or meant to lead somewhere else: a clear error, and the broker goes on.

use std::path::Path;

use axum::http::Method;
use serde_json::{Value, json};
use tmq_broker::Semantics::Fixed;
use tmq_broker::{DiskConfig, StorageConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Broker, receipts};

/// The status line of the answer to these bytes.
async fn status(broker: &Broker, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(broker.server.listen()).await.unwrap();
    // It may be refused before all of it is sent.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the connection was closed without an answer");
    }
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_text_over_its_limit_is_named() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let consumer = broker.consumer(json!({})).await;
    let publish = |message: Value| ("/topics/orders/messages".to_owned(), json!({ "messages": [message] }));
    let (most, over) = ("x".repeat(256), "x".repeat(257));
    let properties = |count: usize| (0..count).map(|n| (n.to_string(), json!(""))).collect::<Value>();
    let subscribe = |settings: Value| ("/groups/g/consumers".to_owned(), settings);
    let name = |length: usize| "n".repeat(length);
    let settle = |verb: &str, receipts: Value| (format!("{consumer}:{verb}"), json!({ "receipts": receipts }));
    for ((path, body), field) in [
        (publish(json!({ "body": "", "key": over })), "messages[0].key"),
        (publish(json!({ "body": "", "tag": over })), "messages[0].tag"),
        (publish(json!({ "body": "", "idempotencyToken": over })), "messages[0].idempotencyToken"),
        (publish(json!({ "body": "", "properties": properties(65) })), "messages[0].properties"),
        (subscribe(json!({ "topic": "orders", "clientId": over })), "clientId"),
        (subscribe(json!({ "topic": name(129) })), "topic"),
        (subscribe(json!({ "topic": "orders", "deadLetterTopic": name(129) })), "deadLetterTopic"),
        ((format!("/groups/{}/consumers", name(129)), json!({ "topic": "orders" })), "group"),
        ((format!("/topics/{}/messages", name(129)), json!({})), "topic"),
        (settle("ack", json!(["a", over])), "receipts[1]"),
        (settle("reject", json!([over])), "receipts[0]"),
        (settle("heartbeat", json!([over])), "receipts[0]"),
        (settle("ack", json!(vec![""; 10_001])), "receipts"),
        (settle("heartbeat", json!(vec![""; 10_001])), "receipts"),
    ] {
        broker.post(&path, body).await.refused(400, "InvalidArgument", Some(field));
    }
    // What is just within is taken.
    let (path, body) = publish(
        json!({ "body": "", "key": most, "tag": most, "idempotencyToken": most, "properties": properties(64) }),
    );
    broker.post(&path, body).await.ok();
    broker.put(&format!("/topics/{}", name(128)), json!({})).await.ok();
    let (path, body) = settle("ack", json!(vec![most; 10_000]));
    let settled = broker.post(&path, body).await.ok();
    assert_eq!(settled["failed"].as_array().unwrap().len(), 10_000);
}

#[tokio::test]
async fn receipts_that_nobody_gave_settle_nothing() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 1).await;
    let consumer = broker.consumer(json!({ "ackTimeout": 60_000 })).await;
    let held = broker.pull(&consumer, json!({})).await;
    let receipt = receipts(&held)[0];
    let forged = [
        format!("{}{:016x}", &receipt[..16], u64::MAX),
        format!("{:016x}{}", u64::MAX, &receipt[16..]),
        format!("+{}", &receipt[1..]),
        format!(" {receipt}"),
        format!("{receipt}0"),
        receipt[1..].to_owned(),
        "../../etc/passwd".to_owned(),
        "\u{0}".repeat(32),
        "ä".repeat(16),
        String::new(),
    ];
    for (verb, done) in [("ack", "acked"), ("reject", "rejected"), ("heartbeat", "extended")] {
        let settled = broker.post(&format!("{consumer}:{verb}"), json!({ "receipts": forged })).await.ok();
        assert_eq!(settled[done], json!([]));
        for failed in settled["failed"].as_array().unwrap() {
            assert!(["ReceiptExpired", "InvalidArgument"].contains(&failed["code"].as_str().unwrap()), "{failed}");
        }
    }
    assert_eq!(broker.ledger().await["inFlight"], 1);
}

#[tokio::test]
async fn a_path_leads_to_nothing_but_what_it_names() {
    let broker = Broker::start(Fixed).await;
    for (path, code) in [
        ("topics/..", 400),
        ("topics/.", 400),
        ("topics/%2e%2e", 400),
        ("topics/%2E", 400),
        ("topics/..%2f..%2fetc", 400),
        ("topics/a%2fb", 400),
        ("topics/a%5cb", 400),
        ("topics/%252e%252e", 400),
        ("topics/a%00", 400),
        ("topics/a%0a", 400),
        ("topics/a%20", 400),
        ("topics/~", 400),
        ("topics/c:", 400),
        ("topics/\u{ff0e}\u{ff0e}", 400),
        // Two dots, overlong and cut short: that is no UTF-8.
        ("topics/%c0%ae%c0%ae", 404),
        ("topics/%ff", 404),
        ("topics/a%e2%82", 404),
        ("topics/", 400),
        ("topics//a", 404),
        ("/topics/a", 404),
        ("topics/a/", 404),
        ("topics/../topics/a", 404),
        ("../v1/topics/a", 404),
        ("%2e%2e/v1/topics/a", 404),
        ("topics%2fa", 404),
    ] {
        let path = path.replace('\u{ff0e}', "%ef%bc%8e");
        let answer = broker.put(&format!("/{path}"), json!({})).await;
        let (code, name, field) =
            if code == 400 { (400, "InvalidArgument", Some("topic")) } else { (404, "NotFound", None) };
        answer.refused(code, name, field);
    }
    let ledger = broker.admin(Method::GET, "/admin/ledger", "").await.ok();
    assert_eq!(ledger["topics"], json!([]), "none of them made a topic");
    // A name is the same however it is spelled.
    assert_eq!(broker.put("/topics/%6frders", json!({})).await.ok()["topic"], "orders");
    assert_eq!(broker.put("/topics/orders", json!({})).await.status, 200);
}

#[tokio::test]
async fn a_head_that_is_no_http_or_too_large_is_answered() {
    let broker = Broker::start(Fixed).await;
    broker.orders(1, 0).await;
    let get = |path: &[u8], header: &str| {
        [b"GET /tmq/v1/topics/", path, b" HTTP/1.1\r\nhost: b\r\n", header.as_bytes(), b"\r\n"].concat()
    };
    let (long, many) = (format!("x: {}\r\n", "y".repeat(70_000)), "x: y\r\n".repeat(1_000));
    for (request, code) in [
        (get(b"orders/route", ""), "200"),
        (get(b"orders\0/route", ""), "400"),
        (get(b"orders /route", ""), "400"),
        (get(b"orders/route", "x: \0\r\n"), "400"),
        (get(b"orders/route", "content-length: 1\r\ncontent-length: 2\r\n"), "400"),
        (get(b"orders/route", "content-length: -1\r\n"), "400"),
        (get(b"orders/route", "transfer-encoding: gzip\r\n"), "400"),
        (get(b"orders/route", &long), "431"),
        (get(b"orders/route", &many), "431"),
        (get("x".repeat(65_600).as_bytes(), ""), "431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), "400"),
    ] {
        let answer = status(&broker, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
    }
    broker.publish(1).await;
}

#[tokio::test]
async fn a_name_stays_in_the_data_directory() {
    let around = tempfile::tempdir().unwrap();
    let disk = DiskConfig::new(around.path().join("outer/data"));
    std::fs::create_dir_all(&disk.dir).unwrap();
    let broker = Broker::start_with(Fixed, |config| config.storage = StorageConfig::Disk(disk)).await;
    for name in ["..%2f..%2fescaped", "%2e%2e", "..%2fescaped", "a%2f..%2f..%2fescaped", "%2fescaped"] {
        broker.put(&format!("/topics/{name}"), json!({})).await.refused(400, "InvalidArgument", Some("topic"));
    }
    // Names are no paths, whatever they begin and end with.
    for name in ["..a", "...", "-", ".hidden", "a..", "CON"] {
        broker.put(&format!("/topics/{name}"), json!({})).await.ok();
        let publish = json!({ "messages": [{ "body": "x" }] });
        broker.post(&format!("/topics/{name}/messages"), publish).await.ok();
        broker.post(&format!("/groups/{name}/consumers"), json!({ "topic": name })).await.ok();
    }
    broker.server.shutdown().await;
    let found = |directory: &Path| {
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(found(around.path()), ["outer"]);
    assert_eq!(found(&around.path().join("outer")), ["data"]);
}
