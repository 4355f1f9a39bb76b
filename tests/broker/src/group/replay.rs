//! A group's story told again, so that the group comes to be what it was when the story was written.
//!
//! What a change does not say follows from where the message was: one that was not leased has been delivered by it, for
//! the first time if it was never before. Rests end by themselves, at the moment that was set.

use std::sync::Arc;

use super::Group;
use super::change::{Change, Fate, Story};
use super::lease::Lease;
use super::membership::Membership;
use super::progress::{Attempt, MessageRef, Rest};
use super::unfit::{Logs, Misfit, Unfit, counted};
use super::verdicts::Verdict;
use crate::clock::Timestamp;
use crate::limits::MAX_TOPICS_PER_GROUP;
use crate::message::Position;
use crate::names::{LeaseId, Offset, PartitionId};

/// Where a message was before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It was ready, or its rest was over.
    Ready(Attempt),
    Leased(LeaseId),
}

impl Group {
    /// Goes through what was written, which must come right after all that the group knows of. The logs must hold what
    /// was published before it. A group that does not fit its story must not be used any more.
    pub(crate) fn replay(&mut self, story: Story, logs: Logs<'_>) -> Result<(), Unfit> {
        self.retell(story, logs).map_err(|misfit| Unfit { group: self.name.clone(), misfit })
    }

    fn retell(&mut self, story: Story, logs: Logs<'_>) -> Result<(), Misfit> {
        if story.group != self.name || story.tag != self.tag {
            return Err(Misfit::Tag);
        }
        // Every change was made at this moment or before; those that need the moment were made at it.
        self.now = self.now.max(story.now);
        for change in story.changes {
            self.redo(change, logs)?;
        }
        if let Some(next) = story.next_lease {
            if next < self.leases.next_unused() {
                return Err(Misfit::LeaseId(next));
            }
            counted(next.0)?;
            self.leases.skip_to(next);
        }
        while let Some((message, rest)) = self.rest_over(self.now) {
            self.topics[message.topic].put_back(message.position, rest.reconsume_times);
        }
        Ok(())
    }

    fn redo(&mut self, change: Change, logs: Logs<'_>) -> Result<(), Misfit> {
        match change {
            Change::TopicAdded { topic, origins } => {
                let progress = self.new_topic(topic, &origins, logs)?;
                if self.topics.len() >= MAX_TOPICS_PER_GROUP {
                    return Err(Misfit::TooMany("topics"));
                }
                self.topics.push(progress);
            }
            Change::Subscribed { consumer, settings } => self.add_consumer(consumer, settings, logs)?,
            Change::Stepped { consumer: id, state } => {
                let now = self.now;
                let consumer = self.consumers.get_mut(&id).ok_or(Misfit::NoConsumer(id))?;
                consumer.state = state;
                consumer.last_seen = now;
            }
            Change::Joined { consumer: id } => {
                let now = self.now;
                let consumer = self.consumers.get_mut(&id).ok_or(Misfit::NoConsumer(id))?;
                if consumer.membership != Membership::Away {
                    return Err(Misfit::Member(id));
                }
                consumer.last_seen = now;
                self.join(id);
            }
            Change::Left { consumer: id, last_seen } => {
                let consumer = self.consumers.get_mut(&id).ok_or(Misfit::NoConsumer(id))?;
                consumer.membership = Membership::Away;
                consumer.last_seen = last_seen;
            }
            Change::Dropped { consumer: id } => match self.consumers.get(&id).map(|consumer| consumer.membership) {
                Some(Membership::Away) => drop(self.consumers.remove(&id)),
                Some(Membership::Member { .. }) => return Err(Misfit::Member(id)),
                None => return Err(Misfit::NoConsumer(id)),
            },
            Change::Shared { topic: at, moved } => {
                let topic = at as usize;
                if topic >= self.topics.len() {
                    return Err(Misfit::NoTopicAt(at));
                }
                self.check_owners(topic, &moved)?;
                self.assign(topic, &moved);
            }
            Change::Removed { topic, partition, below } => self.redo_removal(topic, partition, below)?,
            Change::Message { topic, position, fate } => {
                let message = self.message(topic, position)?;
                self.redo_fate(message, fate)?;
            }
            Change::Extended { lease, deadline } => {
                if self.leases.running(lease).is_none() {
                    return Err(Misfit::NoLease(lease));
                }
                self.leases.extend(lease, deadline);
            }
        }
        Ok(())
    }

    fn redo_removal(&mut self, topic: u32, partition: PartitionId, below: Offset) -> Result<(), Misfit> {
        let message = self.message(topic, Position { partition, offset: below })?;
        let progress = &mut self.topics[message.topic];
        if below > progress.log.end(partition) {
            return Err(self.misplaced(message, "not in the log yet"));
        }
        for (offset, rest) in progress.forget_below(partition, below) {
            let position = Position { partition, offset };
            self.resting.remove(&(rest.until, MessageRef { position, ..message }));
        }
        Ok(())
    }

    fn redo_fate(&mut self, message: MessageRef, fate: Fate) -> Result<(), Misfit> {
        match (self.take_from_its_place(message)?, fate) {
            (Place::Ready(_), Fate::Forgotten) => {
                return Err(self.misplaced(message, "with nobody, who could have lost it"));
            }
            (Place::Ready(attempt), Fate::Leased { lease, .. } | Fate::Acknowledged { lease }) => {
                self.topics[message.topic].count_delivery(attempt);
                self.give_out(lease)?;
            }
            (Place::Ready(attempt), _) => self.topics[message.topic].count_delivery(attempt),
            (Place::Leased(_), Fate::Leased { .. }) => return Err(self.misplaced(message, "leased already")),
            (Place::Leased(own), Fate::Acknowledged { lease }) if lease != own => return Err(Misfit::NoLease(lease)),
            (Place::Leased(_), _) => {}
        }
        let verdict = match fate {
            Fate::Leased { lease, consumer: id, reconsume_times, ack_timeout, deadline } => {
                let settings = Arc::clone(&self.consumers.get(&id).ok_or(Misfit::NoConsumer(id))?.settings);
                self.partition(message).leases.insert(message.position.offset, lease);
                let lease_of = Lease { message, consumer: id, settings, reconsume_times, ack_timeout, deadline };
                self.leases.insert(lease, lease_of);
                return Ok(());
            }
            Fate::Ready { reconsume_times, at } => {
                self.rest(message, Rest { until: at, reconsume_times });
                return Ok(());
            }
            Fate::Acknowledged { lease } => {
                self.leases.note_acknowledged(lease);
                Verdict::Acknowledged
            }
            Fate::DeadLettered => Verdict::DeadLettered,
            Fate::Archived => Verdict::Archived,
            Fate::Forgotten => Verdict::Forgotten,
        };
        self.topics[message.topic].settle(message.position, verdict);
        Ok(())
    }

    /// Gives a lease id out, with those before it that went to deliveries which failed as they were made.
    fn give_out(&mut self, lease: LeaseId) -> Result<(), Misfit> {
        if self.leases.is_known(lease) || counted(lease.0).is_err() {
            return Err(Misfit::LeaseId(lease));
        }
        self.leases.skip_to(LeaseId(lease.0 + 1));
        Ok(())
    }

    /// Removes a message from where it waits or is leased.
    fn take_from_its_place(&mut self, message: MessageRef) -> Result<Place, Misfit> {
        let Position { partition, offset } = message.position;
        let now = self.now;
        let end = self.topics[message.topic].log.end(partition);
        let progress = self.partition(message);
        if let Some(lease) = progress.leases.remove(&offset) {
            self.leases.remove(lease).ok_or(Misfit::NoLease(lease))?;
            return Ok(Place::Leased(lease));
        }
        if let Some(reconsume_times) = progress.again.remove(&offset) {
            return Ok(Place::Ready(Attempt::Again { reconsume_times }));
        }
        if let Some(Rest { until, reconsume_times }) = progress.resting.get(&offset).copied() {
            if until > now {
                return Err(self.misplaced(message, "resting"));
            }
            progress.resting.remove(&offset);
            self.resting.remove(&(until, message));
            return Ok(Place::Ready(Attempt::Again { reconsume_times }));
        }
        if offset < progress.next {
            return Err(self.misplaced(message, "settled"));
        }
        if offset > progress.next {
            return Err(self.misplaced(message, "not the next"));
        }
        if offset >= end {
            return Err(self.misplaced(message, "not in the log yet"));
        }
        progress.next.0 += 1;
        Ok(Place::Ready(Attempt::First))
    }

    /// Goes on after a restart, at a moment that may even be before the last. Nobody could be heard of meanwhile, so
    /// that members have the full time from now on. Leases keep the deadlines that their consumers were told: what came
    /// due happens in the next [`advance`](Self::advance).
    pub(crate) fn resume(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        let members = self.consumers.values_mut().filter(|consumer| consumer.membership != Membership::Away);
        let heard = members.map(|consumer| consumer.last_seen = self.now).count();
        self.silence_due = (heard > 0).then(|| self.now + self.rules.silence());
    }
}
