//! How many messages a second the broker carries, and what one costs it.
//!
//! `cargo run --release -p tmq-broker --example throughput [MESSAGES [CONSUMERS]]`, with the broker built before by
//! `cargo build --release -p tmq-broker`. It starts a broker process, publishes messages of 200 bytes in batches of
//! 500, then pulls and acknowledges them in batches of 16, all over HTTP. The client shares the machine with the
//! broker, so that the rate is what both manage together; the processor times tell them apart.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use procfs::process::Process;
use serde::Deserialize;
use serde_json::{Value, json};

const BATCH: usize = 500;
const PULL: usize = 16;
const BODY_BYTES: usize = 200;
const PARTITIONS: usize = 16;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone)]
struct Http {
    client: Client<HttpConnector, Body>,
    base: String,
}

impl Http {
    async fn post(&self, path: &str, body: String) -> Result<Vec<u8>, Failure> {
        let request = Request::post(format!("{}{path}", self.base)).body(Body::from(body))?;
        let response = self.client.request(request).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes().to_vec();
        if status.is_success() { Ok(bytes) } else { Err(String::from_utf8_lossy(&bytes).into()) }
    }
}

#[derive(Deserialize)]
struct Pulled<'a> {
    #[serde(borrow)]
    messages: Vec<Receipt<'a>>,
}

#[derive(Deserialize)]
struct Receipt<'a> {
    receipt: &'a str,
}

/// A broker process, ended with the run.
struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a process has used: processor time, and memory that is resident.
fn used(process: &Process) -> Result<(Duration, u64), Failure> {
    let stat = process.stat()?;
    let ticks = Duration::from_secs(1) / u32::try_from(procfs::ticks_per_second())?;
    Ok((ticks * u32::try_from(stat.utime + stat.stime)?, stat.rss * procfs::page_size()))
}

struct Phase {
    started: Instant,
    broker: Duration,
    client: Duration,
}

impl Phase {
    fn start(broker: &Process, client: &Process) -> Result<Self, Failure> {
        Ok(Self { started: Instant::now(), broker: used(broker)?.0, client: used(client)?.0 })
    }

    fn report(self, name: &str, messages: usize, broker: &Process, client: &Process) -> Result<(), Failure> {
        let took = self.started.elapsed().as_secs_f64();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / messages as f64;
        let (of_broker, resident) = used(broker)?;
        println!(
            "{name:<12} {:>9.0} messages/s   processor µs a message: broker {:>5.2}, client {:>5.2}   broker's memory {} MiB",
            messages as f64 / took,
            each(of_broker - self.broker),
            each(used(client)?.0 - self.client),
            resident >> 20,
        );
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let messages = arguments.next().transpose()?.unwrap_or(200_000) / BATCH * BATCH;
    let consumers = arguments.next().transpose()?.unwrap_or(8);

    let program = std::env::current_exe()?.with_file_name("../tmq-broker");
    let mut child = Command::new(program)
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()?;
    let stderr = child.stderr.take().ok_or("no stderr")?;
    let broker = Broker(child);
    let mut line = String::new();
    BufReader::new(stderr).read_line(&mut line)?;
    let address = line.split(' ').find_map(|word| word.strip_prefix("broker=")).ok_or("the broker did not start")?;
    let http =
        Http { client: Client::builder(TokioExecutor::new()).build_http(), base: format!("http://{address}/tmq/v1") };
    let (of_broker, of_client) = (Process::new(i32::try_from(broker.0.id())?)?, Process::myself()?);

    let topic = Request::put(format!("{}/topics/t", http.base))
        .body(Body::from(json!({ "partitions": PARTITIONS }).to_string()))?;
    http.client.request(topic).await?;

    let phase = Phase::start(&of_broker, &of_client)?;
    let batch: Vec<Value> = vec![json!({ "body": "x".repeat(BODY_BYTES) }); BATCH];
    let batch = Arc::new(json!({ "messages": batch }).to_string());
    let left = Arc::new(AtomicUsize::new(messages / BATCH));
    let publish = |_| {
        let (http, batch, left) = (http.clone(), Arc::clone(&batch), Arc::clone(&left));
        tokio::spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                http.post("/topics/t/messages", String::clone(&batch)).await?;
            }
            Ok::<(), Failure>(())
        })
    };
    for task in (0..4).map(publish).collect::<Vec<_>>() {
        task.await??;
    }
    phase.report("publish", messages, &of_broker, &of_client)?;

    let mut paths = Vec::new();
    for _ in 0..consumers {
        let subscribed =
            http.post("/groups/g/consumers", json!({ "topic": "t", "ackTimeout": 60_000 }).to_string()).await?;
        let subscribed: Value = serde_json::from_slice(&subscribed)?;
        paths.push(format!("/groups/g/consumers/{}", subscribed["consumerId"].as_str().ok_or("no id")?));
    }
    let phase = Phase::start(&of_broker, &of_client)?;
    let acked = Arc::new(AtomicUsize::new(0));
    let consume = |path: String| {
        let (http, acked) = (http.clone(), Arc::clone(&acked));
        tokio::spawn(async move {
            http.post(&format!("{path}:start"), String::new()).await?;
            loop {
                let bytes = http.post(&format!("{path}:pull"), format!(r#"{{"maxMessages":{PULL}}}"#)).await?;
                let pulled: Pulled<'_> = serde_json::from_slice(&bytes)?;
                if pulled.messages.is_empty() {
                    return Ok::<(), Failure>(());
                }
                let receipts: Vec<&str> = pulled.messages.iter().map(|message| message.receipt).collect();
                http.post(&format!("{path}:ack"), json!({ "receipts": receipts }).to_string()).await?;
                acked.fetch_add(receipts.len(), Ordering::Relaxed);
            }
        })
    };
    for task in paths.into_iter().map(consume).collect::<Vec<_>>() {
        task.await??;
    }
    let acked = acked.load(Ordering::Relaxed);
    phase.report("pull and ack", acked, &of_broker, &of_client)?;
    if acked == messages { Ok(()) } else { Err(format!("{acked} of {messages} messages were acknowledged").into()) }
}
