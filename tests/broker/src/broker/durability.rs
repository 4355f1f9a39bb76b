//! An answer is given once storage says that what it tells of is durable, and not before.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Broker, Draft, Recovered, Subscription, checkpoint};
use crate::clock::{Clock, Millis};
use crate::config::DiskConfig;
use crate::error::Error;
use crate::group::PullRequest;
use crate::group::lifecycle::Transition;
use crate::group::settings::{AckTimeout, Acknowledgement, BackOff, Rules, Semantics};
use crate::message::{Encoding, Message};
use crate::names::{GroupName, TopicName};
use crate::storage::StorageError;
use crate::storage::codec::Codec;
use crate::storage::disk::SimulatedDisk;
use crate::storage::durable::{self, DurableStorage};

/// A broker on a simulated disk.
struct Stand {
    disk: SimulatedDisk,
    storage: Arc<DurableStorage>,
    broker: Arc<Broker>,
    topic: TopicName,
    group: GroupName,
}

impl Stand {
    async fn new() -> Self {
        let stand = Self::on(SimulatedDisk::default());
        stand.broker.create_topic(&stand.topic, Some(1), 1).await.unwrap();
        stand
    }

    /// A broker on what a disk holds.
    fn on(disk: SimulatedDisk) -> Self {
        let rules = Rules {
            semantics: Semantics::Fixed,
            back_off: BackOff { base: Millis(0) },
            heartbeat_period: Millis(60_000),
        };
        let options = durable::Options::from(&DiskConfig::new("data".into()));
        let fresh = || Recovered::empty(rules);
        let (storage, recovered) = durable::open(Arc::new(disk.clone()), Path::new("data"), options, fresh).unwrap();
        let broker = Broker::start(
            rules,
            Clock::start(recovered.time()),
            Arc::clone(&storage) as _,
            recovered,
            Millis(60_000),
            CancellationToken::new(),
        );
        let topic = TopicName::parse("orders", "topic").unwrap();
        Self { disk, storage, broker, topic, group: GroupName::parse("g", "group").unwrap() }
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
    async fn held<T>(&self, operation: impl Future<Output = T>) -> T {
        self.disk.hold_syncs(true);
        let mut operation = std::pin::pin!(operation);
        let waits = async {
            // The operation has written, and waits for the sync.
            while self.disk.counts().syncs_begun == self.disk.counts().syncs {
                tokio::task::yield_now().await;
            }
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            _ = &mut operation => panic!("answered before it was durable"),
            () = waits => {}
        }
        self.disk.hold_syncs(false);
        operation.await
    }
}

#[tokio::test]
async fn publish_pull_and_ack_are_answered_once_durable() {
    let stand = Stand::new().await;
    let consumer = stand.consumer().await;
    stand.held(stand.publish()).await.unwrap();
    let receipts = stand.held(stand.pull(&consumer, 0)).await.unwrap();
    assert_eq!(receipts.len(), 1);
    let acked = stand.held(stand.broker.ack(&stand.group, &consumer, receipts)).await.unwrap();
    assert_eq!(acked.done.len(), 1);
}

/// What the disk holds after a failed sync is not known: nothing is written any more, though the disk goes well again.
#[tokio::test]
async fn a_failed_sync_ends_all_writing() {
    let stand = Stand::new().await;
    let consumer = stand.consumer().await;
    stand.publish().await.unwrap();
    stand.disk.fail_sync(1);
    let stopped = |error: Error| assert!(matches!(error, Error::Storage(StorageError::Stopped { .. })), "{error}");
    stopped(stand.publish().await.unwrap_err());
    let writes = stand.disk.counts().writes;
    stopped(stand.publish().await.unwrap_err());
    stopped(stand.pull(&consumer, 0).await.unwrap_err());
    stopped(stand.broker.ledger().await.unwrap_err());
    stopped(stand.broker.health().unwrap_err());
    checkpoint::last(&stand.broker, &stand.storage).await;
    assert_eq!(stand.disk.counts().writes, writes);
    assert_eq!(stand.broker.describe(&stand.group, &consumer).unwrap().consumer.to_string(), consumer);

    let after = Stand::on(stand.disk.crash(1));
    let receipts = after.pull(&consumer, 0).await.unwrap();
    assert!((1..=2).contains(&receipts.len()), "the publish that was answered, and perhaps the other");
}

#[tokio::test]
async fn consumers_are_told_even_if_the_publisher_goes_away_meanwhile() {
    let stand = Stand::new().await;
    let consumer = stand.consumer().await;
    let poll = stand.pull(&consumer, 60_000);
    let publisher = async {
        tokio::task::yield_now().await;
        stand.disk.hold_syncs(true);
        tokio::select! {
            biased;
            _ = stand.publish() => panic!("answered before it was durable"),
            () = tokio::task::yield_now() => {}
        }
        stand.disk.hold_syncs(false);
    };
    let (receipts, ()) = tokio::join!(poll, publisher);
    assert_eq!(receipts.unwrap().len(), 1);
}
