//! A group's place in the broker: its lock, its timer, and the long polls that wait for it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Broker;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::group::Group;
use crate::names::{ConsumerId, GroupName, TopicName};
use crate::storage::Mark;

/// A group behind its lock.
pub(super) struct GroupCell {
    name: GroupName,
    guarded: Mutex<Guarded>,
    /// Told when something is due before the moment that the timer waits for.
    rearm: Notify,
}

struct Guarded {
    group: Group,
    polls: HashMap<ConsumerId, Polls>,
    /// The moment that the timer waits for.
    armed: Option<Timestamp>,
    /// Of what the group did last.
    mark: Mark,
}

/// What an operation came to.
pub(super) struct Applied<T> {
    /// The result, and how far storage has to be durable before it may be told.
    pub(super) outcome: Result<(T, Mark), Error>,
    /// The dead-letter topics whose groups are to be told.
    pub(super) dead_lettered: Vec<TopicName>,
}

/// The open polls of one consumer.
struct Polls {
    open: usize,
    signal: Arc<Notify>,
}

impl GroupCell {
    pub(super) fn new(name: GroupName, group: Group) -> Self {
        let guarded = Guarded { group, polls: HashMap::new(), armed: None, mark: Mark::default() };
        Self { name, guarded: Mutex::new(guarded), rearm: Notify::new() }
    }

    pub(super) fn name(&self) -> &GroupName {
        &self.name
    }

    /// Reads the group under its lock.
    pub(super) fn look<T>(&self, read: impl FnOnce(&Group) -> T) -> T {
        read(&self.guarded.lock().group)
    }

    /// Runs an operation at the present moment and carries its effects out. The mark is how far storage has to be
    /// durable before the result, be it a refusal, may be told: that of all that the group did so far, for the result
    /// may rest on any of it.
    pub(super) fn apply<T>(
        &self,
        broker: &Broker,
        operation: impl FnOnce(&mut Group, Timestamp) -> T,
    ) -> Result<(T, Mark), Error> {
        let Applied { outcome, dead_lettered } = self.apply_silently(broker, operation);
        // Groups are told of dead letters after this one's lock is let go: no group's lock is taken under another's.
        for topic in dead_lettered {
            broker.announce_all(&topic);
        }
        outcome
    }

    /// The same for a caller with a lock that telling others needs: it tells them of the dead letters afterwards.
    pub(super) fn apply_silently<T>(
        &self,
        broker: &Broker,
        operation: impl FnOnce(&mut Group, Timestamp) -> T,
    ) -> Applied<T> {
        let mut guarded = self.guarded.lock();
        // Read under the lock, so that a group's operations see time go forward.
        let now = broker.now();
        let result = operation(&mut guarded.group, now);
        let effects = guarded.group.take_effects();
        for consumer in &effects.wake {
            if let Some(polls) = guarded.polls.get(consumer) {
                polls.signal.notify_one();
            }
        }
        let due = guarded.group.next_due();
        if due.is_some_and(|due| guarded.armed.is_none_or(|armed| due < armed)) {
            guarded.armed = due;
            self.rearm.notify_one();
        }
        guarded.mark = guarded.mark.max(effects.mark);
        let recorded = match effects.changes.is_empty() {
            true => Ok(guarded.mark),
            false => broker.storage.record(guarded.group.story(effects.changes)),
        };
        if let Ok(mark) = recorded {
            guarded.mark = mark;
        }
        let outcome = recorded.map(|mark| (result, mark)).map_err(Error::from);
        Applied { outcome, dead_lettered: effects.dead_lettered }
    }

    /// Lets due events happen; returns the moment of the next.
    fn tick(&self, broker: &Broker) -> Option<Timestamp> {
        if let Err(error) = self.apply(broker, Group::advance) {
            tracing::error!(group = %self.name, %error, "what came due could not be recorded");
        }
        let mut guarded = self.guarded.lock();
        guarded.armed = guarded.group.next_due();
        guarded.armed
    }

    /// Registers an open poll; the signal is given when it may find something.
    pub(super) fn open_poll(self: &Arc<Self>, broker: &Arc<Broker>, consumer: ConsumerId) -> OpenPoll {
        let mut guarded = self.guarded.lock();
        guarded.group.poll_opened(consumer);
        let polls = guarded.polls.entry(consumer).or_insert_with(|| Polls { open: 0, signal: Arc::default() });
        polls.open += 1;
        // What came between the pull that found nothing and this moment found no poll to wake.
        polls.signal.notify_one();
        OpenPoll { signal: Arc::clone(&polls.signal), cell: Arc::clone(self), broker: Arc::clone(broker), consumer }
    }
}

/// A long poll that waits; dropped when it is answered and when its client goes away.
pub(super) struct OpenPoll {
    pub(super) signal: Arc<Notify>,
    cell: Arc<GroupCell>,
    broker: Arc<Broker>,
    consumer: ConsumerId,
}

impl Drop for OpenPoll {
    fn drop(&mut self) {
        let closed = self.cell.apply(&self.broker, |group, now| group.poll_closed(self.consumer, now));
        if let Err(error) = closed {
            tracing::error!(group = %self.cell.name, %error, "the end of a poll could not be recorded");
        }
        let mut guarded = self.cell.guarded.lock();
        if let Some(polls) = guarded.polls.get_mut(&self.consumer) {
            polls.open -= 1;
            if polls.open == 0 {
                guarded.polls.remove(&self.consumer);
            } else {
                // It may have taken a signal with it, and a consumer that may not go on is signalled once: the next
                // poll looks as well.
                polls.signal.notify_one();
            }
        }
    }
}

/// The timer of a group: lets what is due happen until the broker stops.
pub(super) async fn keep_time(broker: Arc<Broker>, cell: Arc<GroupCell>) {
    loop {
        let due = cell.tick(&broker);
        let sleep = async {
            match due {
                Some(due) => tokio::time::sleep(broker.now().until(due)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = cell.rearm.notified() => {}
            () = broker.stopping.cancelled() => return,
        }
    }
}
