//! The broker: its topics, groups and transactions, and every operation of the protocol on them.
//!
//! This is where the synchronous state machines meet the asynchronous edge. An operation takes a group's or a
//! topic's lock, changes the state, appends to storage, lets the lock go, and then waits until storage says that
//! what was appended is durable.

mod cell;
pub(crate) mod checkpoint;
mod dead_letters;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod history;
mod inspect;
mod poll;
mod recovery;
mod topic;
mod transactions;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use cell::GroupCell;
pub(crate) use inspect::{Filter, Inspection};
pub(crate) use poll::Delivered;
pub(crate) use recovery::Recovered;
pub(crate) use topic::{Draft, Novelty, PublishResult};
use topic::{MessageIds, Topic};
use transactions::{Pending, Transactions};
pub(crate) use transactions::{Resolution, TransactionState};

use crate::clock::{Clock, Millis, Timestamp};
use crate::error::Error;
use crate::group::lifecycle::{Lifecycle, Transition};
use crate::group::settings::{AckTimeout, Acknowledgement, DeadLetterTopic, Rules, Semantics, Settings};
use crate::group::{Description, Group, Settled};
use crate::ledger::{GroupAccount, Ledger, TopicAccount};
use crate::limits::{MAX_GROUPS, MAX_TOPICS};
use crate::names::{ConsumerId, GroupName, GroupTag, MessageId, TopicName, TransactionId};
use crate::storage::codec::Codec;
use crate::storage::{Mark, Storage, TransactionStep};

/// The whole broker.
pub(crate) struct Broker {
    rules: Rules,
    clock: Clock,
    storage: Arc<dyn Storage>,
    topics: RwLock<HashMap<TopicName, Arc<Topic>>>,
    groups: RwLock<HashMap<GroupName, Arc<GroupCell>>>,
    transactions: Mutex<Transactions>,
    /// A transaction that is pending for longer is compensated.
    transaction_timeout: Millis,
    /// Told when a transaction began: its deadline may be the next.
    transaction_begun: Notify,
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
    pub(crate) semantics: Semantics,
}

/// What a commit published, and where.
type Committed = (Arc<Topic>, Vec<PublishResult>, Mark);

/// After a compensation that storage refused.
const COMPENSATION_RETRY: Duration = Duration::from_secs(1);

/// Whether a topic came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    New,
    Existing,
}

impl Broker {
    /// A broker with the state that was recovered, which `clock` must not be before. `stopping` ends its timers and its long polls; a transaction that is
    /// pending for longer than `transaction_timeout` is compensated. To be called in the runtime that it is to use.
    pub(crate) fn start(
        rules: Rules,
        clock: Clock,
        storage: Arc<dyn Storage>,
        recovered: Recovered,
        transaction_timeout: Millis,
        stopping: CancellationToken,
    ) -> Arc<Self> {
        let Recovered { topics, groups, transactions, .. } = recovered;
        let broker = Arc::new(Self {
            rules,
            clock,
            storage,
            topics: RwLock::new(topics),
            groups: RwLock::default(),
            transactions: Mutex::new(transactions),
            transaction_timeout,
            transaction_begun: Notify::new(),
            ids: MessageIds::new(),
            stopping,
        });
        for (name, mut group) in groups {
            group.resume(broker.now());
            let consumed: Vec<TopicName> = group.topics().cloned().collect();
            let cell = broker.add_group(&mut broker.groups.write(), name, group);
            for topic in consumed {
                if let Ok(topic) = broker.topic(&topic) {
                    topic.add_subscriber(&cell);
                }
            }
        }
        tokio::spawn(Self::keep_transactions(Arc::clone(&broker)));
        broker
    }

    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether operations that change something are taken at present.
    pub(crate) fn health(&self) -> Result<(), Error> {
        Ok(self.storage.admit()?)
    }

    /// An id for a new message.
    pub(crate) fn next_message_id(&self) -> MessageId {
        self.ids.next()
    }

    /// Makes a topic, or finds that it is there with as many partitions as asked (if any number is).
    pub(crate) async fn create_topic(
        &self,
        name: &TopicName,
        partitions: Option<u32>,
        default: u32,
    ) -> Result<(Creation, u32), Error> {
        let created = self.create_topic_now(name, partitions, default)?;
        // One that was there may not be durable yet.
        self.durable(self.storage.end()).await?;
        Ok(created)
    }

    fn create_topic_now(
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
        let (log, _) = self.storage.create_topic(name, partitions)?;
        topics.insert(name.clone(), Arc::new(Topic::new(name.clone(), log)));
        Ok((Creation::New, partitions))
    }

    /// How many partitions a topic has.
    pub(crate) fn partitions(&self, name: &TopicName) -> Result<u32, Error> {
        Ok(self.topic(name)?.partitions())
    }

    /// Publishes messages, in order, kept compressed by `codec`.
    pub(crate) async fn publish(
        self: &Arc<Self>,
        name: &TopicName,
        drafts: Vec<Draft>,
        codec: Codec,
    ) -> Result<Vec<PublishResult>, Error> {
        self.storage.admit()?;
        let topic = self.topic(name)?;
        let (results, mark) = topic.publish(&drafts, self.now(), codec, None)?;
        self.visible(topic, results, mark).await
    }

    /// Keeps messages back until the transaction is committed.
    pub(crate) async fn publish_half(
        &self,
        topic: &TopicName,
        drafts: Vec<Draft>,
        codec: Codec,
    ) -> Result<TransactionId, Error> {
        self.storage.admit()?;
        self.topic(topic)?;
        let deadline = self.now() + self.transaction_timeout;
        let pending = Pending { topic: topic.clone(), drafts, codec, deadline };
        let id = TransactionId::random();
        let mark = {
            let mut transactions = self.transactions.lock();
            transactions.admit(&pending)?;
            let mark = self.storage.record_transaction(&pending.stored(id))?;
            transactions.begin(id, pending);
            mark
        };
        self.transaction_begun.notify_one();
        self.durable(mark).await?;
        Ok(id)
    }

    /// Commits or rolls a transaction back; the same again changes nothing.
    pub(crate) async fn resolve(self: &Arc<Self>, id: TransactionId, resolution: Resolution) -> Result<(), Error> {
        self.storage.admit()?;
        match self.resolve_now(id, resolution)? {
            Some((topic, results, mark)) => self.visible(topic, results, mark).await.map(|_| ()),
            // How it was resolved before may not be durable yet.
            None => self.durable(self.storage.end()).await,
        }
    }

    /// Where a transaction stands.
    pub(crate) async fn transaction(&self, id: TransactionId) -> Result<TransactionState, Error> {
        let state = self.transactions.lock().state(id).ok_or(Error::TransactionNotFound)?;
        self.durable(self.storage.end()).await?;
        Ok(state)
    }

    fn resolve_now(&self, id: TransactionId, resolution: Resolution) -> Result<Option<Committed>, Error> {
        let mut transactions = self.transactions.lock();
        match transactions.state(id).ok_or(Error::TransactionNotFound)? {
            TransactionState::Resolved(earlier) if earlier == resolution => return Ok(None),
            TransactionState::Resolved(earlier) => return Err(Error::TransactionResolved(earlier.as_str())),
            TransactionState::Pending => {}
        }
        let committed = match resolution {
            Resolution::Compensated => {
                self.storage.record_transaction(&TransactionStep::Compensated { id })?;
                None
            }
            Resolution::Committed => {
                let pending = transactions.pending(id).ok_or(Error::TransactionNotFound)?;
                let topic = self.topic(&pending.topic)?;
                let (results, mark) = topic.publish(&pending.drafts, self.now(), pending.codec, Some(id))?;
                Some((topic, results, mark))
            }
        };
        transactions.end(id, resolution);
        Ok(committed)
    }

    /// Checks on pending transactions at their deadlines: what is still pending is compensated.
    async fn keep_transactions(self: Arc<Self>) {
        loop {
            let due = self.transactions.lock().next_due();
            match due {
                Some((deadline, id)) if deadline <= self.now() => match self.resolve_now(id, Resolution::Compensated) {
                    Ok(_) => tracing::info!(transaction = %id, "compensated: it was pending for too long"),
                    Err(error) => {
                        tracing::warn!(transaction = %id, %error, "it could not be compensated");
                        tokio::time::sleep(COMPENSATION_RETRY).await;
                    }
                },
                Some((deadline, _)) => {
                    tokio::select! {
                        () = tokio::time::sleep(self.now().until(deadline)) => {}
                        () = self.transaction_begun.notified() => {}
                        () = self.stopping.cancelled() => return,
                    }
                }
                None => {
                    tokio::select! {
                        () = self.transaction_begun.notified() => {}
                        () = self.stopping.cancelled() => return,
                    }
                }
            }
        }
    }

    /// Adds a consumer. The dead-letter topic is made if there is none.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        group: &GroupName,
        asked: Subscription,
    ) -> Result<Description, Error> {
        self.storage.admit()?;
        let topic = self.topic(&asked.topic)?;
        let dead_letter = match asked.dead_letter_topic {
            None => None,
            Some(name) if name == asked.topic => {
                return Err(Error::invalid("deadLetterTopic", "a topic cannot be its own dead-letter topic"));
            }
            Some(name) => {
                self.create_topic(&name, None, topic.partitions()).await?;
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
            semantics: asked.semantics,
        };
        let cell = self.group_or_new(group)?;
        let id = ConsumerId::random();
        let log = Arc::clone(topic.log());
        let subscribe = |state: &mut Group, now| state.subscribe(id, settings, &log, now);
        let applied = topic.subscribe(&cell, || cell.apply_silently(self, subscribe));
        for topic in applied.dead_lettered {
            self.announce_all(&topic);
        }
        let (description, mark) = applied.outcome?;
        self.durable(mark).await?;
        description
    }

    /// Takes a step of a consumer's lifecycle.
    pub(crate) async fn step(&self, group: &GroupName, id: &str, step: Transition) -> Result<Lifecycle, Error> {
        let (cell, id) = self.consumer(group, id)?;
        self.apply(&cell, |state, now| state.step(id, step, now)).await
    }

    pub(crate) fn describe(&self, group: &GroupName, id: &str) -> Result<Description, Error> {
        let (cell, id) = self.consumer(group, id)?;
        // It promises nothing, so it is answered whatever the disk does.
        cell.apply(self, |state, now| state.describe(id, now))?.0
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

    /// The account of everything. A group's entries are taken under its lock. It is told once all that it tells of is
    /// durable.
    pub(crate) async fn ledger(&self) -> Result<Ledger, Error> {
        let ledger = self.ledger_now();
        self.durable(self.storage.end()).await?;
        Ok(ledger)
    }

    /// The account of everything, of what is not durable yet as well.
    pub(crate) fn ledger_now(&self) -> Ledger {
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
        let group = Group::new(name.clone(), self.rules, GroupTag::random());
        Ok(self.add_group(&mut groups, name.clone(), group))
    }

    fn add_group(
        self: &Arc<Self>,
        groups: &mut HashMap<GroupName, Arc<GroupCell>>,
        name: GroupName,
        group: Group,
    ) -> Arc<GroupCell> {
        let cell = Arc::new(GroupCell::new(name.clone(), group));
        groups.insert(name, Arc::clone(&cell));
        tokio::spawn(cell::keep_time(Arc::clone(self), Arc::clone(&cell)));
        cell
    }

    /// Has the groups of a topic look at all of it.
    fn announce_all(&self, topic: &TopicName) {
        if let Ok(topic) = self.topic(topic) {
            topic.announce_all(self);
        }
    }

    /// Runs an operation on a group, and waits until what it changed is durable.
    async fn apply<T>(
        &self,
        cell: &GroupCell,
        operation: impl FnOnce(&mut Group, Timestamp) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.storage.admit()?;
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
