//! How many messages get through to a real broker and are acknowledged, with AckGuard over without: the shipped configuration,
//! with its access log, and every process on every processor.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stack::{Bootstrap, Broker, BrokerOptions, Envoy, HostMode, Protocol, Semantics, Workers};
use tokio::task::JoinSet;

use super::super::turns::{Plan, Rounds, in_parts, in_turns};
use super::super::{Figure, Goal, Options, Outcome, Unit};
use crate::client::{Client, ClientError, ConsumerId, Message, Step, Subscribe};
use crate::latency::Latencies;
use crate::measure::{MeasureError, Progress};
use crate::steady::{Fault, Summary};

/// Envoy's workers.
const WORKERS: u32 = 2;
/// Consumers at either listener, each with a topic and a group of its own.
const CONSUMERS: usize = 8;
/// Messages in a publish, a pull and an ack.
const BATCH: usize = 16;
/// Bytes in a message.
const BYTES: usize = 200;
/// Brokers at least, each behind an Envoy of its own, which have their parts of the rounds. A broker keeps in memory what was published,
/// and that of one would not be enough for all.
const BROKERS: u32 = 10;

pub(super) fn plan(options: &Options) -> Plan {
    Plan::of_short_turns(options, 10, BROKERS)
}

pub(super) async fn measure(options: &Options, progress: &Progress) -> Result<Outcome, MeasureError> {
    let plan = plan(options);
    let mut load = Summary::default();
    let part = async |rounds| measure_part(rounds, plan.turn, &mut load, progress).await;
    let rounds = in_parts(plan, part, figures).await?;
    let mut figures = figures(&rounds)?;
    figures.extend([rounds.count("throughput_rounds"), Figure::failed("throughput_failed", load.failed)]);
    Ok(Outcome::new(figures, &load))
}

fn figures(rounds: &Rounds<f64>) -> Result<Vec<Figure>, MeasureError> {
    Ok(vec![
        Figure::of_rounds(
            "throughput_vs_bare",
            "messages a second through to a real broker and acknowledged, with over without",
            rounds.ratio(1, 0)?,
            Unit::Ratio,
        )
        .goal(Goal::AtLeast(0.85)),
        Figure::of_rounds("throughput_per_s", "· with AckGuard", rounds.spread(|round| round[1])?, Unit::Count),
    ])
}

/// Messages a second without AckGuard and with it, by round, of one broker.
async fn measure_part(
    rounds: u32,
    time: Duration,
    load: &mut Summary,
    progress: &Progress,
) -> Result<Vec<Vec<f64>>, MeasureError> {
    let broker = Broker::start(BrokerOptions { semantics: Semantics::Fixed, ..BrokerOptions::default() }).await?;
    let bootstrap =
        Bootstrap::load("static.yaml")?.host_mode(HostMode::Held).upstream(broker.address(), Protocol::Http1);
    let envoy = Envoy::start(bootstrap, Workers(WORKERS)).await?;
    let failed = |error| MeasureError::Request(fault(error));
    let bare = Side::start("bare", envoy.bare()).await.map_err(failed)?;
    let mut sides = [vec![bare, Side::start("guarded", envoy.guarded()).await.map_err(failed)?]];
    let turn = async |side: &mut Side, _| Ok(side.messages_per_second(time, load).await);
    in_turns(&mut sides, rounds, progress, turn).await
}

/// The consumers at one listener.
struct Side {
    consumers: Vec<(Client, ConsumerId, Arc<str>)>,
}

impl Side {
    async fn start(name: &str, address: SocketAddr) -> Result<Self, ClientError> {
        let mut consumers = Vec::new();
        for number in 0..CONSUMERS {
            let client = Client::new(address, Arc::new(Latencies::new()));
            let topic: Arc<str> = format!("{name}-{number}").into();
            client.create_topic(&topic, 1).await?;
            let subscribe = Subscribe {
                topic: topic.to_string(),
                ack_timeout: Duration::from_secs(10),
                max_reconsume_times: 3,
                client_id: "bench".to_owned(),
            };
            let (consumer, _) = client.subscribe(&topic, &subscribe).await?;
            client.step(&consumer, Step::Start).await?;
            consumers.push((client, consumer, topic));
        }
        Ok(Self { consumers })
    }

    /// How many messages its consumers have published, pulled and acknowledged in `time`, a second.
    async fn messages_per_second(&self, time: Duration, load: &mut Summary) -> f64 {
        let begin = Instant::now();
        let mut under_way = JoinSet::new();
        for consumer in &self.consumers {
            let (client, consumer, topic) = consumer.clone();
            under_way.spawn(async move {
                let mut acked = 0;
                while begin.elapsed() < time {
                    acked += batch(&client, &consumer, &topic).await?;
                }
                Ok(acked)
            });
        }
        let mut acked = 0;
        while let Some(ended) = under_way.join_next().await {
            match ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
                Ok(count) => acked += count,
                Err(error) => {
                    load.failed += 1;
                    load.faults.push(fault(error));
                }
            }
        }
        acked as f64 / begin.elapsed().as_secs_f64()
    }
}

/// Publishes, pulls and acknowledges a batch; returns how many were acknowledged.
async fn batch(client: &Client, consumer: &ConsumerId, topic: &str) -> Result<usize, ClientError> {
    let message = Message { key: "k".to_owned(), body: "x".repeat(BYTES) };
    client.publish(topic, &vec![message; BATCH]).await?;
    let deliveries = client.pull(consumer, BATCH, Duration::from_secs(1)).await?;
    let receipts: Vec<String> = deliveries.into_iter().map(|delivery| delivery.receipt).collect();
    let answer = client.ack(consumer, &receipts).await?;
    Ok(receipts.len() - answer.failed.len())
}

fn fault(error: ClientError) -> Fault {
    Fault::NoAnswer { reason: error.to_string() }
}
