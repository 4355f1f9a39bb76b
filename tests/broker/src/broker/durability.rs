//! An answer is given once storage says that what it tells of is durable, and not before.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Broker, Draft, Recovered, Subscription};
use crate::clock::{Clock, Millis, Timestamp};
use crate::error::Error;
use crate::group::PullRequest;
use crate::group::change::Story;
use crate::group::lifecycle::Transition;
use crate::group::settings::{AckTimeout, Acknowledgement, BackOff, Rules, Semantics};
use crate::message::{Encoding, Message};
use crate::names::{GroupName, TopicName};
use crate::storage::codec::Codec;
use crate::storage::{Mark, MemoryStorage, Reached, Storage, StorageError, TopicLog, TransactionStep};

/// What the disk is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    Syncs,
    Hangs,
    Fails,
}

/// Memory whose durability a test decides.
struct GatedStorage {
    memory: MemoryStorage,
    disk: watch::Receiver<Disk>,
}

impl Storage for GatedStorage {
    fn admit(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn create_topic(&self, topic: &TopicName, partitions: u32) -> Result<(Arc<dyn TopicLog>, Mark), StorageError> {
        self.memory.create_topic(topic, partitions)
    }

    fn record(&self, story: Story) -> Result<Mark, StorageError> {
        self.memory.record(story)
    }

    fn record_transaction(&self, step: &TransactionStep) -> Result<Mark, StorageError> {
        self.memory.record_transaction(step)
    }

    fn end(&self) -> Mark {
        self.memory.end()
    }

    fn durable(&self, _mark: Mark) -> Option<Reached> {
        let mut disk = self.disk.clone();
        Some(Box::pin(async move {
            match disk.wait_for(|disk| *disk != Disk::Hangs).await.as_deref() {
                Ok(Disk::Syncs) => Ok(()),
                _ => Err(StorageError::Full { limit: 0 }),
            }
        }))
    }
}

struct Stand {
    broker: Arc<Broker>,
    disk: watch::Sender<Disk>,
    topic: TopicName,
    group: GroupName,
}

impl Stand {
    async fn new() -> Self {
        let (disk, seen) = watch::channel(Disk::Syncs);
        let storage = GatedStorage { memory: MemoryStorage::new(usize::MAX), disk: seen };
        let back_off = BackOff { base: Millis(0) };
        let rules = Rules { semantics: Semantics::Fixed, back_off, heartbeat_period: Millis(60_000) };
        let broker = Broker::start(
            rules,
            Clock::start(Timestamp(0)),
            Arc::new(storage),
            Recovered::empty(rules),
            Millis(60_000),
            CancellationToken::new(),
        );
        let topic = TopicName::parse("orders", "topic").unwrap();
        broker.create_topic(&topic, Some(1), 1).await.unwrap();
        Self { broker, disk, topic, group: GroupName::parse("g", "group").unwrap() }
    }

    async fn publish(&self) -> Result<(), Error> {
        let message = Message {
            message_id: self.broker.next_message_id(),
            body: "x".into(),
            encoding: Encoding::Utf8,
            key: None,
            tag: None,
            properties: BTreeMap::new(),
            headers: BTreeMap::new(),
        };
        let draft = Draft { message: Arc::new(message), idempotency_token: None };
        self.broker.publish(&self.topic, vec![draft], Codec::None).await.map(|_| ())
    }

    async fn consumer(&self) -> String {
        let subscription = Subscription {
            topic: self.topic.clone(),
            ack_timeout: AckTimeout::After(Millis(60_000)),
            max_reconsume_times: 3,
            acknowledgement: Acknowledgement::Manual,
            dead_letter_topic: None,
            client_id: None,
            semantics: Semantics::Fixed,
        };
        let id = self.broker.subscribe(&self.group, subscription).await.unwrap().consumer.to_string();
        self.broker.step(&self.group, &id, Transition::Start).await.unwrap();
        id
    }

    async fn pull(&self, id: &str, wait: u64) -> Result<Vec<Box<str>>, Error> {
        let request = PullRequest { max_messages: 10, max_bytes: usize::MAX, ack_timeout: None };
        let delivered = self.broker.pull(&self.group, id, &request, Millis(wait)).await?;
        Ok(delivered.pulled.deliveries.iter().map(|delivery| delivery.receipt.to_string().into()).collect())
    }

    /// Runs an operation while the disk hangs: it must wait. Then the disk goes on, and the outcome is returned.
    async fn held<T>(&self, operation: impl Future<Output = T>, then: Disk) -> T {
        self.disk.send_replace(Disk::Hangs);
        let mut operation = std::pin::pin!(operation);
        for _ in 0..50 {
            tokio::select! {
                biased;
                _ = &mut operation => panic!("answered before it was durable"),
                () = tokio::task::yield_now() => {}
            }
        }
        self.disk.send_replace(then);
        operation.await
    }
}

#[tokio::test]
async fn publish_pull_and_ack_are_answered_once_durable() {
    let stand = Stand::new().await;
    let consumer = stand.consumer().await;
    stand.held(stand.publish(), Disk::Syncs).await.unwrap();
    let receipts = stand.held(stand.pull(&consumer, 0), Disk::Syncs).await.unwrap();
    assert_eq!(receipts.len(), 1);
    let acked = stand.held(stand.broker.ack(&stand.group, &consumer, receipts), Disk::Syncs).await.unwrap();
    assert_eq!(acked.done.len(), 1);
}

#[tokio::test]
async fn a_failed_sync_is_no_success() {
    let stand = Stand::new().await;
    let consumer = stand.consumer().await;
    assert!(matches!(stand.held(stand.publish(), Disk::Fails).await, Err(Error::Storage(_))));
    assert!(matches!(stand.pull(&consumer, 0).await, Err(Error::Storage(_))));
}

#[tokio::test]
async fn consumers_are_told_even_if_the_publisher_goes_away_meanwhile() {
    let stand = Stand::new().await;
    let consumer = stand.consumer().await;
    let poll = stand.pull(&consumer, 60_000);
    let publisher = async {
        tokio::task::yield_now().await;
        stand.disk.send_replace(Disk::Hangs);
        tokio::select! {
            biased;
            _ = stand.publish() => panic!("answered before it was durable"),
            () = tokio::task::yield_now() => {}
        }
        stand.disk.send_replace(Disk::Syncs);
    };
    let (receipts, ()) = tokio::join!(poll, publisher);
    assert_eq!(receipts.unwrap().len(), 1);
}
