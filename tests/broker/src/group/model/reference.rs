//! The model: a list of messages, each with its state, searched from end to end for everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::PARTITIONS;
use crate::clock::{Millis, Timestamp};
use crate::group::assignment::share;
use crate::group::lifecycle::Lifecycle;
use crate::group::settings::{AckTimeout, Acknowledgement, Rules, Semantics, Settings};
use crate::group::{PullRequest, Pulled};
use crate::ledger::{Entry, Totals};
use crate::message::Position;
use crate::names::{ConsumerId, LeaseId, Offset, PartitionId, Receipt};

/// A message as the model sees it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Status {
    New,
    Ready { reconsume_times: u32, at: Timestamp },
    Leased { lease: LeaseId, consumer: ConsumerId, ack_timeout: Millis, deadline: Timestamp, reconsume_times: u32 },
    Acknowledged,
    DeadLettered,
    Archived,
    Forgotten,
}

pub(super) struct ModelConsumer {
    pub(super) settings: Arc<Settings>,
    pub(super) state: Lifecycle,
    pub(super) last_seen: Timestamp,
    pub(super) joined: Option<u64>,
    pub(super) polls: u32,
}

pub(super) struct Model {
    pub(super) rules: Rules,
    pub(super) now: Timestamp,
    pub(super) messages: Vec<Vec<Status>>,
    pub(super) owners: Vec<Option<ConsumerId>>,
    pub(super) consumers: BTreeMap<ConsumerId, ModelConsumer>,
    pub(super) joins: u64,
    pub(super) acknowledged: Vec<LeaseId>,
    pub(super) deliveries: u64,
    pub(super) redeliveries: u64,
    /// Whether dead letters cannot be written at present.
    pub(super) letters_fail: bool,
}

impl Model {
    pub(super) fn advance(&mut self, now: Timestamp) {
        loop {
            let expiry = self
                .positions()
                .filter_map(|position| match self.status(position) {
                    Status::Leased { deadline, lease, .. } => Some((*deadline, *lease, position)),
                    _ => None,
                })
                .min_by_key(|(deadline, lease, _)| (*deadline, *lease))
                .filter(|(deadline, ..)| *deadline <= now);
            let silence = self.silent_from().filter(|from| *from <= now);
            match (expiry, silence) {
                (Some((deadline, _, position)), silence) if silence.is_none_or(|from| deadline <= from) => {
                    self.now = self.now.max(deadline);
                    self.fail(position);
                }
                (_, Some(from)) => {
                    self.now = from;
                    for consumer in self.consumers.values_mut().filter(|consumer| consumer.polls == 0) {
                        if consumer.last_seen + self.rules.silence() <= from {
                            consumer.joined = None;
                        }
                    }
                    self.share_out();
                }
                _ => break,
            }
        }
        self.now = now;
    }

    pub(super) fn silent_from(&self) -> Option<Timestamp> {
        let members = self.consumers.values().filter(|consumer| consumer.joined.is_some() && consumer.polls == 0);
        members.map(|consumer| consumer.last_seen + self.rules.silence()).min()
    }

    pub(super) fn positions(&self) -> impl Iterator<Item = Position> + use<> {
        let lengths: Vec<usize> = self.messages.iter().map(Vec::len).collect();
        lengths.into_iter().enumerate().flat_map(|(partition, length)| {
            (0..length as u64)
                .map(move |offset| Position { partition: PartitionId(partition as u32), offset: Offset(offset) })
        })
    }

    pub(super) fn status(&self, at: Position) -> &Status {
        &self.messages[at.partition.index()][at.offset.0 as usize]
    }

    pub(super) fn set(&mut self, at: Position, status: Status) {
        self.messages[at.partition.index()][at.offset.0 as usize] = status;
    }

    /// Judges a leased message as failed.
    pub(super) fn fail(&mut self, at: Position) {
        let Status::Leased { consumer, reconsume_times, .. } = *self.status(at) else { panic!("{at:?} is not leased") };
        let settings = Arc::clone(&self.consumers[&consumer].settings);
        let rest = self.rules.rest(settings.semantics, reconsume_times);
        let status = if reconsume_times < settings.max_reconsume_times {
            Status::Ready { reconsume_times: reconsume_times + 1, at: self.now + rest }
        } else if settings.dead_letter.is_some() && self.letters_fail {
            Status::Ready { reconsume_times, at: self.now + rest }
        } else if settings.dead_letter.is_some() {
            Status::DeadLettered
        } else {
            Status::Archived
        };
        self.set(at, status);
    }

    pub(super) fn touch(&mut self, id: ConsumerId) {
        let consumer = self.consumers.get_mut(&id).unwrap();
        consumer.last_seen = self.now;
        if consumer.state.takes_part() && consumer.joined.is_none() {
            self.joins += 1;
            consumer.joined = Some(self.joins);
            self.share_out();
        }
    }

    pub(super) fn share_out(&mut self) {
        let mut members: Vec<_> = self.consumers.iter().filter_map(|(id, c)| Some((c.joined?, *id))).collect();
        members.sort_unstable();
        let members: Vec<ConsumerId> = members.into_iter().map(|(_, id)| id).collect();
        let owners = share(&self.owners, &members);
        for at in self.positions() {
            if let Status::Leased { consumer, reconsume_times, .. } = *self.status(at)
                && owners[at.partition.index()] != self.owners[at.partition.index()]
            {
                let status = match self.consumers[&consumer].settings.semantics {
                    Semantics::Legacy => Status::Forgotten,
                    Semantics::Fixed => Status::Ready { reconsume_times, at: self.now },
                };
                self.set(at, status);
            }
        }
        self.owners = owners;
    }

    /// Takes over what a pull delivered, after checking that it delivered what it had to.
    pub(super) fn pulled(&mut self, id: ConsumerId, request: &PullRequest, pulled: &Pulled) {
        let ready = |status: &Status| match status {
            Status::New => Some(0),
            Status::Ready { reconsume_times, at } if *at <= self.now => Some(*reconsume_times),
            _ => None,
        };
        let mine = |position: &Position| self.owners[position.partition.index()] == Some(id);
        let available: Vec<(Position, u32)> = self
            .positions()
            .filter(mine)
            .filter_map(|position| Some((position, ready(self.status(position))?)))
            .collect();
        let due = available.len().min(request.max_messages as usize);
        assert_eq!(pulled.deliveries.len(), due, "a pull takes all that is ready, up to its limit");
        for partition in (0..PARTITIONS).map(PartitionId) {
            let got: Vec<_> = pulled.deliveries.iter().filter(|d| d.position.partition == partition).collect();
            let lowest = available.iter().filter(|(position, _)| position.partition == partition);
            for (delivery, (position, reconsume_times)) in got.iter().zip(lowest) {
                assert_eq!((delivery.position, delivery.reconsume_times), (*position, *reconsume_times));
            }
        }
        let settings = Arc::clone(&self.consumers[&id].settings);
        let ack_timeout = request.ack_timeout.unwrap_or(settings.ack_timeout);
        for delivery in &pulled.deliveries {
            let at = delivery.position;
            let lease = delivery.receipt.lease;
            self.deliveries += 1;
            self.redeliveries += u64::from(*self.status(at) != Status::New);
            let reconsume_times = delivery.reconsume_times;
            if settings.acknowledgement == Acknowledgement::Auto {
                self.acknowledged.push(lease);
                self.set(at, Status::Acknowledged);
            } else if let AckTimeout::After(length) = ack_timeout {
                let deadline = self.now + length;
                self.set(at, Status::Leased { lease, consumer: id, ack_timeout: length, deadline, reconsume_times });
            } else if reconsume_times < settings.max_reconsume_times {
                self.set(at, Status::Ready { reconsume_times: reconsume_times + 1, at: self.now });
            } else {
                self.set(at, Status::Archived);
            }
        }
    }

    /// The process ends and another goes on.
    pub(super) fn restart(&mut self) {
        for consumer in self.consumers.values_mut() {
            consumer.polls = 0;
            if consumer.joined.is_some() {
                consumer.last_seen = self.now;
            }
        }
    }

    /// The message that `receipt` leases to the consumer.
    pub(super) fn leased(&self, id: ConsumerId, receipt: &Receipt) -> Option<Position> {
        self.positions().find(|&position| {
            matches!(self.status(position), Status::Leased { lease, consumer, .. }
                if *lease == receipt.lease && *consumer == id)
        })
    }

    pub(super) fn entry(&self) -> Entry {
        let count = |wanted: fn(&Status) -> bool| self.messages.iter().flatten().filter(|s| wanted(s)).count() as u64;
        Entry {
            published: self.messages.iter().map(|messages| messages.len() as u64).sum(),
            ready: count(|status| matches!(status, Status::New | Status::Ready { .. })),
            in_flight: count(|status| matches!(status, Status::Leased { .. })),
            totals: Totals {
                acked: count(|status| *status == Status::Acknowledged),
                dead_lettered: count(|status| *status == Status::DeadLettered),
                archived: count(|status| *status == Status::Archived),
                forgotten: count(|status| *status == Status::Forgotten),
                deliveries: self.deliveries,
                redeliveries: self.redeliveries,
            },
        }
    }
}
