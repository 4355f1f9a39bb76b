//! A topic: where a publish goes, what was published before, and who is to be told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::{Broker, GroupCell};
use crate::clock::Timestamp;
use crate::ledger::TopicAccount;
use crate::limits::MAX_TOKENS_PER_TOPIC;
use crate::message::{Message, Position, partition_of_key};
use crate::names::{MessageId, PartitionId, TopicName, TransactionId};
use crate::storage::codec::Codec;
use crate::storage::{Batch, Cause, Mark, StorageError, TokenResult, TopicLog};

/// A message that a client wants to publish, its values within their bounds.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) message: Arc<Message>,
    pub(crate) idempotency_token: Option<Arc<str>>,
}

/// What became of one message of a publish.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublishResult {
    pub(crate) message_id: MessageId,
    pub(crate) position: Position,
    pub(crate) novelty: Novelty,
}

/// Whether a message was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Novelty {
    New,
    /// Its idempotency token had been published; the result is that of the first.
    Duplicate,
}

/// Gives out message ids.
#[derive(Debug)]
pub(super) struct MessageIds {
    run: u64,
    count: AtomicU64,
}

impl MessageIds {
    pub(super) fn new() -> Self {
        Self { run: fastrand::u64(..), count: AtomicU64::new(0) }
    }

    pub(super) fn next(&self) -> MessageId {
        MessageId { run: self.run, count: self.count.fetch_add(1, Ordering::Relaxed) }
    }
}

/// One topic.
pub(super) struct Topic {
    name: TopicName,
    log: Arc<dyn TopicLog>,
    sequence: Mutex<Sequence>,
    subscribers: RwLock<Vec<Arc<GroupCell>>>,
}

/// What a publish needs to know of those before it.
#[derive(Default)]
pub(super) struct Sequence {
    /// The partition of the next message without a key.
    turn: u32,
    tokens: Tokens,
    /// Of the last publish.
    mark: Mark,
}

impl Sequence {
    /// Goes on after the partition that the last message without a key went to.
    pub(super) fn resume_turn(&mut self, turn: u32) {
        self.turn = turn;
    }

    /// Remembers the result of a message with an idempotency token.
    pub(super) fn remember(&mut self, token: Arc<str>, result: PublishResult) {
        self.tokens.insert(token, result);
    }
}

impl Topic {
    pub(super) fn new(name: TopicName, log: Arc<dyn TopicLog>) -> Self {
        Self { name, log, sequence: Mutex::default(), subscribers: RwLock::default() }
    }

    pub(super) fn log(&self) -> &Arc<dyn TopicLog> {
        &self.log
    }

    pub(super) fn partitions(&self) -> u32 {
        self.log.partitions()
    }

    pub(super) fn account(&self) -> TopicAccount {
        let partitions = self.partitions();
        let published = (0..partitions).map(|partition| self.log.end(PartitionId(partition)).0).sum();
        TopicAccount { topic: self.name.clone(), partitions, published }
    }

    /// Appends messages in order: one with a key to the key's partition, others to the partitions in turn. Whole or
    /// not at all. The mark is that of every result, duplicates included: what the first publish of a token was told
    /// may not be durable yet. `commits` is the transaction whose messages these are.
    pub(super) fn publish(
        &self,
        drafts: &[Draft],
        now: Timestamp,
        codec: Codec,
        commits: Option<TransactionId>,
    ) -> Result<(Vec<PublishResult>, Mark), StorageError> {
        let mut sequence = self.sequence.lock();
        let mut batch = Vec::with_capacity(drafts.len());
        let mut places = Vec::with_capacity(drafts.len());
        let mut fresh: HashMap<Arc<str>, usize> = HashMap::new();
        let mut turn = sequence.turn;
        for Draft { message, idempotency_token } in drafts {
            if let Some(token) = idempotency_token {
                if let Some(first) = sequence.tokens.get(token) {
                    places.push(Place::Earlier(PublishResult { novelty: Novelty::Duplicate, ..first }));
                    continue;
                }
                if let Some(&index) = fresh.get(token) {
                    places.push(Place::Batch { index, novelty: Novelty::Duplicate });
                    continue;
                }
                fresh.insert(Arc::clone(token), batch.len());
            }
            let partition = match &message.key {
                Some(key) => partition_of_key(key, self.partitions()),
                None => {
                    turn = (turn + 1) % self.partitions();
                    PartitionId(turn)
                }
            };
            places.push(Place::Batch { index: batch.len(), novelty: Novelty::New });
            batch.push((partition, Arc::clone(message)));
        }
        let message_ids: Vec<MessageId> = batch.iter().map(|(_, message)| message.message_id).collect();
        let tokens = fresh.iter().map(|(token, index)| (Arc::clone(token), *index)).collect();
        let (positions, mark) = match batch.is_empty() && commits.is_none() {
            true => (Vec::new(), sequence.mark),
            false => {
                let batch = Batch { messages: batch, now, codec, cause: Cause::Publish { tokens, turn, commits } };
                let appended = self.log.append(batch).map_err(|(error, _)| error)?;
                (appended.positions, appended.mark)
            }
        };
        sequence.mark = mark;
        sequence.turn = turn;
        let result = |index: usize, novelty| PublishResult {
            message_id: message_ids[index],
            position: positions[index],
            novelty,
        };
        for (token, index) in fresh {
            sequence.tokens.insert(token, result(index, Novelty::New));
        }
        let results = places.into_iter().map(|place| match place {
            Place::Earlier(first) => first,
            Place::Batch { index, novelty } => result(index, novelty),
        });
        Ok((results.collect(), mark))
    }

    /// Rebuilds what a publish needs to know of those before it.
    pub(super) fn restore(&self, change: impl FnOnce(&mut Sequence)) {
        change(&mut self.sequence.lock());
    }

    /// The partition of the last message without a key and the tokens, the oldest first, with what `end` says while no
    /// message is published.
    pub(super) fn sequence(&self, end: impl FnOnce() -> Mark) -> (u32, Vec<TokenResult>, Mark) {
        let sequence = self.sequence.lock();
        (sequence.turn, sequence.tokens.all(), end())
    }

    /// Runs a subscribe, after which the group is told of what is published. Old messages are not removed meanwhile: the
    /// group starts at one that is there.
    pub(super) fn subscribe<T>(&self, cell: &Arc<GroupCell>, subscribe: impl FnOnce() -> T) -> T {
        let mut subscribers = self.subscribers.write();
        let result = subscribe();
        Self::add(&mut subscribers, cell);
        result
    }

    /// Has the group told of what is published.
    pub(super) fn add_subscriber(&self, cell: &Arc<GroupCell>) {
        Self::add(&mut self.subscribers.write(), cell);
    }

    /// Runs something for which no group may begin to consume the topic.
    pub(super) fn with_subscribers<T>(&self, run: impl FnOnce(&[Arc<GroupCell>]) -> T) -> T {
        run(&self.subscribers.read())
    }

    fn add(subscribers: &mut Vec<Arc<GroupCell>>, cell: &Arc<GroupCell>) {
        if !subscribers.iter().any(|known| Arc::ptr_eq(known, cell)) {
            subscribers.push(Arc::clone(cell));
        }
    }

    /// Has the topic's groups look at the partitions that these results are in.
    pub(super) fn announce(&self, broker: &Broker, results: &[PublishResult]) {
        let mut partitions: Vec<PartitionId> = results.iter().map(|result| result.position.partition).collect();
        partitions.sort_unstable();
        partitions.dedup();
        self.tell(broker, &partitions);
    }

    /// Has the topic's groups look at every partition.
    pub(super) fn announce_all(&self, broker: &Broker) {
        let partitions: Vec<PartitionId> = (0..self.partitions()).map(PartitionId).collect();
        self.tell(broker, &partitions);
    }

    fn tell(&self, broker: &Broker, partitions: &[PartitionId]) {
        for cell in self.subscribers.read().iter() {
            let told = cell.apply(broker, |group, _| group.published(&self.name, partitions.iter().copied()));
            if let Err(error) = told {
                tracing::error!(topic = %self.name, %error, "a group could not be told of new messages");
            }
        }
    }
}

/// Where the result of a draft comes from.
enum Place {
    /// A publish before this one.
    Earlier(PublishResult),
    /// The batch that is being appended.
    Batch { index: usize, novelty: Novelty },
}

/// The newest idempotency tokens and their results.
#[derive(Default)]
struct Tokens {
    results: HashMap<Arc<str>, PublishResult>,
    order: VecDeque<Arc<str>>,
}

impl Tokens {
    fn all(&self) -> Vec<TokenResult> {
        let stored = |token: &Arc<str>| {
            let PublishResult { message_id, position, .. } = self.results[token];
            TokenResult { token: Box::from(&**token), message_id, position }
        };
        self.order.iter().map(stored).collect()
    }

    fn get(&self, token: &str) -> Option<PublishResult> {
        self.results.get(token).copied()
    }

    fn insert(&mut self, token: Arc<str>, result: PublishResult) {
        if self.order.len() >= MAX_TOKENS_PER_TOPIC
            && let Some(oldest) = self.order.pop_front()
        {
            self.results.remove(&oldest);
        }
        self.order.push_back(Arc::clone(&token));
        self.results.insert(token, result);
    }
}
