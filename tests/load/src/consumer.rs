//! A consumer as an SDK runs it: it pulls while workers are free, each worker takes its time over one message, and
//! the receipts of finished work are acknowledged together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::client::{Client, ClientError, ConsumerId, Step, Subscribe, Subscription};
use crate::workload::Workload;

/// The most messages that one pull asks for.
const PULL_BATCH: usize = 32;

/// How long a pull waits for a message; also the longest time between the drained ledger and a consumer's end.
const PULL_WAIT: Duration = Duration::from_millis(500);

/// How long a receipt waits for others to be acknowledged with it.
const ACK_LINGER: Duration = Duration::from_millis(5);

/// The most receipts of one ack.
const ACK_BATCH: usize = 256;

/// A consumer that has joined its group and may pull.
#[derive(Debug)]
pub(crate) struct Consumer {
    client: Client,
    id: ConsumerId,
    concurrency: usize,
    workload: Arc<Workload>,
    subscription: Subscription,
}

/// The consumers of one group, all with the same settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Members<'a> {
    pub(crate) topic: &'a str,
    pub(crate) group: &'a str,
    /// How many there are.
    pub(crate) consumers: u32,
    /// Workers of each.
    pub(crate) concurrency: usize,
    /// The ack timeout that each asks for.
    pub(crate) ack_timeout: Duration,
    /// The retries that each asks for.
    pub(crate) max_reconsume_times: u32,
}

impl Members<'_> {
    /// All consumers join before any of them pulls: one that joins later would take partitions from those that have
    /// messages in flight, which `legacy` forgets.
    pub(crate) async fn join(
        &self,
        client: &Client,
        workload: &Arc<Workload>,
    ) -> Result<Vec<Arc<Consumer>>, ClientError> {
        let mut consumers = Vec::new();
        for number in 0..self.consumers {
            let settings = Subscribe {
                topic: self.topic.to_owned(),
                ack_timeout: self.ack_timeout,
                max_reconsume_times: self.max_reconsume_times,
                client_id: format!("{}-{number}", self.group),
            };
            let (client, workload) = (client.clone(), Arc::clone(workload));
            let consumer = Consumer::join(client, self.group, &settings, self.concurrency, workload).await?;
            consumers.push(Arc::new(consumer));
        }
        Ok(consumers)
    }
}

/// What a consumer saw, by its own count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages delivered and worked on, each delivery counted.
    pub deliveries: u64,
    /// Receipts that the broker acknowledged.
    pub acks_accepted: u64,
    /// Receipts that the broker did not accept.
    pub acks_refused: u64,
}

impl Consumer {
    /// Subscribes and starts a consumer with `concurrency` workers.
    async fn join(
        client: Client,
        group: &str,
        settings: &Subscribe,
        concurrency: usize,
        workload: Arc<Workload>,
    ) -> Result<Self, ClientError> {
        let (id, subscription) = client.subscribe(group, settings).await?;
        client.step(&id, Step::Start).await?;
        Ok(Self { client, id, concurrency, workload, subscription })
    }

    /// What the broker made of the consumer's settings.
    pub(crate) fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Consumes until `drained` says that there is nothing left, then finishes the work in hand.
    pub(crate) async fn consume(&self, drained: watch::Receiver<bool>) -> Result<Tally, ClientError> {
        let (finished, receipts) = mpsc::channel(self.concurrency);
        let (deliveries, tally) = tokio::try_join!(self.pull_and_work(drained, finished), self.ack(receipts))?;
        Ok(Tally { deliveries, ..tally })
    }

    /// Leaves the group in the order that the protocol's lifecycle asks for.
    pub(crate) async fn leave(&self) -> Result<(), ClientError> {
        self.client.step(&self.id, Step::Stop).await?;
        self.client.step(&self.id, Step::Close).await
    }

    async fn pull_and_work(
        &self,
        drained: watch::Receiver<bool>,
        finished: mpsc::Sender<String>,
    ) -> Result<u64, ClientError> {
        let batch = PULL_BATCH.min(self.concurrency);
        let permits = u32::try_from(batch).unwrap_or(u32::MAX);
        let free = Arc::new(Semaphore::new(self.concurrency));
        // Ends with this future: a run that fails leaves no work behind.
        let mut workers = JoinSet::new();
        let mut deliveries = 0;
        while !*drained.borrow() {
            // Only whole batches are pulled: a pull for each worker that comes free would be a request a message.
            let Ok(mut slots) = Arc::clone(&free).acquire_many_owned(permits).await else { break };
            for delivery in self.client.pull(&self.id, batch, PULL_WAIT).await? {
                deliveries += 1;
                let slot = slots.split(1);
                let work = self.workload.work(&delivery.key, delivery.reconsume_times);
                let finished = finished.clone();
                workers.spawn(async move {
                    tokio::time::sleep(work).await;
                    // Nobody waits for the receipt only where the run has failed already.
                    let _ = finished.send(delivery.receipt).await;
                    drop(slot);
                });
            }
            while workers.try_join_next().is_some() {}
        }
        while workers.join_next().await.is_some() {}
        Ok(deliveries)
    }

    async fn ack(&self, mut finished: mpsc::Receiver<String>) -> Result<Tally, ClientError> {
        let mut tally = Tally::default();
        let mut receipts = Vec::with_capacity(ACK_BATCH);
        while finished.recv_many(&mut receipts, ACK_BATCH).await > 0 {
            tokio::time::sleep(ACK_LINGER).await;
            while receipts.len() < ACK_BATCH
                && let Ok(receipt) = finished.try_recv()
            {
                receipts.push(receipt);
            }
            let answer = self.client.ack(&self.id, &receipts).await?;
            tally.acks_accepted += answer.acked.len() as u64;
            tally.acks_refused += answer.failed.len() as u64;
            receipts.clear();
        }
        Ok(tally)
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.deliveries += other.deliveries;
        self.acks_accepted += other.acks_accepted;
        self.acks_refused += other.acks_refused;
    }
}
