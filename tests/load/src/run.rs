//! One run: a group of consumers joins, messages are published, and all goes on until the broker's ledger says that
//! no message is ready or in flight. The ledger, not the consumers, says what became of the messages.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spans::Spans;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::client::{Admin, Client, ClientError, GroupLedger, Subscription};
use crate::consumer::{Members, Tally};
use crate::cpu::{CpuTime, Meter, Watched};
use crate::latency::Latencies;
use crate::workload::Workload;

/// How often the ledger is read: often enough for a smooth curve, seldom enough to cost the broker nothing.
const SAMPLE_EVERY: Duration = Duration::from_millis(125);

/// Messages in one publish.
const PUBLISH_BATCH: u64 = 100;

/// Publishes under way at once.
const PRODUCERS: u64 = 4;

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Where producers and consumers connect.
    pub gateway: SocketAddr,
    /// The broker's admin port.
    pub admin: SocketAddr,
    /// The topic, made by the run.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// Messages to publish.
    pub messages: u64,
    /// Consumers of the group; also the topic's partitions, so that each consumer has one.
    pub consumers: u32,
    /// Workers of each consumer.
    pub concurrency: usize,
    /// The ack timeout that every consumer asks for.
    pub ack_timeout: Duration,
    /// The retries that every consumer asks for.
    pub max_reconsume_times: u32,
    /// What the messages are, and the work that they make.
    pub workload: Workload,
    /// How long the run may take.
    pub time_limit: Duration,
    /// The processes whose CPU time is measured, besides this one.
    pub processes: Vec<Watched>,
    /// What traces the requests of producers and consumers, if they are.
    pub spans: Option<Spans>,
}

/// The ledger at one moment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Since the run's start.
    pub at: Duration,
    /// What the broker says of the run's topic and group.
    pub ledger: GroupLedger,
}

/// What a run came to.
#[derive(Debug)]
pub struct RunOutcome {
    /// The broker's last word, read after every consumer had left.
    pub ledger: GroupLedger,
    /// The ledger over time.
    pub timeline: Vec<Sample>,
    /// What the broker made of the first consumer's settings.
    pub subscription: Subscription,
    /// What the consumers saw.
    pub tally: Tally,
    /// How long the requests took.
    pub latencies: Arc<Latencies>,
    /// From the first consumer's subscribe to the last one's close.
    pub took: Duration,
    /// The CPU time that each process spent meanwhile.
    pub cpu: Vec<CpuTime>,
}

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A group needs a consumer, a consumer a worker.
    #[error("{field} is 0, expected at least 1")]
    Zero {
        /// The option at fault.
        field: &'static str,
    },
    /// An operation without a result.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Messages that nobody consumes, or consumers that are too slow.
    #[error(
        "after {} the broker's ledger still has {} of {} messages unpublished, {} ready and {} in flight",
        humantime::format_duration(*.limit), .messages.saturating_sub(.ledger.published), .messages, .ledger.ready, .ledger.in_flight
    )]
    NotDrained {
        /// The run's time limit.
        limit: Duration,
        /// Messages to publish.
        messages: u64,
        /// The ledger at the end.
        ledger: GroupLedger,
    },
    /// A task of the run panicked.
    #[error("a task of the run failed: {0}")]
    Task(#[from] JoinError),
}

/// Which of a run's tasks came to its end.
enum Ended {
    Consumer(Tally),
    Producer,
}

/// Runs `options` to the end, telling each sample of the ledger to `observe`.
///
/// # Errors
/// See [`RunError`]. Producers, consumers and their work end then, too.
pub async fn run(options: &RunOptions, mut observe: impl FnMut(&Sample)) -> Result<RunOutcome, RunError> {
    options.check()?;
    let latencies = Arc::new(Latencies::new());
    let client = Client::new(options.gateway, Arc::clone(&latencies)).traced(options.spans.clone());
    let admin = Admin::new(options.admin);
    let workload = Arc::new(options.workload.clone());
    let meter = Meter::start(&options.processes);
    let start = Instant::now();

    client.create_topic(&options.topic, options.consumers).await?;
    let consumers = options.members().join(&client, &workload).await?;

    let (drained, until) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for consumer in &consumers {
        let (consumer, until) = (Arc::clone(consumer), until.clone());
        tasks.spawn(async move { consumer.consume(until).await.map(Ended::Consumer) });
    }
    for producer in 0..PRODUCERS {
        let (client, topic, workload) = (client.clone(), options.topic.clone(), Arc::clone(&workload));
        let messages = options.messages;
        tasks.spawn(
            async move { produce(&client, &topic, &workload, producer, messages).await.map(|()| Ended::Producer) },
        );
    }

    let mut timeline = Vec::new();
    let mut tally = Tally::default();
    let mut tick = tokio::time::interval(SAMPLE_EVERY);
    loop {
        tokio::select! {
            Some(ended) = tasks.join_next() => match ended?? {
                Ended::Consumer(saw) => tally += saw,
                Ended::Producer => {}
            },
            _ = tick.tick(), if !*drained.borrow() => {
                let ledger = admin.group_ledger(&options.topic, &options.group).await?;
                let sample = Sample { at: start.elapsed(), ledger };
                observe(&sample);
                timeline.push(sample);
                if ledger.is_drained(options.messages) {
                    drained.send_replace(true);
                } else if sample.at > options.time_limit {
                    let (limit, messages) = (options.time_limit, options.messages);
                    return Err(RunError::NotDrained { limit, messages, ledger });
                }
            }
            else => break,
        }
    }

    // A consumer that leaves makes the others' partitions move: none leaves before all have finished their work.
    for consumer in &consumers {
        consumer.leave().await?;
    }
    let (took, cpu) = (start.elapsed(), meter.read());
    let ledger = admin.group_ledger(&options.topic, &options.group).await?;
    timeline.push(Sample { at: took, ledger });
    let subscription = consumers[0].subscription().clone();
    Ok(RunOutcome { ledger, timeline, subscription, tally, latencies, took, cpu })
}

impl RunOptions {
    fn members(&self) -> Members<'_> {
        Members {
            topic: &self.topic,
            group: &self.group,
            consumers: self.consumers,
            concurrency: self.concurrency,
            ack_timeout: self.ack_timeout,
            max_reconsume_times: self.max_reconsume_times,
        }
    }

    fn check(&self) -> Result<(), RunError> {
        let counts = [
            ("messages", self.messages),
            ("consumers", u64::from(self.consumers)),
            ("concurrency", self.concurrency as u64),
        ];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((field, _)) => Err(RunError::Zero { field }),
            None => Ok(()),
        }
    }
}

/// Publishes every [`PRODUCERS`]th batch, beginning with batch number `producer`.
async fn produce(
    client: &Client,
    topic: &str,
    workload: &Workload,
    producer: u64,
    messages: u64,
) -> Result<(), ClientError> {
    for batch in (producer..messages.div_ceil(PUBLISH_BATCH)).step_by(PRODUCERS as usize) {
        let first = batch * PUBLISH_BATCH;
        let batch: Vec<_> = (first..messages.min(first + PUBLISH_BATCH)).map(|index| workload.message(index)).collect();
        client.publish(topic, &batch).await?;
    }
    Ok(())
}
