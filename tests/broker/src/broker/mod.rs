//! The broker: its topics, groups and transactions, and every operation of the protocol on them.
//!
//! This is where the synchronous state machines meet the asynchronous edge. An operation takes a group's or a
//! topic's lock, changes the state, appends to storage, lets the lock go, and then waits until storage says that
//! what was appended is durable.

mod cell;
#[cfg(test)]
mod durability;
mod poll;
mod topic;
mod transactions;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

use cell::GroupCell;
pub(crate) use poll::Delivered;
pub(crate) use topic::{Draft, Novelty, PublishResult};
use topic::{MessageIds, Topic};
pub(crate) use transactions::Resolution;
use transactions::Transactions;

use crate::clock::{Clock, Millis, Timestamp};
use crate::error::Error;
use crate::group::lifecycle::{Lifecycle, Transition};
use crate::group::settings::{AckTimeout, Acknowledgement, DeadLetterTopic, Rules, Settings};
use crate::group::{Description, Group, Settled};
use crate::ledger::{GroupAccount, Ledger, TopicAccount};
use crate::limits::{MAX_GROUPS, MAX_TOPICS};
use crate::names::{ConsumerId, GroupName, GroupTag, MessageId, TopicName, TransactionId};
use crate::storage::{Mark, Storage};

/// The whole broker.
pub(crate) struct Broker {
    rules: Rules,
    clock: Clock,
    storage: Arc<dyn Storage>,
    topics: RwLock<HashMap<TopicName, Arc<Topic>>>,
    groups: RwLock<HashMap<GroupName, Arc<GroupCell>>>,
    transactions: Mutex<Transactions>,
    ids: MessageIds,
    stopping: CancellationToken,
}

/// What a subscribe asks for, its values within their bounds.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) topic: TopicName,
    pub(crate) ack_timeout: AckTimeout,
    pub(crate) max_reconsume_times: u32,
    pub(crate) acknowledgement: Acknowledgement,
    pub(crate) dead_letter_topic: Option<TopicName>,
    pub(crate) client_id: Option<Box<str>>,
}

/// Whether a topic came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    New,
    Existing,
}

impl Broker {
    /// A broker without topics. `stopping` ends its timers and its long polls; a transaction that is pending for
    /// longer than `transaction_timeout` is compensated.
    pub(crate) fn new(
        rules: Rules,
        storage: Arc<dyn Storage>,
        transaction_timeout: Millis,
        stopping: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            rules,
            clock: Clock::start(),
            storage,
            topics: RwLock::default(),
            groups: RwLock::default(),
            transactions: Mutex::new(Transactions::new(transaction_timeout)),
            ids: MessageIds::new(),
            stopping,
        })
    }

    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An id for a new message.
    pub(crate) fn next_message_id(&self) -> MessageId {
        self.ids.next()
    }

    /// Makes a topic, or finds that it is there with as many partitions as asked (if any number is).
    pub(crate) fn create_topic(
        &self,
        name: &TopicName,
        partitions: Option<u32>,
        default: u32,
    ) -> Result<(Creation, u32), Error> {
        let mut topics = self.topics.write();
        if let Some(topic) = topics.get(name) {
            let existing = topic.partitions();
            return match partitions.filter(|&asked| asked != existing) {
                None => Ok((Creation::Existing, existing)),
                Some(_) => Err(Error::invalid("partitions", format!("the topic exists with {existing} partitions"))),
            };
        }
        if topics.len() >= MAX_TOPICS {
            return Err(Error::throttled("topics", MAX_TOPICS));
        }
        let partitions = partitions.unwrap_or(default);
        let log = self.storage.create_topic(name, partitions)?;
        topics.insert(name.clone(), Arc::new(Topic::new(name.clone(), log)));
        Ok((Creation::New, partitions))
    }

    /// How many partitions a topic has.
    pub(crate) fn partitions(&self, name: &TopicName) -> Result<u32, Error> {
        Ok(self.topic(name)?.partitions())
    }

    /// Publishes messages, in order.
    pub(crate) async fn publish(
        self: &Arc<Self>,
        name: &TopicName,
        drafts: Vec<Draft>,
    ) -> Result<Vec<PublishResult>, Error> {
        let topic = self.topic(name)?;
        let (results, mark) = topic.publish(&drafts)?;
        self.visible(topic, results, mark).await
    }

    /// Keeps messages back until the transaction is committed.
    pub(crate) fn publish_half(&self, name: &TopicName, drafts: Vec<Draft>) -> Result<TransactionId, Error> {
        let topic = self.topic(name)?;
        self.transactions.lock().begin(topic, drafts, self.now())
    }

    /// Commits or rolls a transaction back; the same again changes nothing.
    pub(crate) async fn resolve(self: &Arc<Self>, id: TransactionId, resolution: Resolution) -> Result<(), Error> {
        let committed = self.transactions.lock().resolve(id, resolution, self.now())?;
        if let Some((topic, results, mark)) = committed {
            self.visible(topic, results, mark).await?;
        }
        Ok(())
    }

    /// Adds a consumer. The dead-letter topic is made if there is none.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        group: &GroupName,
        asked: Subscription,
    ) -> Result<Description, Error> {
        let topic = self.topic(&asked.topic)?;
        let dead_letter = match asked.dead_letter_topic {
            None => None,
            Some(name) if name == asked.topic => {
                return Err(Error::invalid("deadLetterTopic", "a topic cannot be its own dead-letter topic"));
            }
            Some(name) => {
                self.create_topic(&name, None, topic.partitions())?;
                let log = Arc::clone(self.topic(&name)?.log());
                Some(DeadLetterTopic { name, log })
            }
        };
        let settings = Settings {
            topic: asked.topic,
            ack_timeout: asked.ack_timeout,
            max_reconsume_times: asked.max_reconsume_times,
            acknowledgement: asked.acknowledgement,
            dead_letter,
            client_id: asked.client_id,
        };
        let cell = self.group_or_new(group)?;
        let id = ConsumerId::random();
        let log = Arc::clone(topic.log());
        let description = self.apply(&cell, |state, now| state.subscribe(id, settings, &log, now)).await?;
        topic.add_subscriber(&cell);
        Ok(description)
    }

    /// Takes a step of a consumer's lifecycle.
    pub(crate) async fn step(&self, group: &GroupName, id: &str, step: Transition) -> Result<Lifecycle, Error> {
        let (cell, id) = self.consumer(group, id)?;
        self.apply(&cell, |state, now| state.step(id, step, now)).await
    }

    pub(crate) async fn describe(&self, group: &GroupName, id: &str) -> Result<Description, Error> {
        let (cell, id) = self.consumer(group, id)?;
        self.apply(&cell, |state, now| state.describe(id, now)).await
    }

    pub(crate) async fn ack(
        &self,
        group: &GroupName,
        id: &str,
        receipts: Vec<Box<str>>,
    ) -> Result<Settled<Box<str>>, Error> {
        let (cell, id) = self.consumer(group, id)?;
        self.apply(&cell, |state, now| state.ack(id, receipts, now)).await
    }

    pub(crate) async fn reject(
        &self,
        group: &GroupName,
        id: &str,
        receipts: Vec<Box<str>>,
    ) -> Result<Settled<Box<str>>, Error> {
        let (cell, id) = self.consumer(group, id)?;
        self.apply(&cell, |state, now| state.reject(id, receipts, now)).await
    }

    pub(crate) async fn heartbeat(
        &self,
        group: &GroupName,
        id: &str,
        receipts: Vec<Box<str>>,
        ack_timeout: Option<AckTimeout>,
    ) -> Result<Settled<(Box<str>, Timestamp)>, Error> {
        let (cell, id) = self.consumer(group, id)?;
        self.apply(&cell, |state, now| state.heartbeat(id, receipts, ack_timeout, now)).await
    }

    /// The account of everything. A group's entries are taken under its lock.
    pub(crate) fn ledger(&self) -> Ledger {
        let mut topics: Vec<TopicAccount> = self.topics.read().values().map(|topic| topic.account()).collect();
        topics.sort_unstable_by(|one, other| one.topic.cmp(&other.topic));
        let cells: Vec<Arc<GroupCell>> = self.groups.read().values().cloned().collect();
        let mut entries = Vec::new();
        for cell in cells {
            let account = |(topic, entry): (&TopicName, _)| GroupAccount {
                topic: topic.clone(),
                group: cell.name().clone(),
                entry,
            };
            entries.extend(cell.look(|group| group.ledger().map(account).collect::<Vec<_>>()));
        }
        entries.sort_unstable_by(|one, other| (&one.topic, &one.group).cmp(&(&other.topic, &other.group)));
        Ledger { topics, entries }
    }

    fn topic(&self, name: &TopicName) -> Result<Arc<Topic>, Error> {
        self.topics.read().get(name).cloned().ok_or_else(|| Error::TopicNotFound(name.clone()))
    }

    fn consumer(&self, group: &GroupName, id: &str) -> Result<(Arc<GroupCell>, ConsumerId), Error> {
        let cell = self.groups.read().get(group).cloned().ok_or_else(|| Error::GroupNotFound(group.clone()))?;
        Ok((cell, id.parse().map_err(|()| Error::ConsumerNotFound)?))
    }

    fn group_or_new(self: &Arc<Self>, name: &GroupName) -> Result<Arc<GroupCell>, Error> {
        let mut groups = self.groups.write();
        if let Some(cell) = groups.get(name) {
            return Ok(Arc::clone(cell));
        }
        if groups.len() >= MAX_GROUPS {
            return Err(Error::throttled("groups", MAX_GROUPS));
        }
        let cell = Arc::new(GroupCell::new(name.clone(), Group::new(self.rules, GroupTag::random())));
        groups.insert(name.clone(), Arc::clone(&cell));
        tokio::spawn(cell::keep_time(Arc::clone(self), Arc::clone(&cell)));
        Ok(cell)
    }

    /// Runs an operation on a group, and waits until what it changed is durable.
    async fn apply<T>(
        &self,
        cell: &GroupCell,
        operation: impl FnOnce(&mut Group, Timestamp) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (result, mark) = cell.apply(self, operation)?;
        self.durable(mark).await?;
        result
    }

    async fn durable(&self, mark: Mark) -> Result<(), Error> {
        match self.storage.durable(mark) {
            None => Ok(()),
            Some(reached) => Ok(reached.await?),
        }
    }

    /// Waits until published messages are durable, then has the topic's consumers look.
    async fn visible(
        self: &Arc<Self>,
        topic: Arc<Topic>,
        results: Vec<PublishResult>,
        mark: Mark,
    ) -> Result<Vec<PublishResult>, Error> {
        match self.storage.durable(mark) {
            None => topic.announce(self, &results),
            // The consumers are told even if the publisher goes away meanwhile.
            Some(reached) => {
                let (broker, told) = (Arc::clone(self), results.clone());
                let announced = tokio::spawn(async move {
                    reached.await?;
                    topic.announce(&broker, &told);
                    Ok::<(), Error>(())
                });
                match announced.await {
                    Ok(durable) => durable?,
                    Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
                }
            }
        }
        Ok(results)
    }
}
