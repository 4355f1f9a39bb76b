//! How much the broker carries, what a message costs it, and how it grows.
//!
//! `cargo build --release -p tmq-broker && cargo run --release -p tmq-broker --example benchmark -- --help`
//!
//! It starts broker processes and measures them over HTTP. The client shares the machine with the broker, so that a
//! rate is what both manage together; the processor times tell them apart.

mod client;
mod process;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use client::Connection;
use process::{Broker, own_processor};
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

type Failure = Box<dyn Error + Send + Sync>;

/// The messages of a publish, a pull and an ack.
const BATCH: usize = 16;
/// Of a message's body.
const BODY_BYTES: usize = 200;
const PARTITIONS: usize = 16;
/// Pulls of which the cost is the mean.
const PULLS_MEASURED: usize = 400;

/// Measure the broker that is built beside this program.
#[derive(Parser)]
struct Cli {
    /// Messages of the first measurement: published, pulled and acknowledged
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    messages: usize,

    /// Connections that publish side by side; as many consumers as partitions pull and acknowledge
    #[arg(long, value_name = "N", default_value_t = 16)]
    producers: usize,

    /// The largest backlog, and the messages that a start has to find again
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    backlog: usize,

    /// Where the brokers keep their messages; a temporary directory in it is removed afterwards
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: std::path::PathBuf,
}

#[derive(Deserialize)]
struct Pulled<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    receipt: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscribed {
    consumer_id: String,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let cli = Cli::parse();
    let (messages, producers) = (cli.messages, cli.producers);
    println!("{messages} messages of {BODY_BYTES} bytes published, pulled and acknowledged in batches of {BATCH}");
    println!("{PARTITIONS} partitions, {producers} producers, {PARTITIONS} consumers of one group");
    for (name, arguments) in [
        ("fsync always", &["--fsync", "always"][..]),
        ("fsync interval", &["--fsync", "interval"]),
        ("fsync never", &["--fsync", "never"]),
    ] {
        let data = TempDir::new_in(&cli.dir)?;
        let path = data.path().to_str().ok_or("the directory's name is not UTF-8")?;
        carry(name, Broker::start(&[&["--data", path], arguments].concat())?, &cli).await?;
    }
    carry("in memory", Broker::start(&[])?, &cli).await?;
    growth(&cli).await
}

/// Producers that publish and consumers that pull and acknowledge side by side, until all messages are through.
async fn carry(name: &str, broker: Broker, cli: &Cli) -> Result<(), Failure> {
    let to = broker.address;
    create_topic(to).await?;
    let paths = consumers(to, PARTITIONS).await?;
    let messages = cli.messages / BATCH * BATCH;
    let (unpublished, unacked) = (Arc::new(AtomicUsize::new(messages / BATCH)), Arc::new(AtomicUsize::new(messages)));
    let (started, of_broker, of_client) = (Instant::now(), broker.processor()?, own_processor()?);
    let producers: Vec<_> = (0..cli.producers).map(|_| tokio::spawn(produce(to, Arc::clone(&unpublished)))).collect();
    let consumers: Vec<_> =
        paths.into_iter().map(|path| tokio::spawn(consume(to, path, Arc::clone(&unacked)))).collect();
    let (mut publishes, mut pulls, mut acks) = (Vec::new(), Vec::new(), Vec::new());
    for producer in producers {
        publishes.extend(producer.await??);
    }
    for consumer in consumers {
        let (of_pulls, of_acks) = consumer.await??;
        pulls.extend(of_pulls);
        acks.extend(of_acks);
    }
    let took = started.elapsed().as_secs_f64();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / messages as f64;
    println!(
        "{name:<14} {:>9.0} messages/s, {:>4.1} a pull   processor µs a message: broker {:>4.1}, client {:>4.1}   memory {:>4} MiB",
        messages as f64 / took,
        messages as f64 / acks.len() as f64,
        each(broker.processor()? - of_broker),
        each(own_processor()? - of_client),
        broker.memory()?,
    );
    for (operation, mut latencies) in [("publish", publishes), ("pull", pulls), ("ack", acks)] {
        latencies.sort_unstable();
        let (p50, p99) = (quantile(&latencies, 0.5), quantile(&latencies, 0.99));
        println!("    {operation:<8} p50 {p50:>6.2} ms   p99 {p99:>6.2} ms");
    }
    Ok(())
}

/// Publishes batches as long as there are any left; returns how long each took.
async fn produce(to: SocketAddr, left: Arc<AtomicUsize>) -> Result<Vec<Duration>, Failure> {
    let mut connection = Connection::open(to).await?;
    let (publish, mut latencies) = (batch(BATCH), Vec::new());
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let asked = Instant::now();
        connection.post("/topics/t/messages", &publish).await?;
        latencies.push(asked.elapsed());
    }
    Ok(latencies)
}

/// Pulls and acknowledges until every message is; returns how long each pull that got something and each ack took.
async fn consume(
    to: SocketAddr,
    path: String,
    unacked: Arc<AtomicUsize>,
) -> Result<(Vec<Duration>, Vec<Duration>), Failure> {
    let mut connection = Connection::open(to).await?;
    let (mut pulls, mut acks) = (Vec::new(), Vec::new());
    while unacked.load(Ordering::Relaxed) > 0 {
        let asked = Instant::now();
        let body = connection.post(&format!("{path}:pull"), r#"{"maxMessages":16,"waitMs":100}"#).await?;
        let took = asked.elapsed();
        let pulled: Pulled<'_> = serde_json::from_slice(body)?;
        if pulled.messages.is_empty() {
            continue;
        }
        let (count, ack) = (pulled.messages.len(), receipts(&pulled));
        pulls.push(took);
        let asked = Instant::now();
        connection.post(&format!("{path}:ack"), &ack).await?;
        acks.push(asked.elapsed());
        unacked.fetch_sub(count, Ordering::Relaxed);
    }
    Ok((pulls, acks))
}

/// What a pull costs as the backlog and the leases grow, and how long a start takes with all of them.
async fn growth(cli: &Cli) -> Result<(), Failure> {
    let data = TempDir::new_in(&cli.dir)?;
    let path = data.path().to_str().ok_or("the directory's name is not UTF-8")?;
    let arguments = ["--data", path, "--fsync", "always", "--heartbeat-period", "600000"];
    let broker = Broker::start(&arguments)?;
    let to = broker.address;
    create_topic(to).await?;
    let mut connection = Connection::open(to).await?;
    let consumer = consumers(to, 1).await?.remove(0);
    println!("a pull of {BATCH}, {PULLS_MEASURED} times");
    let mut published = 0;
    for backlog in [cli.backlog / 100, cli.backlog / 10, cli.backlog] {
        published += fill(to, backlog - published).await?;
        let figure = pulls(&broker, &mut connection, &consumer).await?;
        println!("    backlog {published:>9}: {figure}   broker's memory {} MiB", broker.memory()?);
    }
    let mut leases = 3 * PULLS_MEASURED * BATCH;
    while leases < cli.backlog * 9 / 10 {
        let body = connection.post(&format!("{consumer}:pull"), r#"{"maxMessages":1000}"#).await?;
        let pulled: Pulled<'_> = serde_json::from_slice(body)?;
        leases += pulled.messages.len();
    }
    let figure = pulls(&broker, &mut connection, &consumer).await?;
    println!("    leases  {leases:>9}: {figure}   broker's memory {} MiB", broker.memory()?);
    drop(connection);
    println!("a start with {published} messages, {leases} of them leased");
    broker.end(Signal::KILL)?;
    let broker = Broker::start(&arguments)?;
    println!("    after kill -9:  {:>5.2} s, memory {} MiB", broker.start_up.as_secs_f64(), broker.memory()?);
    let ended = broker.end(Signal::TERM)?;
    let broker = Broker::start(&arguments)?;
    println!(
        "    after SIGTERM:  {:>5.2} s, memory {} MiB (its end took {:.2} s)",
        broker.start_up.as_secs_f64(),
        broker.memory()?,
        ended.as_secs_f64(),
    );
    Ok(())
}

/// The time and the broker's processor time of pulls, whose messages stay leased.
async fn pulls(broker: &Broker, connection: &mut Connection, consumer: &str) -> Result<String, Failure> {
    let before = broker.processor()?;
    let mut latencies = Vec::with_capacity(PULLS_MEASURED);
    for _ in 0..PULLS_MEASURED {
        let asked = Instant::now();
        connection.post(&format!("{consumer}:pull"), r#"{"maxMessages":16}"#).await?;
        latencies.push(asked.elapsed());
    }
    let processor = (broker.processor()? - before).as_secs_f64() * 1e6 / PULLS_MEASURED as f64;
    latencies.sort_unstable();
    let (p50, p99) = (quantile(&latencies, 0.5), quantile(&latencies, 0.99));
    Ok(format!("p50 {p50:>5.2} ms   p99 {p99:>5.2} ms   broker's processor {processor:>4.0} µs"))
}

/// Publishes `count` messages; returns how many it were.
async fn fill(to: SocketAddr, count: usize) -> Result<usize, Failure> {
    const AT_ONCE: usize = 500;
    let left = Arc::new(AtomicUsize::new(count / AT_ONCE));
    let publish = Arc::new(batch(AT_ONCE));
    let publisher = |_| {
        let (publish, left) = (Arc::clone(&publish), Arc::clone(&left));
        tokio::spawn(async move {
            let mut connection = Connection::open(to).await?;
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                connection.post("/topics/t/messages", &publish).await?;
            }
            Ok::<_, Failure>(())
        })
    };
    for task in (0..4).map(publisher).collect::<Vec<_>>() {
        task.await??;
    }
    Ok(count / AT_ONCE * AT_ONCE)
}

async fn create_topic(to: SocketAddr) -> Result<(), Failure> {
    let body = json!({ "partitions": PARTITIONS }).to_string();
    Connection::open(to).await?.send("PUT", "/topics/t", body.as_bytes()).await?;
    Ok(())
}

/// Consumers of one group that are started; they share the partitions out.
async fn consumers(to: SocketAddr, count: usize) -> Result<Vec<String>, Failure> {
    let mut connection = Connection::open(to).await?;
    let subscribe = json!({ "topic": "t", "ackTimeout": 600_000 }).to_string();
    let mut paths = Vec::new();
    for _ in 0..count {
        let subscribed = connection.post("/groups/g/consumers", &subscribe).await?;
        let subscribed: Subscribed = serde_json::from_slice(subscribed)?;
        let path = format!("/groups/g/consumers/{}", subscribed.consumer_id);
        connection.post(&format!("{path}:start"), "").await?;
        paths.push(path);
    }
    Ok(paths)
}

fn batch(count: usize) -> String {
    let message = json!({ "body": "x".repeat(BODY_BYTES) });
    json!({ "messages": vec![message; count] }).to_string()
}

fn receipts(pulled: &Pulled<'_>) -> String {
    let receipts: Vec<&str> = pulled.messages.iter().map(|message| message.receipt).collect();
    json!({ "receipts": receipts }).to_string()
}

/// In milliseconds, of latencies that are sorted.
fn quantile(sorted: &[Duration], quantile: f64) -> f64 {
    let index = ((sorted.len() as f64 * quantile) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
}
