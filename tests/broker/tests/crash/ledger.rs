//! The broker's account of every message, held against itself, against what it said before, and against what was
//! answered.

use serde::Deserialize;

use crate::client::{Api, Halt};
use crate::history::{Failing, History, ORDERS};

/// One group in one topic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    topic: String,
    group: String,
    pub(crate) published: u64,
    pub(crate) ready: u64,
    pub(crate) in_flight: u64,
    pub(crate) acked: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) archived: u64,
    pub(crate) forgotten: u64,
    pub(crate) deliveries: u64,
    pub(crate) redeliveries: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct TopicAccount {
    topic: String,
    published: u64,
}

/// The whole account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Ledger {
    topics: Vec<TopicAccount>,
    entries: Vec<Entry>,
}

impl Entry {
    /// Figures that only grow, whatever ends the broker.
    fn growing(&self) -> [(&'static str, u64); 7] {
        let Self { published, acked, dead_lettered, archived, forgotten, deliveries, redeliveries, .. } = *self;
        [
            ("published", published),
            ("acked", acked),
            ("deadLettered", dead_lettered),
            ("archived", archived),
            ("forgotten", forgotten),
            ("deliveries", deliveries),
            ("redeliveries", redeliveries),
        ]
    }

    /// Whether every message has met its end.
    pub(crate) fn is_drained(&self) -> bool {
        self.ready == 0 && self.in_flight == 0
    }
}

impl Ledger {
    /// Reads it; each entry must add up.
    pub(crate) async fn read(api: &Api) -> Result<Self, Halt> {
        let answer = api.ledger().await?.ok()?;
        let ledger: Self = serde_json::from_value(answer.clone()).map_err(|error| format!("{error}: {answer}"))?;
        for entry in &ledger.entries {
            let Entry { ready, in_flight, acked, dead_lettered, archived, forgotten, .. } = *entry;
            if entry.published != ready + in_flight + acked + dead_lettered + archived + forgotten {
                return Err(format!("the ledger does not add up: {entry:?}").into());
            }
        }
        Ok(ledger)
    }

    /// The account of a group of the run, in the topic that it consumes.
    pub(crate) fn entry(&self, group: &str) -> Result<&Entry, String> {
        let found = self.entries.iter().find(|entry| entry.group == group);
        found.ok_or_else(|| format!("lost: the ledger has no group {group}, whose consumers were told they subscribed"))
    }

    /// The entries of these groups that have messages left.
    pub(crate) fn left(&self, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| wanted(&entry.group) && !entry.is_drained())
    }

    /// Messages published, and over all groups: acks, dead letters, redeliveries.
    pub(crate) fn totals(&self) -> (u64, u64, u64, u64) {
        let sum = |figure: fn(&Entry) -> u64| self.entries.iter().map(figure).sum();
        let published = self.topics.iter().filter(|account| account.topic == ORDERS).map(|account| account.published);
        let redeliveries = sum(|entry| entry.redeliveries);
        (published.sum(), sum(|entry| entry.acked), sum(|entry| entry.dead_lettered), redeliveries)
    }

    /// How many messages a topic has.
    pub(crate) fn published(&self, topic: &str) -> Result<u64, String> {
        let found = self.topics.iter().find(|account| account.topic == topic);
        let found = found.ok_or_else(|| format!("lost: the ledger has no topic {topic}, whose making was answered"))?;
        Ok(found.published)
    }

    /// Fails if a figure that only grows was greater before.
    pub(crate) fn check_grown(&self, before: &Self) -> Result<(), String> {
        for was in &before.entries {
            let is = self.entry(&was.group)?;
            for ((name, was), (_, is)) in was.growing().into_iter().zip(is.growing()) {
                if is < was {
                    return Err(format!("lost: {name} was {was} before the broker ended, and is {is}: {self:?}"));
                }
            }
        }
        Ok(())
    }

    /// Fails if the figures cannot be, after what was answered and while nothing is asked.
    pub(crate) fn check_answered(&self, history: &History) -> Result<(), String> {
        let (least, most) = history.published_count();
        within("published", self.published(ORDERS)?, least, most)?;
        for group in history.groups() {
            let entry = self.entry(group.name)?;
            let name = |figure: &str| format!("{figure} of {}", group.name);
            // Leases run out while nothing is asked, so that dead letters may come between the topics and the groups.
            let published = self.published(group.terms.topic)?;
            if entry.published < published || (group.terms.topic == ORDERS && entry.published > published) {
                return Err(format!("a group does not see what its topic has: {self:?}"));
            }
            let (least, most) = group.acked();
            within(&name("acked"), entry.acked, least, most)?;
            let (least, most) = group.deliveries();
            within(&name("deliveries"), entry.deliveries, least, most)?;
            let (least, most) = (group.redeliveries(), entry.deliveries - group.seen());
            within(&name("redeliveries"), entry.redeliveries, least, most)?;
            if group.terms.stable {
                within(&name("forgotten"), entry.forgotten, 0, 0)?;
            }
            match group.terms.failing {
                Failing::DeadLetter { .. } => within(&name("archived"), entry.archived, 0, 0)?,
                Failing::Archive => within(&name("deadLettered"), entry.dead_lettered, 0, 0)?,
                Failing::Never => within(&name("given up"), entry.dead_lettered + entry.archived, 0, 0)?,
            }
        }
        Ok(())
    }
}

/// Fails unless `least <= value <= most`.
fn within(name: &str, value: u64, least: u64, most: u64) -> Result<(), String> {
    match value {
        _ if value < least => Err(format!("lost: the ledger has {value} {name}, and {least} were answered")),
        _ if value > most => Err(format!("the ledger has {value} {name}, and at most {most} were asked for")),
        _ => Ok(()),
    }
}

/// What a drained group is to have: the figures that were answered, and nothing else.
pub(crate) fn check_end(ledger: &Ledger, history: &History) -> Result<(), String> {
    ledger.check_answered(history)?;
    for group in history.groups() {
        let entry = ledger.entry(group.name)?;
        if !entry.is_drained() {
            return Err(format!("a drained group has messages left: {entry:?}"));
        }
        if entry.deliveries != entry.published + entry.redeliveries {
            return Err(format!("not every message was delivered for the first time once: {entry:?}"));
        }
        if group.terms.topic != ORDERS {
            if group.seen() != entry.published || entry.acked != entry.published {
                return Err(format!("not every dead letter was read and acknowledged: {entry:?}"));
            }
            continue;
        }
        let gone = match group.terms.failing {
            Failing::DeadLetter { readers } => {
                let letters = history.group(readers).seen();
                within("dead letters in the end", entry.dead_lettered, letters, letters)?;
                0
            }
            Failing::Archive => entry.archived + entry.forgotten,
            // Acknowledged by a delivery that nobody saw.
            Failing::Never => entry.published - group.seen(),
        };
        history.check_fates(group, gone)?;
    }
    history.check_places()
}
