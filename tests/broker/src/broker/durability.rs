//! An answer is given once storage says that what it tells of is durable, and not before.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::{Broker, Draft, GroupCell, Recovered, Subscription, checkpoint};
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
    clock: Arc<AtomicU64>,
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
        let clock = Arc::new(AtomicU64::new(recovered.time().0.max(1_000_000)));
        let broker = Broker::start(
            rules,
            Clock::Standing(Arc::clone(&clock)),
            Arc::clone(&storage) as _,
            recovered,
            Millis(60_000),
            CancellationToken::new(),
        );
        let topic = TopicName::parse("orders", "topic").unwrap();
        Self { disk, clock, storage, broker, topic, group: GroupName::parse("g", "group").unwrap() }
    }

    async fn publish(&self) -> Result<(), Error> {
        self.publish_many(1).await
    }

    async fn publish_many(&self, count: usize) -> Result<(), Error> {
        let drafts = (0..count).map(|_| self.draft()).collect();
        self.broker.publish(&self.topic, drafts, Codec::None).await.map(|_| ())
    }

    fn draft(&self) -> Draft {
        let message = Message {
            message_id: self.broker.next_message_id(),
            body: "x".into(),
            encoding: Encoding::Utf8,
            key: None,
            tag: None,
            properties: BTreeMap::new(),
            headers: BTreeMap::new(),
        };
        Draft { message: Arc::new(message), idempotency_token: None }
    }

    async fn consumer(&self) -> String {
        self.consumer_of("orders", 3, None).await
    }

    /// A consumer of a topic whose leases last a minute.
    async fn consumer_of(&self, topic: &str, max_reconsume_times: u32, dead_letters: Option<&str>) -> String {
        let subscription = Subscription {
            topic: TopicName::parse(topic, "topic").unwrap(),
            ack_timeout: AckTimeout::After(Millis(60_000)),
            max_reconsume_times,
            acknowledgement: Acknowledgement::Manual,
            dead_letter_topic: dead_letters.map(|name| TopicName::parse(name, "topic").unwrap()),
            client_id: None,
            semantics: Semantics::Fixed,
        };
        let id = self.broker.subscribe(&self.group, subscription).await.unwrap().consumer.to_string();
        self.broker.step(&self.group, &id, Transition::Start).await.unwrap();
        id
    }

    async fn pull(&self, id: &str, wait: u64) -> Result<Vec<Box<str>>, Error> {
        let request = PullRequest { max_messages: u32::MAX, max_bytes: usize::MAX, ack_timeout: None };
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

/// A snapshot is taken while the broker works: a topic that is made meanwhile is in it, if a group consumes it.
#[tokio::test]
async fn a_topic_that_is_made_during_a_snapshot_is_there_after_it() {
    let stand = Stand::new().await;
    stand.publish().await.unwrap();
    stand.disk.hold_syncs(true);
    let snapshot = checkpoint::last(&stand.broker, &stand.storage);
    let meanwhile = async {
        // The journal's new file and the segment wait: the topics have been looked at.
        while stand.disk.counts().syncs_begun < stand.disk.counts().syncs + 2 {
            tokio::task::yield_now().await;
        }
        let late = TopicName::parse("late", "topic").unwrap();
        let made = stand.broker.create_topic(&late, Some(1), 1);
        let subscribed = async {
            while stand.broker.partitions(&late).is_err() {
                tokio::task::yield_now().await;
            }
            stand.consumer_of("late", 3, None).await
        };
        let released = async {
            // The group consumes it, though nobody has been answered.
            let consumes = |cell: &Arc<GroupCell>| cell.look(|group| group.topics().any(|topic| *topic == late));
            while !stand.broker.groups.read().values().any(consumes) {
                tokio::task::yield_now().await;
            }
            stand.disk.hold_syncs(false);
        };
        let (made, consumer, ()) = tokio::join!(made, subscribed, released);
        made.unwrap();
        consumer
    };
    let ((), consumer) = tokio::join!(snapshot, meanwhile);
    let after = Stand::on(stand.disk.kill());
    assert_eq!(after.broker.describe(&after.group, &consumer).unwrap().settings.topic.to_string(), "late");
}

/// What one operation changed may be more than an entry of the journal holds.
#[tokio::test]
async fn a_story_of_many_entries_is_told_again() {
    let stand = Stand::new().await;
    for _ in 0..102 {
        stand.publish_many(1_000).await.unwrap();
    }
    let consumer = stand.consumer().await;
    let receipts = stand.pull(&consumer, 0).await.unwrap();
    assert_eq!(receipts.len(), 102_000);
    let after = Stand::on(stand.disk.kill());
    let acked = after.broker.ack(&after.group, &consumer, receipts).await.unwrap();
    assert_eq!(acked.done.len(), 102_000);
}

/// A subscribe may find messages dying whose letters are for the very topic.
#[tokio::test]
async fn a_group_may_consume_its_own_dead_letters() {
    let stand = Stand::new().await;
    stand.publish().await.unwrap();
    let consumer = stand.consumer_of("orders", 0, Some("dead")).await;
    assert_eq!(stand.pull(&consumer, 0).await.unwrap().len(), 1);
    stand.clock.fetch_add(60_000, Ordering::Relaxed);
    let mourner = stand.consumer_of("dead", 3, None).await;
    assert_eq!(stand.pull(&mourner, 0).await.unwrap().len(), 1);
}
