//! The broker's admin port, as far as a run needs it: the ledger.

use std::net::SocketAddr;

use serde::Deserialize;

use super::error::ClientError;
use super::http::Http;

/// A client of a broker's admin port.
#[derive(Debug, Clone)]
pub struct Admin {
    http: Http,
}

/// What became of one topic's messages in one group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupLedger {
    /// Messages of the topic.
    pub published: u64,
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages that are leased to a consumer.
    pub in_flight: u64,
    /// Messages that were acknowledged.
    pub acked: u64,
    /// Messages that went to the dead-letter topic.
    pub dead_lettered: u64,
    /// Messages that were given up and kept nowhere.
    pub archived: u64,
    /// Messages that a rebalance dropped without a record.
    pub forgotten: u64,
    /// Deliveries, each one counted.
    pub deliveries: u64,
    /// Deliveries beyond a message's first.
    pub redeliveries: u64,
}

impl GroupLedger {
    /// Messages that are gone for every consumer, without a dead letter.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.archived + self.forgotten
    }

    /// Messages that will not be delivered again.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.acked + self.dead_lettered + self.lost()
    }

    /// Whether `messages` messages were published and none of them waits for anything.
    #[must_use]
    pub fn is_drained(&self, messages: u64) -> bool {
        self.published >= messages && self.ready == 0 && self.in_flight == 0
    }
}

#[derive(Debug, Deserialize)]
struct Ledger {
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    topic: String,
    group: String,
    #[serde(flatten)]
    ledger: GroupLedger,
}

impl Admin {
    /// A client of the admin port at `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { http: Http::new(address, "tmq-load") }
    }

    /// What the broker says of `topic` in `group`.
    ///
    /// # Errors
    /// See [`ClientError`]; a ledger without such an entry is [`ClientError::Malformed`].
    pub async fn group_ledger(&self, topic: &str, group: &str) -> Result<GroupLedger, ClientError> {
        let answer = self.http.get("ledger", "/admin/ledger").await?;
        let ledger: Ledger = answer.read()?;
        let entry = ledger.entries.into_iter().find(|entry| entry.topic == topic && entry.group == group);
        entry
            .map(|entry| entry.ledger)
            .ok_or_else(|| answer.unexpected(format!("no entry of topic {topic} and group {group}")))
    }
}
