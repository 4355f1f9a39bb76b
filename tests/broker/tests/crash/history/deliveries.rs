//! What a group was delivered, and what it settled.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::messages::{Place, tag_of};
use super::{Event, History, Tag};
use crate::deadline::Deadline;

/// What becomes of a message whose redeliveries have run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// It goes to a dead-letter topic, which this group reads.
    DeadLetter {
        readers: &'static str,
    },
    Archive,
    /// It is acknowledged by its delivery, so that it cannot fail.
    Never,
}

/// How a group consumes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) topic: &'static str,
    pub(crate) max_reconsume_times: u32,
    pub(crate) failing: Failing,
    /// Whether its partitions stay with their consumers, so that no lease ends but by its own deadline.
    pub(crate) stable: bool,
}

/// A message that a consumer holds.
#[derive(Clone, Debug)]
pub(crate) struct Leased {
    pub(crate) tag: Tag,
    pub(crate) receipt: String,
    reconsume_times: u32,
    /// Until then the lease runs in any case; `None` where the partition may be taken away.
    sure_until: Option<Deadline>,
}

/// A pull that was sent.
pub(crate) struct Pull {
    sent: u64,
    group: &'static str,
    max: u64,
    lease: Deadline,
}

/// One message, as a group has met it.
#[derive(Default)]
struct Met {
    place: Option<Place>,
    deliveries: u32,
    /// When the last delivery was answered, and its `reconsumeTimes`.
    last: Option<(u64, u32)>,
    /// When it was answered that the message is settled.
    settled: Option<(u64, Settled)>,
    /// Whether an ack was sent and not answered.
    unresolved: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    Acked,
    Failed,
}

/// What happened in a group.
pub(crate) struct GroupHistory {
    pub(crate) name: &'static str,
    pub(crate) terms: Terms,
    met: HashMap<Tag, Met>,
    /// The highest offset of each partition that was delivered for the first time.
    first_deliveries: HashMap<u64, u64>,
    deliveries: u64,
    /// As many messages may have been delivered to pulls that were not answered.
    unseen: u64,
}

impl GroupHistory {
    pub(super) fn new(name: &'static str, terms: Terms) -> Self {
        let (met, first_deliveries) = (HashMap::new(), HashMap::new());
        Self { name, terms, met, first_deliveries, deliveries: 0, unseen: 0 }
    }

    /// Messages whose ack was answered, and those whose ack may have been done as well.
    pub(crate) fn acked(&self) -> (u64, u64) {
        let acked = self.met.values().filter(|met| met.is_acked()).count() as u64;
        let unresolved = self.met.values().filter(|met| !met.is_acked() && met.unresolved).count() as u64;
        let unseen = if self.terms.failing == Failing::Never { self.unseen } else { 0 };
        (acked, acked + unresolved + unseen)
    }

    /// Deliveries that a consumer has seen, and as many as there may have been.
    pub(crate) fn deliveries(&self) -> (u64, u64) {
        (self.deliveries, self.deliveries + self.unseen)
    }

    /// Different messages that a consumer has seen.
    pub(crate) fn seen(&self) -> u64 {
        self.met.values().filter(|met| met.deliveries > 0).count() as u64
    }

    /// Messages that were delivered more than once, to the consumers' knowledge.
    pub(crate) fn redeliveries(&self) -> u64 {
        self.deliveries - self.seen()
    }

    fn has_seen(&self, tag: &str) -> bool {
        self.met.get(tag).is_some_and(|met| met.deliveries > 0)
    }
}

impl Met {
    fn is_acked(&self) -> bool {
        matches!(self.settled, Some((_, Settled::Acked)))
    }
}

impl Leased {
    /// Fails if the broker says that the lease has expired, and it cannot have.
    fn check_expired(&self, history: &History, group: &'static str) -> Result<(), String> {
        match self.sure_until {
            Some(until) if until.is_ahead() => {
                let what = format!("{group} was told ReceiptExpired for {} while its lease ran", self.receipt);
                Err(history.violation(&self.tag, what))
            }
            _ => Ok(()),
        }
    }
}

impl History {
    fn met(&mut self, group: &'static str, tag: &Tag) -> &mut Met {
        let group = self.groups.get_mut(group).expect("a group of the run");
        group.met.entry(tag.clone()).or_default()
    }

    fn group_mut(&mut self, group: &'static str) -> &mut GroupHistory {
        self.groups.get_mut(group).expect("a group of the run")
    }

    /// A pull is about to be sent for at most `max` messages, whose leases run for `lease`.
    pub(crate) fn pulling(&mut self, group: &'static str, max: u64, lease: Duration) -> Pull {
        Pull { sent: self.tick(), group, max, lease: Deadline::after(lease) }
    }

    /// A pull was not answered.
    pub(crate) fn pull_unanswered(&mut self, pull: &Pull) {
        self.group_mut(pull.group).unseen += pull.max;
    }

    /// A pull was answered.
    pub(crate) fn delivered(&mut self, pull: &Pull, answer: &Value) -> Result<Vec<Leased>, String> {
        let messages = answer["messages"].as_array().ok_or_else(|| format!("a pull was answered {answer}"))?;
        messages.iter().map(|message| self.delivery(pull, message)).collect()
    }

    fn delivery(&mut self, pull: &Pull, message: &Value) -> Result<Leased, String> {
        let text = |field: &str| message[field].as_str().ok_or_else(|| format!("no {field}: {message}"));
        let tag = Tag::from(tag_of(text("body")?)?);
        let receipt = text("receipt")?.to_owned();
        let reconsume_times = message["reconsumeTimes"].as_u64().and_then(|times| u32::try_from(times).ok());
        let reconsume_times = reconsume_times.ok_or_else(|| format!("no reconsumeTimes: {message}"))?;
        let Pull { sent, group, .. } = *pull;
        let terms = self.groups[group].terms;
        let place = Place::stated(message)?;
        if terms.topic == super::ORDERS {
            self.appeared(&tag, place.clone(), &message["key"])?;
        } else {
            self.letter(&tag, &place, message)?;
        }
        self.note(&tag, Event::Delivered { group, reconsume_times });
        let now = self.tick();

        let met = self.met(group, &tag);
        let wrong = match (&met.place, met.settled, met.last) {
            (Some(earlier), ..) if *earlier != place => Some(format!("{group} has it twice, at {earlier} and {place}")),
            (_, Some((settled, how)), _) if sent > settled => {
                let how = if how == Settled::Acked { "its ack" } else { "its last reject" };
                Some(format!("delivered to {group} again after {how} was answered"))
            }
            (.., Some((answered, before))) if sent > answered && reconsume_times < before + u32::from(terms.stable) => {
                Some(format!("delivered to {group} with reconsumeTimes {reconsume_times} after {before}"))
            }
            _ if reconsume_times > terms.max_reconsume_times => {
                Some(format!("delivered to {group} with reconsumeTimes {reconsume_times}"))
            }
            _ => None,
        };
        met.deliveries += 1;
        met.last = Some((now, reconsume_times));
        if terms.failing == Failing::Never {
            met.settled = Some((now, Settled::Acked));
        }
        let (partition, offset) = (place.partition, place.offset);
        met.place = Some(place);
        if let Some(wrong) = wrong {
            return Err(self.violation(&tag, wrong));
        }
        let of_group = self.group_mut(group);
        of_group.deliveries += 1;
        if terms.stable && reconsume_times == 0 {
            let before = of_group.first_deliveries.insert(partition, offset);
            if before.is_some_and(|before| before >= offset) {
                let what = format!("delivered to {group} for the first time after offset {}", before.unwrap_or(0));
                return Err(self.violation(&tag, what));
            }
        }
        let sure_until = terms.stable.then_some(pull.lease);
        Ok(Leased { tag, receipt, reconsume_times, sure_until })
    }

    /// A dead letter was delivered.
    fn letter(&self, tag: &Tag, place: &Place, letter: &Value) -> Result<(), String> {
        let origin = letter["headers"]["X-DingTalk-MQ-DeadLetter"].as_str();
        if origin != Some(super::ORDERS) {
            return Err(self.violation(tag, format_args!("a dead letter without its origin: {letter}")));
        }
        match self.messages.get(tag) {
            Some(message) if message.place.as_ref().is_none_or(|first| first.id == place.id) => Ok(()),
            _ => Err(self.violation(tag, format_args!("a dead letter with another id, or never published: {place}"))),
        }
    }

    /// An ack is about to be sent.
    pub(crate) fn acking(&mut self, group: &'static str, leased: &[Leased]) {
        for Leased { tag, .. } in leased {
            self.met(group, tag).unresolved = true;
            self.note(tag, Event::AckSent { group });
        }
    }

    /// An ack was answered; each receipt must be in the answer.
    pub(crate) fn acked(&mut self, group: &'static str, leased: &[Leased], answer: &Value) -> Result<(), String> {
        for (leased, done) in self.settled(group, leased, answer, "acked")? {
            let now = self.tick();
            let met = self.met(group, &leased.tag);
            met.unresolved = false;
            if done {
                met.settled = Some((now, Settled::Acked));
                self.note(&leased.tag, Event::Acked { group });
            } else {
                self.note(&leased.tag, Event::AckRefused { group });
                leased.check_expired(self, group)?;
            }
        }
        Ok(())
    }

    /// A reject was answered; each receipt must be in the answer.
    pub(crate) fn rejected(&mut self, group: &'static str, leased: &[Leased], answer: &Value) -> Result<(), String> {
        let max = self.groups[group].terms.max_reconsume_times;
        for (leased, done) in self.settled(group, leased, answer, "rejected")? {
            if !done {
                leased.check_expired(self, group)?;
            } else if leased.reconsume_times == max {
                let now = self.tick();
                self.met(group, &leased.tag).settled = Some((now, Settled::Failed));
                self.note(&leased.tag, Event::Failed { group });
            }
        }
        Ok(())
    }

    fn settled<'a>(
        &self,
        group: &'static str,
        leased: &'a [Leased],
        answer: &Value,
        done: &str,
    ) -> Result<Vec<(&'a Leased, bool)>, String> {
        let is_done = |leased: &&'a Leased| {
            let done = answer[done].as_array().is_some_and(|done| done.iter().any(|one| *one == *leased.receipt));
            let failed = answer["failed"].as_array().is_some_and(|failed| {
                failed.iter().any(|one| one["receipt"] == *leased.receipt && one["code"] == "ReceiptExpired")
            });
            match done != failed {
                true => Ok((*leased, done)),
                false => {
                    let what = format!("{group} got no verdict on the receipt {}: {answer}", leased.receipt);
                    Err(self.violation(&leased.tag, what))
                }
            }
        };
        leased.iter().map(|leased| is_done(&leased)).collect()
    }

    /// What the end of a run must find in a group that has nothing left to deliver, given how many messages it settled
    /// neither by an ack that was answered nor by a dead letter.
    pub(crate) fn check_fates(&self, group: &GroupHistory, gone: u64) -> Result<(), String> {
        let letters = match group.terms.failing {
            Failing::DeadLetter { readers } => self.groups.get(readers),
            Failing::Archive | Failing::Never => None,
        };
        let (mut unaccounted, mut unseen) = (0, 0);
        for tag in self.published_tags() {
            let met = group.met.get(tag);
            let is_letter = letters.is_some_and(|letters| letters.has_seen(tag));
            let is_acked = met.is_some_and(Met::is_acked);
            if is_acked && is_letter {
                let what = format!("acknowledged by {}, and a dead letter as well", group.name);
                return Err(self.violation(tag, what));
            }
            if is_acked {
                continue;
            }
            let seen = met.map_or(0, |met| met.deliveries);
            unseen += match group.terms.stable {
                true => u64::from((group.terms.max_reconsume_times + 1).saturating_sub(seen)),
                false => u64::from(seen == 0),
            };
            unaccounted += u64::from(!is_letter);
            if unaccounted > gone || unseen > group.unseen {
                let what = format!(
                    "lost: {} did not acknowledge it, dead letter: {is_letter}; {unaccounted} such messages without a \
                     dead letter, the ledger has {gone}; {unseen} deliveries nobody has seen, of at most {}",
                    group.name, group.unseen
                );
                return Err(self.violation(tag, what));
            }
        }
        match unaccounted == gone {
            true => Ok(()),
            false => Err(format!(
                "the ledger says that {} gave {gone} messages up, and it acknowledged all but {unaccounted}",
                group.name
            )),
        }
    }
}
