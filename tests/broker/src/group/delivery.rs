//! Pull: taking ready messages, and what is settled by the delivery itself.

use std::sync::Arc;

use super::change::{Change, Fate};
use super::lease::Lease;
use super::progress::{Attempt, MessageRef, Taken};
use super::settings::{AckTimeout, Acknowledgement, Semantics, Settings};
use super::settlement::Failure;
use super::verdicts::Verdict;
use super::{Group, PartitionId};
use crate::clock::{Millis, Timestamp};
use crate::error::Error;
use crate::message::Position;
use crate::names::{ConsumerId, LeaseId, Receipt};
use crate::storage::TopicLog;

/// What a pull asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PullRequest {
    /// At most this many messages.
    pub(crate) max_messages: u32,
    /// No further message past this many bytes.
    pub(crate) max_bytes: usize,
    /// The ack timeout of this pull alone; the consumer's own where there is none.
    pub(crate) ack_timeout: Option<AckTimeout>,
}

/// What a pull got.
pub(crate) struct Pulled {
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) settings: Arc<Settings>,
    /// Where the messages can be read.
    pub(crate) log: Arc<dyn TopicLog>,
    pub(crate) ack_timeout: Millis,
    pub(crate) delivered_at: Timestamp,
    /// When the leases end; the moment of the delivery where there are none.
    pub(crate) ack_deadline: Timestamp,
}

/// One delivered message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) receipt: Receipt,
    pub(crate) position: Position,
    pub(crate) reconsume_times: u32,
}

impl Group {
    /// Delivers ready messages to a started consumer: in each of its partitions the lowest offsets first, the
    /// partitions in turn.
    pub(crate) fn pull(&mut self, id: ConsumerId, request: &PullRequest, now: Timestamp) -> Result<Pulled, Error> {
        self.advance(now);
        self.consumer(id)?.state.may_pull()?;
        self.touch(id)?;
        let consumer = self.consumer(id)?;
        let (topic, settings) = (consumer.topic, Arc::clone(&consumer.settings));
        let ack_timeout = request.ack_timeout.unwrap_or(settings.ack_timeout);
        let terms = Terms::of(&settings, ack_timeout, self.now);

        // Everything is taken before anything is judged, so that a delivery which fails as it is made waits for
        // the next pull instead of coming twice in this one.
        let taken = self.take_ready(id, request);
        let mut deliveries = Vec::with_capacity(taken.len());
        for Taken { position, attempt } in taken {
            let message = MessageRef { topic, position };
            let reconsume_times = attempt.reconsume_times();
            let lease = self.deliver(id, &settings, terms, message, attempt);
            deliveries.push(Delivery { receipt: Receipt { group: self.tag, lease }, position, reconsume_times });
        }
        if self.has_ready(id) {
            self.wake(id);
        }
        Ok(Pulled {
            deliveries,
            settings,
            log: Arc::clone(&self.topics[topic].log),
            ack_timeout: ack_timeout.millis(),
            delivered_at: self.now,
            ack_deadline: match terms {
                Terms::Leased { deadline, .. } => deadline,
                Terms::Acknowledged | Terms::Failed => self.now,
            },
        })
    }

    fn take_ready(&mut self, id: ConsumerId, request: &PullRequest) -> Vec<Taken> {
        let Some(consumer) = self.consumers.get_mut(&id) else { return Vec::new() };
        let topic = consumer.topic;
        let progress = &mut self.topics[topic];
        let share = consumer.partitions.len();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for place in 0..share {
            let partition = consumer.partitions[(consumer.turn + place) % share];
            if taken.len() >= request.max_messages as usize {
                break;
            }
            let start = progress.log.start(partition);
            if let Some(below) = progress.removed_below(partition, start) {
                let name = &progress.topic;
                tracing::error!(topic = %name, partition = partition.0, below = below.0, "undelivered and removed");
                for (offset, rest) in progress.forget_below(partition, below) {
                    let position = Position { partition, offset };
                    self.resting.remove(&(rest.until, MessageRef { topic, position }));
                }
                // A group has at most MAX_TOPICS_PER_GROUP topics.
                self.effects.changes.push(Change::Removed { topic: topic as u32, partition, below });
            }
            progress.partitions[partition.index()].verdicts.trim(start);
            while taken.len() < request.max_messages as usize {
                let room = if taken.is_empty() { usize::MAX } else { request.max_bytes.saturating_sub(bytes) };
                let Some((message, size)) = progress.take(partition, room) else { break };
                bytes += size;
                taken.push(message);
            }
        }
        consumer.turn = (consumer.turn + 1) % share.max(1);
        taken
    }

    fn deliver(
        &mut self,
        consumer: ConsumerId,
        settings: &Arc<Settings>,
        terms: Terms,
        message: MessageRef,
        attempt: Attempt,
    ) -> LeaseId {
        let id = self.leases.next_id();
        self.topics[message.topic].count_delivery(attempt);
        let reconsume_times = attempt.reconsume_times();
        match terms {
            Terms::Acknowledged => {
                self.topics[message.topic].settle(message.position, Verdict::Acknowledged);
                self.leases.note_acknowledged(id);
                self.note(message, Fate::Acknowledged { lease: id });
            }
            Terms::Failed => {
                let failure = match settings.semantics {
                    Semantics::Legacy => Failure::ZeroAckTimeout,
                    Semantics::Fixed => Failure::Expired,
                };
                self.fail(message, settings, reconsume_times, failure);
            }
            Terms::Leased { ack_timeout, deadline } => {
                self.partition(message).leases.insert(message.position.offset, id);
                self.note(message, Fate::Leased { lease: id, consumer, reconsume_times, ack_timeout, deadline });
                let settings = Arc::clone(settings);
                self.leases.insert(id, Lease { message, consumer, settings, reconsume_times, ack_timeout, deadline });
            }
        }
        id
    }

    fn has_ready(&self, id: ConsumerId) -> bool {
        let Some(consumer) = self.consumers.get(&id).filter(|consumer| consumer.polls > 0) else { return false };
        let progress = &self.topics[consumer.topic];
        consumer.partitions.iter().any(|partition: &PartitionId| progress.has_ready(*partition))
    }
}

/// What a delivery is at the moment it is made.
#[derive(Clone, Copy, Debug)]
enum Terms {
    /// Acknowledged: the consumer never acknowledges itself.
    Acknowledged,
    /// Failed: it had no time at all.
    Failed,
    /// In flight until the deadline.
    Leased { ack_timeout: Millis, deadline: Timestamp },
}

impl Terms {
    /// An automatic acknowledgement comes first: nothing is left that could run out of time.
    fn of(settings: &Settings, ack_timeout: AckTimeout, now: Timestamp) -> Self {
        match (settings.acknowledgement, ack_timeout) {
            (Acknowledgement::Auto, _) => Self::Acknowledged,
            (Acknowledgement::Manual, AckTimeout::Zero) => Self::Failed,
            (Acknowledgement::Manual, AckTimeout::After(length)) => {
                Self::Leased { ack_timeout: length, deadline: now + length }
            }
        }
    }
}
