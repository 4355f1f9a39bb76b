//! A look at a group for people: its consumers, its partitions and the ages of its leases. Nothing is changed, and no
//! time passes.

use std::sync::Arc;

use super::Group;
use super::lease::LeaseAges;
use super::lifecycle::Lifecycle;
use super::membership::{Consumer, Membership};
use super::settings::Settings;
use crate::clock::Timestamp;
use crate::names::{ConsumerId, PartitionId, TopicName};

/// One partition of one of the group's topics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionState {
    pub(crate) partition: PartitionId,
    pub(crate) owner: Option<ConsumerId>,
    /// To be delivered, at once or after a rest.
    pub(crate) ready: u64,
    pub(crate) in_flight: u64,
}

impl PartitionState {
    /// What is published and not settled.
    pub(crate) fn lag(&self) -> u64 {
        self.ready + self.in_flight
    }
}

/// One consumer of the group.
#[derive(Clone, Copy)]
pub(crate) struct ConsumerState<'a> {
    pub(crate) id: ConsumerId,
    consumer: &'a Consumer,
    group: &'a Group,
}

impl<'a> ConsumerState<'a> {
    pub(crate) fn state(&self) -> Lifecycle {
        self.consumer.state
    }

    pub(crate) fn settings(&self) -> &'a Arc<Settings> {
        &self.consumer.settings
    }

    /// Whether it has a share of the partitions; a silent one and a stopped one have none.
    pub(crate) fn takes_part(&self) -> bool {
        self.consumer.membership != Membership::Away
    }

    pub(crate) fn partitions(&self) -> &'a [PartitionId] {
        &self.consumer.partitions
    }

    pub(crate) fn in_flight(&self) -> u64 {
        let partitions = &self.group.topics[self.consumer.topic].partitions;
        self.consumer.partitions.iter().map(|id| partitions[id.index()].leases.len() as u64).sum()
    }

    /// Its long polls that wait.
    pub(crate) fn waiting_pulls(&self) -> u32 {
        self.consumer.polls
    }

    /// When it was last heard of; a poll that waits is a sign of life for as long as it does.
    pub(crate) fn last_seen(&self, now: Timestamp) -> Timestamp {
        if self.consumer.polls > 0 { now } else { self.consumer.last_seen }
    }
}

impl Group {
    /// Every consumer that the group remembers, in no order.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = ConsumerState<'_>> {
        self.consumers.iter().map(|(id, consumer)| ConsumerState { id: *id, consumer, group: self })
    }

    /// The partitions of a topic, in order; none where the group does not consume it.
    pub(crate) fn partitions(&self, topic: &TopicName) -> Vec<PartitionState> {
        match self.topics.iter().find(|progress| progress.topic == *topic) {
            Some(progress) => progress.states().collect(),
            None => Vec::new(),
        }
    }

    /// How long the leases have run.
    pub(crate) fn lease_ages(&self, now: Timestamp) -> LeaseAges {
        self.leases.ages(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::group::settings::{AckTimeout, Acknowledgement, BackOff, Rules, Semantics};
    use crate::group::{Group, PullRequest};
    use crate::message::Message;
    use crate::names::{GroupName, GroupTag, MessageId};
    use crate::storage::codec::Codec;
    use crate::storage::{Batch, Cause, MemoryStorage, Storage};

    const ALICE: ConsumerId = ConsumerId(1);

    fn seconds(count: u64) -> Timestamp {
        Timestamp(count * 1_000)
    }

    /// A group with a started consumer of a topic with two partitions of `messages` messages each.
    fn group(messages: u64) -> Group {
        let topic = TopicName::parse("orders", "topic").unwrap();
        let (log, _) = MemoryStorage::new(1 << 20).create_topic(&topic, 2).unwrap();
        let message = |count| Message {
            message_id: MessageId { run: 0, count },
            body: "m".into(),
            encoding: crate::message::Encoding::Utf8,
            key: None,
            tag: None,
            properties: Default::default(),
            headers: Default::default(),
        };
        let messages =
            (0..2 * messages).map(|count| (PartitionId((count % 2) as u32), Arc::new(message(count)))).collect();
        let cause = Cause::Publish { tokens: Vec::new(), turn: 0, commits: None };
        log.append(Batch { messages, now: seconds(0), codec: Codec::None, cause }).unwrap();
        let rules = Rules {
            semantics: Semantics::Fixed,
            back_off: BackOff { base: Millis(0) },
            heartbeat_period: Millis(3_600_000),
        };
        let mut group = Group::new(GroupName::parse("g", "group").unwrap(), rules, GroupTag(7));
        let settings = Settings {
            topic,
            ack_timeout: AckTimeout::After(Millis(60_000)),
            max_reconsume_times: 3,
            acknowledgement: Acknowledgement::Manual,
            dead_letter: None,
            client_id: None,
            semantics: Semantics::Fixed,
        };
        group.subscribe(ALICE, settings, &log, seconds(0)).unwrap();
        group.step(ALICE, crate::group::lifecycle::Transition::Start, seconds(0)).unwrap();
        group
    }

    fn pull(group: &mut Group, max_messages: u32, now: Timestamp) -> Vec<Box<str>> {
        let request = PullRequest { max_messages, max_bytes: usize::MAX, ack_timeout: None };
        let pulled = group.pull(ALICE, &request, now).unwrap();
        pulled.deliveries.iter().map(|delivery| delivery.receipt.to_string().into()).collect()
    }

    #[test]
    fn a_lease_ages_from_its_delivery_whatever_becomes_of_its_deadline() {
        let mut group = group(4);
        let first = pull(&mut group, 2, seconds(100));
        pull(&mut group, 3, seconds(130));
        let ages = group.lease_ages(seconds(132));
        assert_eq!((ages.counts, ages.oldest), ([3, 0, 2, 0, 0, 0], Some(Millis(32_000))));

        let longer = AckTimeout::parse(3_600_000, Semantics::Fixed).unwrap();
        group.heartbeat(ALICE, first.clone(), Some(longer), seconds(140)).unwrap();
        group.heartbeat(ALICE, first.clone(), None, seconds(150)).unwrap();
        let ages = group.lease_ages(seconds(150));
        assert_eq!((ages.counts, ages.oldest), ([0, 0, 5, 0, 0, 0], Some(Millis(50_000))));

        group.ack(ALICE, first, seconds(160)).unwrap();
        assert_eq!(group.lease_ages(seconds(160)).oldest, Some(Millis(30_000)));
        group.advance(seconds(190));
        assert_eq!(group.lease_ages(seconds(190)), LeaseAges::default(), "the rest has expired");
    }

    #[test]
    fn the_lag_of_a_partition_is_what_is_not_settled() {
        let mut group = group(3);
        let receipts = pull(&mut group, 4, seconds(1));
        group.ack(ALICE, receipts[..2].to_vec(), seconds(2)).unwrap();
        let topic = TopicName::parse("orders", "topic").unwrap();
        let states = group.partitions(&topic);
        let of = |state: &PartitionState| (state.ready, state.in_flight, state.lag(), state.owner);
        assert_eq!(states.iter().map(of).collect::<Vec<_>>(), [(0, 1, 1, Some(ALICE)), (2, 1, 3, Some(ALICE))]);
        assert!(group.partitions(&TopicName::parse("other", "topic").unwrap()).is_empty());
    }
}
