//! What clients cost the broker's process that only wait, or that do not take what they ask for.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use axum::http::Method;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::request;
use crate::program::Program;

/// Between two looks at a condition that is awaited.
const LOOK: Duration = Duration::from_millis(50);
/// When a condition is given up: a minute's wait of the polls, twice.
const DEADLINE: Duration = Duration::from_secs(120);

/// The resident memory of a broker, in bytes.
fn resident(broker: &Program) -> u64 {
    let process = procfs::process::Process::new(broker.child.id().cast_signed()).unwrap();
    process.status().unwrap().vmrss.unwrap() * 1_024
}

/// Each end of a connection is an open file, and this process has one end of all.
fn raise_file_limit(files: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    assert!(limit.maximum.is_none_or(|most| most >= files), "this test needs {files} open files: {limit:?}");
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

async fn post(broker: &Program, path: &str, body: Value) -> Value {
    request(broker.listen, Method::POST, &format!("/tmq/v1{path}"), body.to_string()).await.ok()
}

/// Consumers of `orders`, started, ten in each group: their paths.
async fn consumers(broker: &Program, count: usize) -> Vec<String> {
    let mut paths = Vec::new();
    for number in 0..count {
        let group = format!("/groups/g{}/consumers", number / 10);
        let subscribed = post(broker, &group, json!({ "topic": "orders" })).await;
        let path = format!("{group}/{}", subscribed["consumerId"].as_str().unwrap());
        post(broker, &format!("{path}:start"), json!({})).await;
        paths.push(path);
    }
    paths
}

async fn waiting(broker: &Program, consumers: &[String]) -> u64 {
    let mut waiting = 0;
    for consumer in consumers {
        let described = request(broker.listen, Method::GET, &format!("/tmq/v1{consumer}"), String::new()).await.ok();
        waiting += described["waitingPulls"].as_u64().unwrap();
    }
    waiting
}

/// Polls, one after the other, on a connection of its own.
async fn keep_polling(mut stream: TcpStream, consumer: String) -> io::Result<()> {
    let body = r#"{"waitMs":60000}"#;
    let poll =
        format!("POST /tmq/v1{consumer}:pull HTTP/1.1\r\nhost: b\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    loop {
        stream.write_all(poll.as_bytes()).await?;
        let mut answer = Vec::with_capacity(512);
        while !answer.ends_with(b"]}") {
            if stream.read_buf(&mut answer).await? == 0 {
                return Ok(());
            }
        }
    }
}

#[tokio::test]
async fn ten_thousand_idle_long_polls_cost_little_each() {
    const POLLS: u64 = 10_000;
    raise_file_limit(POLLS + 1_000);
    let broker = Program::start(&[]);
    request(broker.listen, Method::PUT, "/tmq/v1/topics/orders", "{}".to_owned()).await.ok();
    let consumers = consumers(&broker, 100).await;
    let before = resident(&broker);
    let mut polls = tokio::task::JoinSet::new();
    for consumer in consumers.iter().cycle().take(POLLS as usize) {
        let stream = TcpStream::connect(broker.listen).await.unwrap();
        polls.spawn(keep_polling(stream, consumer.clone()));
    }
    let started = Instant::now();
    while waiting(&broker, &consumers).await < POLLS {
        assert!(started.elapsed() < DEADLINE, "{} polls wait", waiting(&broker, &consumers).await);
        tokio::time::sleep(LOOK).await;
    }
    let each = resident(&broker).saturating_sub(before) / POLLS;
    assert!(each < 64 << 10, "{each} bytes for each poll");
    // All the while it serves.
    let message = json!({ "messages": [{ "body": "x" }] });
    assert_eq!(post(&broker, "/topics/orders/messages", message).await["results"][0]["duplicate"], false);
    polls.shutdown().await;
}

#[tokio::test]
async fn a_client_that_takes_no_answer_costs_one_answer() {
    // Legacy: what was pulled with an ack timeout of 0 is ready at once for the next pull.
    let broker = Program::start(&["--semantics", "legacy", "--answer-timeout", "1000"]);
    request(broker.listen, Method::PUT, "/tmq/v1/topics/orders", r#"{"partitions":1}"#.to_owned()).await.ok();
    for _ in 0..4 {
        post(&broker, "/topics/orders/messages", json!({ "messages": [{ "body": "x".repeat(1 << 20) }] })).await;
    }
    let settings = json!({ "topic": "orders", "ackTimeout": 0, "maxReconsumeTimes": 1_000 });
    let subscribed = post(&broker, "/groups/g/consumers", settings).await;
    let path = format!("/groups/g/consumers/{}", subscribed["consumerId"].as_str().unwrap());
    post(&broker, &format!("{path}:start"), json!({})).await;
    post(&broker, &format!("{path}:pull"), json!({})).await;

    let before = resident(&broker);
    let mut stream = std::net::TcpStream::connect(broker.listen).unwrap();
    let pull = format!("POST /tmq/v1{path}:pull HTTP/1.1\r\nhost: b\r\ncontent-length: 2\r\n\r\n{{}}");
    // 200 answers of 4 MiB each.
    stream.write_all(pull.repeat(200).as_bytes()).unwrap();
    stream.set_nonblocking(true).unwrap();
    let (mut most, started) = (0, Instant::now());
    // Written on, until the broker has ended the connection.
    while !matches!(stream.write(b"x"), Err(error) if error.kind() != io::ErrorKind::WouldBlock) {
        most = most.max(resident(&broker));
        assert!(started.elapsed() < DEADLINE, "the connection is not ended");
        tokio::time::sleep(LOOK).await;
    }
    let cost = most.saturating_sub(before);
    assert!(cost < 32 << 20, "{cost} bytes");
}
