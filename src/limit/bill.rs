//! What a request is asked for: each limit that is for it, the bucket, and how many tokens.

use std::rc::Rc;

use crate::operation::{Group, Kind, Tenant, Topic};
use crate::policy::limit::{Cost, Key, Limit, Reach};

use super::Terms;

/// What of a request decides which buckets it is charged to, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What it asks for.
    pub kind: Kind,
    /// Who sends it.
    pub tenant: &'a Tenant,
    /// The topic, where it is known.
    pub topic: Option<&'a Topic>,
    /// The consumer group, where the request names it.
    pub group: Option<&'a Group>,
    /// The address that it comes from, without its port; of an IPv6 address its /64.
    pub client: &'a str,
    /// How many messages or receipts are in it.
    pub messages: u64,
    /// How many bytes its body has.
    pub bytes: u64,
}

impl<'a> Facts<'a> {
    /// What it says of a key; nothing where it is not known, so that all of those share a bucket.
    pub fn value(&self, key: Key) -> &'a str {
        match key {
            Key::Tenant => &self.tenant.0,
            Key::Topic => self.topic.map_or("", |topic| &topic.0),
            Key::Group => self.group.map_or("", |group| &group.0),
            Key::Client => self.client,
        }
    }

    /// What it costs before it goes on. It is never free. What a pull brings is not known yet: it pays for one, and for
    /// the others when they are there.
    pub fn cost(&self, cost: Cost) -> u64 {
        match (cost, self.kind) {
            (Cost::Requests, _) | (_, Kind::Pull) => 1,
            (Cost::Messages, _) => self.messages.max(1),
            (Cost::Bytes, _) => self.bytes.max(1),
        }
    }
}

/// What one local limit asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The limit.
    pub limit: Rc<Limit>,
    /// How its buckets fill.
    pub terms: Terms,
    /// Which of its buckets.
    pub key: Vec<u8>,
    /// How many tokens.
    pub cost: u64,
}

impl Charge {
    /// What `limit` asks of a request. None where it is not for such, or not counted here.
    pub fn of(limit: &Rc<Limit>, facts: &Facts<'_>) -> Option<Charge> {
        let terms = limit.terms().filter(|_| limit.operations.has(facts.kind))?;
        Some(Charge { limit: limit.clone(), terms, key: key(limit, facts), cost: facts.cost(limit.cost) })
    }

    /// What is due for a pull that has brought so much, beyond the one that it paid for before. None where that was all.
    pub fn due(&self, messages: u64, bytes: u64) -> Option<Charge> {
        let brought = match self.limit.cost {
            Cost::Requests => 1,
            Cost::Messages => messages,
            Cost::Bytes => bytes,
        };
        let cost = brought.checked_sub(1).filter(|due| *due > 0)?;
        Some(Charge { cost, ..self.clone() })
    }
}

impl Limit {
    /// How its buckets fill, where they are kept here.
    pub fn terms(&self) -> Option<Terms> {
        match self.reach {
            Reach::Local { rate, burst } => Some(Terms::new(rate, burst)),
            Reach::Fleet(_) => None,
        }
    }
}

/// Ends each text of a key. It stands in no text.
pub(super) const END: u8 = 0xFF;

/// The name of the limit and the values of its key, each with its end.
fn key(limit: &Limit, facts: &Facts<'_>) -> Vec<u8> {
    let texts = || core::iter::once(&*limit.name).chain(limit.key.iter().map(|key| facts.value(*key)));
    let mut bytes = Vec::with_capacity(texts().map(|text| text.len() + 1).sum());
    for text in texts() {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(END);
    }
    bytes
}
