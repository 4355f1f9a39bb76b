//! Transactional publishes: messages that nobody sees before their commit.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::topic::{Draft, PublishResult, Topic};
use crate::clock::{Millis, Timestamp};
use crate::error::Error;
use crate::limits::{MAX_PENDING_TRANSACTION_BYTES, MAX_PENDING_TRANSACTIONS, MAX_RESOLVED_TRANSACTIONS};
use crate::names::TransactionId;
use crate::storage::Mark;

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    Committed,
    Compensated,
}

impl Resolution {
    /// The state as the protocol names it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Compensated => "compensated",
        }
    }
}

/// What a commit published, and where.
pub(super) type Committed = (Arc<Topic>, Vec<PublishResult>, Mark);

/// All transactions: those that are pending, and the newest of those that are resolved.
pub(super) struct Transactions {
    timeout: Millis,
    pending: HashMap<TransactionId, Pending>,
    /// The pending ones in the order of their deadlines, resolved ones still among them.
    deadlines: VecDeque<(Timestamp, TransactionId)>,
    bytes: usize,
    resolved: HashMap<TransactionId, Resolution>,
    order: VecDeque<TransactionId>,
}

struct Pending {
    topic: Arc<Topic>,
    drafts: Vec<Draft>,
    bytes: usize,
}

impl Transactions {
    pub(super) fn new(timeout: Millis) -> Self {
        Self {
            timeout,
            pending: HashMap::new(),
            deadlines: VecDeque::new(),
            bytes: 0,
            resolved: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Keeps drafts for a topic until they are resolved.
    pub(super) fn begin(
        &mut self,
        topic: Arc<Topic>,
        drafts: Vec<Draft>,
        now: Timestamp,
    ) -> Result<TransactionId, Error> {
        self.expire(now);
        let bytes = drafts.iter().map(|draft| draft.message.footprint()).sum::<usize>();
        if self.pending.len() >= MAX_PENDING_TRANSACTIONS {
            return Err(Error::throttled("pending transactions", MAX_PENDING_TRANSACTIONS));
        }
        if self.bytes + bytes > MAX_PENDING_TRANSACTION_BYTES {
            return Err(Error::throttled("bytes of pending transactions", MAX_PENDING_TRANSACTION_BYTES));
        }
        self.bytes += bytes;
        let id = TransactionId::random();
        self.deadlines.push_back((now + self.timeout, id));
        self.pending.insert(id, Pending { topic, drafts, bytes });
        Ok(id)
    }

    /// Ends a transaction. A commit that storage refuses leaves it pending.
    pub(super) fn resolve(
        &mut self,
        id: TransactionId,
        resolution: Resolution,
        now: Timestamp,
    ) -> Result<Option<Committed>, Error> {
        self.expire(now);
        if let Some(&earlier) = self.resolved.get(&id) {
            return if earlier == resolution { Ok(None) } else { Err(Error::TransactionResolved(earlier.as_str())) };
        }
        let pending = self.pending.get(&id).ok_or(Error::TransactionNotFound)?;
        let committed = match resolution {
            Resolution::Compensated => None,
            Resolution::Committed => {
                let (results, mark) = pending.topic.publish(&pending.drafts)?;
                Some((Arc::clone(&pending.topic), results, mark))
            }
        };
        self.end(id, resolution);
        Ok(committed)
    }

    /// Compensates those that were pending for too long.
    fn expire(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.deadlines.pop_front_if(|(deadline, _)| *deadline <= now) {
            if self.pending.contains_key(&id) {
                self.end(id, Resolution::Compensated);
            }
        }
    }

    fn end(&mut self, id: TransactionId, resolution: Resolution) {
        if let Some(pending) = self.pending.remove(&id) {
            self.bytes -= pending.bytes;
        }
        if self.order.len() >= MAX_RESOLVED_TRANSACTIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.resolved.remove(&oldest);
        }
        self.order.push_back(id);
        self.resolved.insert(id, resolution);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::message::{Encoding, Message};
    use crate::names::{MessageId, TopicName};
    use crate::storage::{MemoryStorage, Storage};

    #[test]
    fn many_small_messages_are_bounded_by_the_memory_that_they_take() {
        let name = TopicName::parse("orders", "topic").unwrap();
        let log = MemoryStorage::new(usize::MAX).create_topic(&name, 1).unwrap();
        let topic = Arc::new(Topic::new(name, log));
        let message = Arc::new(Message {
            message_id: MessageId { run: 0, count: 0 },
            body: "".into(),
            encoding: Encoding::Utf8,
            key: None,
            tag: None,
            properties: BTreeMap::new(),
            headers: BTreeMap::new(),
        });
        let footprint = message.footprint();
        let drafts = vec![Draft { message, idempotency_token: None }; 1_000];
        let mut transactions = Transactions::new(Millis(60_000));
        let mut begin = || transactions.begin(Arc::clone(&topic), drafts.clone(), Timestamp(0));
        for _ in 0..MAX_PENDING_TRANSACTION_BYTES / (1_000 * footprint) {
            begin().unwrap();
        }
        assert!(matches!(begin(), Err(Error::Throttled { limit: MAX_PENDING_TRANSACTION_BYTES, .. })));
    }
}
