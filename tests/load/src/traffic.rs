//! Traffic without an end: a group that consumes what is published at a steady rate, in sessions.
//!
//! At the end of a session all consumers finish the work in hand and leave, and then all join anew: their settings cross
//! the gateway again and again, and none takes a partition from another that has messages in flight.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use spans::Spans;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use crate::address::{UnknownAddress, resolve};
use crate::client::{Client, Subscription};
use crate::consumer::{Members, Tally};
use crate::latency::Latencies;
use crate::run::RunError;
use crate::workload::Workload;

/// Between two publishes: often enough for an even load, seldom enough that most have several messages.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);

/// How long a session that failed is rested from, so that a gateway that is away is not pressed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is published and consumed, and how.
#[derive(Debug, Clone)]
pub struct TrafficOptions {
    /// Where producer and consumers connect: `HOST:PORT`. The host is looked up anew for each session.
    pub gateway: String,
    /// The tenant that they call themselves.
    pub tenant: String,
    /// The topic, made where it is missing.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// Messages published in a second, rounded up to a multiple of five.
    pub rate: u32,
    /// How long the consumers stay in their group.
    pub session: Duration,
    /// Consumers of the group; also the topic's partitions.
    pub consumers: u32,
    /// Workers of each consumer.
    pub concurrency: usize,
    /// The ack timeout that every consumer asks for.
    pub ack_timeout: Duration,
    /// The retries that every consumer asks for.
    pub max_reconsume_times: u32,
    /// What the messages are, and the work that they make.
    pub workload: Workload,
    /// What traces the requests of producer and consumers, if they are.
    pub spans: Option<Spans>,
}

/// A session that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Messages published.
    pub published: u64,
    /// What the consumers saw.
    pub tally: Tally,
    /// What the broker made of the first consumer's settings.
    pub subscription: Subscription,
}

/// Why a session came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The gateway's host has no address.
    #[error(transparent)]
    Gateway(#[from] UnknownAddress),
    /// The gateway or the broker said no, or nothing.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// One session after the other, for ever, telling each one's end to `observe`. After one that failed the next begins a
/// second later.
pub async fn traffic(options: &TrafficOptions, mut observe: impl FnMut(Result<Session, SessionError>)) -> Infallible {
    let mut next_message = 0;
    loop {
        let ended = session(options, &mut next_message).await;
        let failed = ended.is_err();
        observe(ended);
        if failed {
            sleep(RETRY_AFTER).await;
        }
    }
}

/// One session. `next_message` is the number of the first message that it publishes, and then of the next one's.
async fn session(options: &TrafficOptions, next_message: &mut u64) -> Result<Session, SessionError> {
    let gateway = resolve(&options.gateway).await?;
    let client = Client::of_tenant(gateway, &options.tenant, Arc::new(Latencies::new())).traced(options.spans.clone());
    Ok(attend(options, &client, next_message).await?)
}

async fn attend(options: &TrafficOptions, client: &Client, next_message: &mut u64) -> Result<Session, RunError> {
    client.create_topic(&options.topic, options.consumers).await?;
    let consumers = options.members().join(client, &Arc::new(options.workload.clone())).await?;
    let subscription = consumers[0].subscription().clone();

    let (over, until) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for consumer in &consumers {
        let (consumer, until) = (Arc::clone(consumer), until.clone());
        tasks.spawn(async move { consumer.consume(until).await });
    }

    let first = *next_message;
    let end = Instant::now() + options.session;
    let mut tick = interval(PUBLISH_EVERY);
    // A broker that was slow is not to be flooded afterwards.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tally = Tally::default();
    loop {
        tokio::select! {
            Some(ended) = tasks.join_next() => tally += ended??,
            () = sleep_until(end), if !*over.borrow() => {
                over.send_replace(true);
            }
            _ = tick.tick(), if !*over.borrow() => {
                let batch = *next_message..*next_message + options.batch();
                let messages: Vec<_> = batch.clone().map(|index| options.workload.message(index)).collect();
                client.publish(&options.topic, &messages).await?;
                *next_message = batch.end;
            }
            else => break,
        }
    }
    for consumer in &consumers {
        consumer.leave().await?;
    }
    Ok(Session { published: *next_message - first, tally, subscription })
}

impl TrafficOptions {
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

    /// Messages of one publish.
    fn batch(&self) -> u64 {
        let ticks = Duration::from_secs(1).as_millis() / PUBLISH_EVERY.as_millis();
        u64::from(self.rate).div_ceil(ticks as u64)
    }
}
