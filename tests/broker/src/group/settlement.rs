//! How a lease ends or goes on: ack, reject, heartbeat, expiry; and where a failed message goes.

use super::Group;
use super::change::{Change, Fate};
use super::lease::Lease;
use super::progress::{MessageRef, Rest};
use super::settings::{AckTimeout, DeadLetterTopic, Settings};
use super::verdicts::Verdict;
use crate::clock::{Millis, Timestamp};
use crate::error::Error;
use crate::message::Death;
use crate::names::{ConsumerId, LeaseId, Receipt};
use crate::storage::codec::Codec;
use crate::storage::{Batch, Cause, StorageError};
use std::sync::Arc;

/// Why a delivery failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Its lease ran out.
    Expired,
    /// The consumer gave it back.
    Rejected,
    /// It was made with an ack timeout of 0, under the legacy semantics.
    ZeroAckTimeout,
}

impl Failure {
    /// The reason that a dead letter states. The legacy semantics' defect is kept on purpose: without time to
    /// acknowledge there is no dead letter.
    fn of_dead_letter(self) -> Option<&'static str> {
        match self {
            Self::Expired => Some("expired"),
            Self::Rejected => Some("rejected"),
            Self::ZeroAckTimeout => None,
        }
    }
}

/// What an ack, a reject or a heartbeat did, receipt by receipt in the request's order.
#[derive(Clone, Debug)]
pub(crate) struct Settled<T> {
    pub(crate) done: Vec<T>,
    pub(crate) failed: Vec<FailedReceipt>,
}

/// A receipt that nothing was done for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct FailedReceipt {
    pub(crate) receipt: Box<str>,
    pub(crate) code: FailureCode,
}

/// Why nothing was done for a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) enum FailureCode {
    /// Its lease is over, or is not this consumer's.
    ReceiptExpired,
    /// It is not a receipt at all.
    InvalidArgument,
}

impl Group {
    /// Acknowledges. A receipt that was acknowledged before is so again: the answer may have been lost.
    pub(crate) fn ack(
        &mut self,
        id: ConsumerId,
        receipts: Vec<Box<str>>,
        now: Timestamp,
    ) -> Result<Settled<Box<str>>, Error> {
        self.settle(id, receipts, now, |group, lease, receipt| {
            if group.leases.was_acknowledged(lease) {
                return Some(receipt.into());
            }
            let ended = group.end_lease(lease, id)?;
            group.topics[ended.message.topic].settle(ended.message.position, Verdict::Acknowledged);
            group.leases.note_acknowledged(lease);
            group.note(ended.message, Fate::Acknowledged { lease });
            Some(receipt.into())
        })
    }

    /// Gives messages back as failed.
    pub(crate) fn reject(
        &mut self,
        id: ConsumerId,
        receipts: Vec<Box<str>>,
        now: Timestamp,
    ) -> Result<Settled<Box<str>>, Error> {
        self.settle(id, receipts, now, |group, lease, receipt| {
            let Lease { message, settings, reconsume_times, .. } = group.end_lease(lease, id)?;
            group.fail(message, &settings, reconsume_times, Failure::Rejected);
            Some(receipt.into())
        })
    }

    /// Has leases end `ack_timeout` from now (each lease's own where there is none); returns the new deadlines. An ack
    /// timeout of 0 ends them as expired.
    pub(crate) fn heartbeat(
        &mut self,
        id: ConsumerId,
        receipts: Vec<Box<str>>,
        ack_timeout: Option<AckTimeout>,
        now: Timestamp,
    ) -> Result<Settled<(Box<str>, Timestamp)>, Error> {
        let settled = self.settle(id, receipts, now, |group, lease, receipt| {
            let own = group.leases.of(lease, id)?.ack_timeout;
            let deadline = group.now + ack_timeout.map_or(own, AckTimeout::millis);
            group.leases.extend(lease, deadline);
            group.effects.changes.push(Change::Extended { lease, deadline });
            Some((receipt.into(), deadline))
        })?;
        self.advance(self.now);
        Ok(settled)
    }

    /// Runs `settle` for the lease of each receipt; `None` means that the consumer has no such lease.
    fn settle<T>(
        &mut self,
        id: ConsumerId,
        receipts: Vec<Box<str>>,
        now: Timestamp,
        mut settle: impl FnMut(&mut Self, LeaseId, &str) -> Option<T>,
    ) -> Result<Settled<T>, Error> {
        self.advance(now);
        self.consumer(id)?.state.may_settle()?;
        self.touch(id)?;
        let mut settled = Settled { done: Vec::with_capacity(receipts.len()), failed: Vec::new() };
        for text in receipts {
            let outcome = match text.parse::<Receipt>() {
                Err(()) => Err(FailureCode::InvalidArgument),
                Ok(receipt) if receipt.group != self.tag => Err(FailureCode::ReceiptExpired),
                Ok(receipt) => settle(self, receipt.lease, &text).ok_or(FailureCode::ReceiptExpired),
            };
            match outcome {
                Ok(done) => settled.done.push(done),
                Err(code) => settled.failed.push(FailedReceipt { receipt: text, code }),
            }
        }
        Ok(settled)
    }

    pub(super) fn lease_expired(&mut self, lease: Lease) {
        self.partition(lease.message).leases.remove(&lease.message.position.offset);
        self.fail(lease.message, &lease.settings, lease.reconsume_times, Failure::Expired);
    }

    fn end_lease(&mut self, id: LeaseId, consumer: ConsumerId) -> Option<Lease> {
        self.leases.of(id, consumer)?;
        let lease = self.leases.remove(id)?;
        self.partition(lease.message).leases.remove(&lease.message.position.offset);
        Some(lease)
    }

    /// Judges a failed delivery: another try, the dead-letter topic or the archive.
    pub(super) fn fail(&mut self, message: MessageRef, settings: &Settings, reconsume_times: u32, failure: Failure) {
        let rest = self.rules.rest(settings.semantics, reconsume_times);
        if reconsume_times < settings.max_reconsume_times {
            return self.retry(message, reconsume_times + 1, rest);
        }
        match (&settings.dead_letter, failure.of_dead_letter()) {
            (Some(dead_letter), Some(reason)) => {
                match self.dead_letter(message, dead_letter, reason, reconsume_times) {
                    Ok(()) => self.topics[message.topic].settle(message.position, Verdict::DeadLettered),
                    // Where the dead letter cannot be written, the message is not let go either.
                    Err(error) => {
                        tracing::warn!(topic = %dead_letter.name, %error, "a dead letter could not be written");
                        self.retry(message, reconsume_times, rest);
                    }
                }
            }
            _ => {
                self.topics[message.topic].settle(message.position, Verdict::Archived);
                self.note(message, Fate::Archived);
            }
        }
    }

    fn retry(&mut self, message: MessageRef, reconsume_times: u32, rest: Millis) {
        let at = self.now + rest;
        self.note(message, Fate::Ready { reconsume_times, at });
        if at <= self.now {
            self.make_ready(message, reconsume_times);
        } else {
            self.rest(message, Rest { until: at, reconsume_times });
        }
    }

    /// Appends the message to the dead-letter topic. Its fate is kept with the letter and with all that happened before:
    /// after a crash both are there or neither.
    fn dead_letter(
        &mut self,
        message: MessageRef,
        to: &DeadLetterTopic,
        reason: &'static str,
        reconsume_times: u32,
    ) -> Result<(), StorageError> {
        let progress = &self.topics[message.topic];
        let position = message.position;
        let died = progress.log.read(position.partition, position.offset)?;
        let attempts = reconsume_times.saturating_add(1);
        let letter = died.to_dead_letter(&Death { origin: &progress.topic, group: &self.name, reason, attempts });
        let partition = to.partition_for(&letter, position.partition);
        let before = self.effects.changes.len();
        self.note(message, Fate::DeadLettered);
        let changes = std::mem::take(&mut self.effects.changes);
        let cause = Cause::DeadLetter(self.story(changes));
        let batch = Batch { messages: vec![(partition, Arc::new(letter))], now: self.now, codec: Codec::None, cause };
        let appended = to.log.append(batch).map_err(|(error, cause)| {
            if let Cause::DeadLetter(story) = cause {
                self.effects.changes = story.changes;
                self.effects.changes.truncate(before);
            }
            error
        })?;
        self.effects.mark = self.effects.mark.max(appended.mark);
        if !self.effects.dead_lettered.contains(&to.name) {
            self.effects.dead_lettered.push(to.name.clone());
        }
        Ok(())
    }
}
