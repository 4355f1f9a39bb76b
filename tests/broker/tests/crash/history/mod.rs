//! What was asked and answered, over all runs of the broker, and what may therefore not happen any more.
//!
//! Every message has a name of its own, its *tag*, at the front of its body. Before and after are those of the client:
//! a delivery comes after an answer if its pull was sent once that answer had arrived.

mod deliveries;
mod messages;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

pub(crate) use deliveries::{Failing, GroupHistory, Leased, Pull, Terms};
pub(crate) use messages::{Batch, Draft, Standing};
use messages::{Message, Place};

/// The name of a message.
pub(crate) type Tag = std::sync::Arc<str>;

/// The topic that everything is published to.
pub(crate) const ORDERS: &str = "orders";

/// Everything that was asked and answered.
pub(crate) struct History {
    started: Instant,
    /// How often the broker has been ended.
    pub(crate) cycle: u32,
    /// Counts the moments at which something was asked or answered.
    clock: u64,
    messages: HashMap<Tag, Message>,
    batches: Vec<messages::BatchHistory>,
    /// Whose message each id is.
    ids: HashMap<String, Tag>,
    groups: HashMap<&'static str, GroupHistory>,
}

/// One moment of a message's life, as the client saw it.
#[derive(Clone, Debug)]
struct Noted {
    cycle: u32,
    at: Duration,
    event: Event,
}

/// What happened to a message, as far as the client knows.
#[derive(Clone, Debug)]
enum Event {
    Sent,
    Published,
    Stood(Standing),
    Delivered { group: &'static str, reconsume_times: u32 },
    AckSent { group: &'static str },
    Acked { group: &'static str },
    AckRefused { group: &'static str },
    Failed { group: &'static str },
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cycle {} at {} ms ", self.cycle, self.at.as_millis())?;
        match &self.event {
            Event::Sent => write!(f, "publish sent"),
            Event::Published => write!(f, "publish answered"),
            Event::Stood(standing) => write!(f, "{standing}"),
            Event::Delivered { group, reconsume_times } => {
                write!(f, "delivered to {group}, reconsumeTimes {reconsume_times}")
            }
            Event::AckSent { group } => write!(f, "ack sent by {group}"),
            Event::Acked { group } => write!(f, "ack answered to {group}"),
            Event::AckRefused { group } => write!(f, "ack of {group} answered ReceiptExpired"),
            Event::Failed { group } => write!(f, "last reject answered to {group}"),
        }
    }
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            cycle: 0,
            clock: 0,
            messages: HashMap::new(),
            batches: Vec::new(),
            ids: HashMap::new(),
            groups: HashMap::new(),
        }
    }

    /// A group that consumes `topic` from now on.
    pub(crate) fn add_group(&mut self, name: &'static str, terms: Terms) {
        self.groups.insert(name, GroupHistory::new(name, terms));
    }

    pub(crate) fn group(&self, name: &str) -> &GroupHistory {
        &self.groups[name]
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &GroupHistory> {
        self.groups.values()
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn note(&mut self, tag: &str, event: Event) {
        let noted = Noted { cycle: self.cycle, at: self.started.elapsed(), event };
        if let Some(message) = self.messages.get_mut(tag) {
            message.life.push(noted);
        }
    }

    /// A violation that one message shows, with its life.
    fn violation(&self, tag: &str, what: impl fmt::Display) -> String {
        let Some(message) = self.messages.get(tag) else { return format!("message {tag}: {what}") };
        let place = message.place.as_ref().map_or("its id was never answered".to_owned(), Place::to_string);
        let life: Vec<String> = message.life.iter().map(Noted::to_string).collect();
        format!("message {tag} ({place}): {what}; {}", life.join(", "))
    }
}
