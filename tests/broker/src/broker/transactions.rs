//! Transactional publishes: messages that nobody sees before their commit.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::topic::Draft;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::limits::{MAX_PENDING_TRANSACTION_BYTES, MAX_PENDING_TRANSACTIONS, MAX_RESOLVED_TRANSACTIONS};
use crate::names::{TopicName, TransactionId};
use crate::storage::codec::Codec;
use crate::storage::{StoredDraft, TransactionStep};

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Resolution {
    Committed,
    Compensated,
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransactionState {
    Pending,
    Resolved(Resolution),
}

impl TransactionState {
    /// The state as the protocol names it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Resolved(resolution) => resolution.as_str(),
        }
    }
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

/// A transaction that is not resolved.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) topic: TopicName,
    pub(super) drafts: Vec<Draft>,
    pub(super) codec: Codec,
    /// It is compensated at this moment.
    pub(super) deadline: Timestamp,
}

impl Pending {
    fn footprint(&self) -> usize {
        self.drafts.iter().map(|draft| draft.message.footprint()).sum()
    }

    /// How it began, as it is kept on disk.
    pub(super) fn stored(&self, id: TransactionId) -> TransactionStep {
        let drafts = self.drafts.iter().map(|draft| StoredDraft {
            message: (*draft.message).clone(),
            token: draft.idempotency_token.as_deref().map(Box::from),
        });
        TransactionStep::Begun {
            id,
            topic: self.topic.clone(),
            deadline: self.deadline,
            codec: self.codec,
            drafts: drafts.collect(),
        }
    }
}

/// All transactions: those that are pending, and the newest of those that are resolved.
#[derive(Default)]
pub(super) struct Transactions {
    pending: HashMap<TransactionId, Pending>,
    deadlines: BTreeSet<(Timestamp, TransactionId)>,
    bytes: usize,
    resolved: HashMap<TransactionId, Resolution>,
    order: VecDeque<TransactionId>,
}

impl Transactions {
    /// Whether one more transaction is within the bounds.
    pub(super) fn admit(&self, pending: &Pending) -> Result<(), Error> {
        if self.pending.len() >= MAX_PENDING_TRANSACTIONS {
            return Err(Error::throttled("pending transactions", MAX_PENDING_TRANSACTIONS));
        }
        if self.bytes + pending.footprint() > MAX_PENDING_TRANSACTION_BYTES {
            return Err(Error::throttled("bytes of pending transactions", MAX_PENDING_TRANSACTION_BYTES));
        }
        Ok(())
    }

    /// Keeps messages back until they are resolved.
    pub(super) fn begin(&mut self, id: TransactionId, pending: Pending) {
        self.bytes += pending.footprint();
        self.deadlines.insert((pending.deadline, id));
        self.pending.insert(id, pending);
    }

    /// Where a transaction stands; `None` for one that is unknown, or resolved too long ago.
    pub(super) fn state(&self, id: TransactionId) -> Option<TransactionState> {
        match self.resolved.get(&id) {
            Some(&resolution) => Some(TransactionState::Resolved(resolution)),
            None => self.pending.contains_key(&id).then_some(TransactionState::Pending),
        }
    }

    /// What a pending transaction holds back.
    pub(super) fn pending(&self, id: TransactionId) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// Notes how a transaction ended.
    pub(super) fn end(&mut self, id: TransactionId, resolution: Resolution) {
        if let Some(pending) = self.pending.remove(&id) {
            self.bytes -= pending.footprint();
            self.deadlines.remove(&(pending.deadline, id));
        }
        if self.order.len() >= MAX_RESOLVED_TRANSACTIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.resolved.remove(&oldest);
        }
        self.order.push_back(id);
        self.resolved.insert(id, resolution);
    }

    /// The next pending transaction to be compensated, and when.
    pub(super) fn next_due(&self) -> Option<(Timestamp, TransactionId)> {
        self.deadlines.first().copied()
    }

    /// Those that are pending.
    pub(super) fn all_pending(&self) -> impl Iterator<Item = (TransactionId, &Pending)> {
        self.pending.iter().map(|(id, pending)| (*id, pending))
    }

    /// Those that are resolved, the oldest first.
    pub(super) fn all_resolved(&self) -> Vec<(TransactionId, Resolution)> {
        self.order.iter().map(|id| (*id, self.resolved[id])).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::message::{Encoding, Message};
    use crate::names::MessageId;

    fn pending(messages: usize) -> Pending {
        let message = Arc::new(Message {
            message_id: MessageId { run: 0, count: 0 },
            body: "".into(),
            encoding: Encoding::Utf8,
            key: None,
            tag: None,
            properties: BTreeMap::new(),
            headers: BTreeMap::new(),
        });
        Pending {
            topic: TopicName::parse("orders", "topic").unwrap(),
            drafts: vec![Draft { message, idempotency_token: None }; messages],
            codec: Codec::None,
            deadline: Timestamp(60_000),
        }
    }

    #[test]
    fn many_small_messages_are_bounded_by_the_memory_that_they_take() {
        let mut transactions = Transactions::default();
        let one = pending(1_000);
        let room = MAX_PENDING_TRANSACTION_BYTES / one.footprint();
        for id in 0..room as u64 {
            transactions.admit(&one).unwrap();
            transactions.begin(TransactionId(id), one.clone());
        }
        let refused = transactions.admit(&one);
        assert!(matches!(refused, Err(Error::Throttled { limit: MAX_PENDING_TRANSACTION_BYTES, .. })));
        transactions.end(TransactionId(0), Resolution::Compensated);
        transactions.admit(&one).unwrap();
    }

    #[test]
    fn the_newest_resolved_ones_are_remembered() {
        let mut transactions = Transactions::default();
        for id in 0..=MAX_RESOLVED_TRANSACTIONS as u64 {
            transactions.begin(TransactionId(id), pending(1));
            transactions.end(TransactionId(id), Resolution::Committed);
        }
        assert_eq!(transactions.state(TransactionId(0)), None);
        assert_eq!(transactions.state(TransactionId(1)), Some(TransactionState::Resolved(Resolution::Committed)));
        assert_eq!(transactions.all_resolved().len(), MAX_RESOLVED_TRANSACTIONS);
        assert_eq!((transactions.next_due(), transactions.bytes), (None, 0));
    }
}
