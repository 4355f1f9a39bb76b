//! Random histories of a group, held against a model that is simple enough to be believed.

mod reference;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use reference::{Model, ModelConsumer, Status};
use steps::{Step, steps};

use super::change::{Change, Fate};
use super::lifecycle::Lifecycle;
use super::settings::{AckTimeout, Acknowledgement, BackOff, DeadLetterTopic, Rules, Semantics, Settings};
use super::{Group, PullRequest, Pulled, Settled};
use crate::clock::{Millis, Timestamp};
use crate::message::{DEAD_LETTER_HEADER, Encoding, Message, Position};
use crate::names::{ConsumerId, GroupName, GroupTag, MessageId, Offset, PartitionId, Receipt, TopicName};
use crate::storage::codec::Codec;
use crate::storage::{Batch, Cause, MemoryStorage, Storage, TopicLog};

const PARTITIONS: u32 = 3;
const TAG: GroupTag = GroupTag(9);

/// A group, its model, and what its recorded changes say.
struct History {
    group: Group,
    /// The same group, whose time is let pass in small steps: it must not differ.
    stepwise: Group,
    model: Model,
    topic: TopicName,
    log: Arc<dyn TopicLog>,
    dead_letters: DeadLetterTopic,
    stepwise_dead_letters: DeadLetterTopic,
    receipts: Vec<Receipt>,
    recorded: BTreeMap<(u32, u64), Fate>,
    now: Timestamp,
}

fn message(count: u64) -> Arc<Message> {
    Arc::new(Message {
        message_id: MessageId { run: 0, count },
        body: "body".into(),
        encoding: Encoding::Utf8,
        key: None,
        tag: None,
        properties: BTreeMap::new(),
        headers: BTreeMap::new(),
    })
}

impl History {
    fn new(semantics: Semantics, back_off: u64) -> Self {
        let rules = Rules { semantics, back_off: BackOff { base: Millis(back_off) }, heartbeat_period: Millis(100) };
        let storage = MemoryStorage::new(usize::MAX);
        let topic = |name| TopicName::parse(name, "topic").unwrap();
        let log = |name: &TopicName| storage.create_topic(name, PARTITIONS).unwrap().0;
        let dead_letters = || DeadLetterTopic { name: topic("t.dlq"), log: log(&topic("t.dlq")) };
        let model = Model {
            rules,
            now: Timestamp(0),
            messages: vec![Vec::new(); PARTITIONS as usize],
            owners: vec![None; PARTITIONS as usize],
            consumers: BTreeMap::new(),
            joins: 0,
            acknowledged: Vec::new(),
            deliveries: 0,
            redeliveries: 0,
        };
        Self {
            group: Group::new(GroupName::parse("g", "group").unwrap(), rules, TAG),
            stepwise: Group::new(GroupName::parse("g", "group").unwrap(), rules, TAG),
            model,
            log: log(&topic("t")),
            topic: topic("t"),
            dead_letters: dead_letters(),
            stepwise_dead_letters: dead_letters(),
            receipts: Vec::new(),
            recorded: BTreeMap::new(),
            now: Timestamp(1_000),
        }
    }

    /// The consumer that a step means; none before the first subscribe.
    fn consumer(&self, index: usize) -> Option<ConsumerId> {
        let count = self.model.consumers.len();
        (count > 0).then(|| *self.model.consumers.keys().nth(index % count).unwrap())
    }

    /// The newest receipts, by distance from the newest.
    fn chosen(&self, back: &[usize]) -> Vec<Receipt> {
        back.iter().filter_map(|back| self.receipts.iter().rev().nth(*back).copied()).collect()
    }

    fn ack_timeout(&self, millis: Option<u64>) -> Option<AckTimeout> {
        millis.and_then(|millis| AckTimeout::parse(millis, self.model.rules.semantics).ok())
    }

    fn take(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::Pass { millis } => self.pass(*millis),
            Step::Publish { partition, count } => {
                let messages = (0..*count).map(|n| (PartitionId(*partition), message(n as u64))).collect();
                let cause = Cause::Publish { tokens: Vec::new(), turn: 0, commits: None };
                self.log.append(Batch { messages, now: Timestamp(0), codec: Codec::None, cause }).unwrap();
                self.model.messages[*partition as usize].extend(vec![Status::New; *count]);
                self.group.published(&self.topic, [PartitionId(*partition)]);
                self.stepwise.published(&self.topic, [PartitionId(*partition)]);
            }
            Step::Subscribe { ack_timeout, max_reconsume_times, auto, dead_letter } => {
                if let Some(ack_timeout) = self.ack_timeout(Some(*ack_timeout)) {
                    let settings = |to: &DeadLetterTopic| Settings {
                        topic: self.topic.clone(),
                        ack_timeout,
                        max_reconsume_times: *max_reconsume_times,
                        acknowledgement: if *auto { Acknowledgement::Auto } else { Acknowledgement::Manual },
                        dead_letter: dead_letter.then(|| to.clone()),
                        client_id: None,
                        semantics: self.model.rules.semantics,
                    };
                    let id = ConsumerId(self.model.consumers.len() as u64 + 1);
                    let consumer = ModelConsumer {
                        settings: Arc::new(settings(&self.dead_letters)),
                        state: Lifecycle::Created,
                        last_seen: now,
                        joined: None,
                        polls: 0,
                    };
                    self.group.subscribe(id, settings(&self.dead_letters), &self.log, now).unwrap();
                    self.stepwise.subscribe(id, settings(&self.stepwise_dead_letters), &self.log, now).unwrap();
                    self.model.advance(now);
                    self.model.consumers.insert(id, consumer);
                    self.model.touch(id);
                }
            }
            Step::Lifecycle { consumer, transition } => {
                let Some(id) = self.consumer(*consumer) else { return };
                self.model.advance(now);
                let got = self.group.step(id, *transition, now).ok();
                assert_eq!(got, self.stepwise.step(id, *transition, now).ok());
                let expected = self.model.consumers[&id].state.after(*transition).ok();
                assert_eq!(got, expected);
                if let Some(state) = expected {
                    self.model.consumers.get_mut(&id).unwrap().state = state;
                    self.model.touch(id);
                    if !state.takes_part() {
                        self.model.consumers.get_mut(&id).unwrap().joined = None;
                        self.model.share_out();
                    }
                }
            }
            Step::Pull { consumer, max_messages, ack_timeout } => {
                let Some(id) = self.consumer(*consumer) else { return };
                let ack_timeout = self.ack_timeout(*ack_timeout);
                let request = PullRequest { max_messages: *max_messages, max_bytes: usize::MAX, ack_timeout };
                self.model.advance(now);
                let (got, same) = (self.group.pull(id, &request, now), self.stepwise.pull(id, &request, now));
                assert_eq!(got.is_ok(), self.model.consumers[&id].state == Lifecycle::Started);
                if let (Ok(pulled), Ok(same)) = (got, same) {
                    let list = |pulled: &Pulled| format!("{:?} {:?}", pulled.deliveries, pulled.ack_deadline);
                    assert_eq!(list(&pulled), list(&same));
                    self.model.touch(id);
                    self.model.pulled(id, &request, &pulled);
                    self.receipts.extend(pulled.deliveries.iter().map(|delivery| delivery.receipt));
                }
            }
            Step::Ack { consumer, receipts } => {
                self.settle(*consumer, receipts, Group::ack, |model, _, receipt, at| match at {
                    Some(at) => {
                        model.set(at, Status::Acknowledged);
                        model.acknowledged.push(receipt.lease);
                        true
                    }
                    None => model.acknowledged.contains(&receipt.lease),
                });
            }
            Step::Reject { consumer, receipts } => {
                self.settle(*consumer, receipts, Group::reject, |model, _, _, at| {
                    at.map(|at| model.fail(at)).is_some()
                });
            }
            Step::Heartbeat { consumer, receipts, ack_timeout } => {
                let ack_timeout = self.ack_timeout(*ack_timeout);
                let heartbeat = |group: &mut Group, id, receipts, now| {
                    let settled = group.heartbeat(id, receipts, ack_timeout, now)?;
                    let done = settled.done.into_iter().map(|(receipt, _)| receipt).collect();
                    Ok(Settled { done, failed: settled.failed })
                };
                self.settle(*consumer, receipts, heartbeat, |model, _, _, at| {
                    let Some(at) = at else { return false };
                    let now = model.now;
                    let status = &mut model.messages[at.partition.index()][at.offset.0 as usize];
                    if let Status::Leased { ack_timeout: own, deadline, .. } = status {
                        *deadline = now + ack_timeout.map_or(*own, AckTimeout::millis);
                    }
                    true
                });
                self.model.advance(now);
            }
            Step::OpenPoll { consumer } => {
                let Some(id) = self.consumer(*consumer) else { return };
                // Let both see the same moment: opening a poll by itself reads no clock.
                self.pass(0);
                self.group.poll_opened(id);
                self.stepwise.poll_opened(id);
                self.model.consumers.get_mut(&id).unwrap().polls += 1;
            }
            Step::ClosePolls { consumer } => {
                let Some(id) = self.consumer(*consumer) else { return };
                for _ in 0..self.model.consumers[&id].polls {
                    self.group.poll_closed(id, now);
                    self.stepwise.poll_closed(id, now);
                    self.model.advance(now);
                    let consumer = self.model.consumers.get_mut(&id).unwrap();
                    consumer.polls -= 1;
                    consumer.last_seen = now;
                }
            }
        }
    }

    /// Lets time pass: at once for the group, a millisecond at a time for its double.
    fn pass(&mut self, millis: u64) {
        for at in self.now.0..=self.now.0 + millis {
            self.stepwise.advance(Timestamp(at));
        }
        self.now = self.now + Millis(millis);
        self.group.advance(self.now);
        self.model.advance(self.now);
    }

    /// Settles receipts in the group, its double and the model, and compares which were good.
    fn settle(
        &mut self,
        consumer: usize,
        back: &[usize],
        settle: impl Fn(&mut Group, ConsumerId, Vec<Box<str>>, Timestamp) -> Result<Settled<Box<str>>, crate::error::Error>,
        mut expect: impl FnMut(&mut Model, ConsumerId, &Receipt, Option<Position>) -> bool,
    ) {
        let Some(id) = self.consumer(consumer) else { return };
        let receipts = self.chosen(back);
        let texts: Vec<Box<str>> = receipts.iter().map(|receipt| receipt.to_string().into()).collect();
        self.model.advance(self.now);
        let got = settle(&mut self.group, id, texts.clone(), self.now);
        let same = settle(&mut self.stepwise, id, texts, self.now);
        assert_eq!(got.is_ok(), self.model.consumers[&id].state.may_settle().is_ok());
        if let (Ok(got), Ok(same)) = (got, same) {
            assert_eq!((&got.done, &got.failed), (&same.done, &same.failed));
            self.model.touch(id);
            let mut done = Vec::new();
            for receipt in &receipts {
                let at = self.model.leased(id, receipt);
                if expect(&mut self.model, id, receipt, at) {
                    done.push(Box::from(receipt.to_string()));
                }
            }
            assert_eq!(got.done, done);
            assert_eq!(got.failed.len(), receipts.len() - done.len());
        }
    }

    /// Everything that can be seen of the group is what the model says.
    fn compare(&mut self) {
        let expected = if self.model.consumers.is_empty() { None } else { Some(self.model.entry()) };
        for group in [&self.group, &self.stepwise] {
            let entry = group.ledger().map(|(_, entry)| entry).next();
            assert_eq!(entry, expected);
            assert!(entry.is_none_or(|entry| entry.accounted() == entry.published));
        }
        let dead = expected.map_or(0, |entry| entry.totals.dead_lettered);
        let letters = &self.dead_letters.log;
        assert_eq!((0..PARTITIONS).map(|partition| letters.end(PartitionId(partition)).0).sum::<u64>(), dead);

        self.stepwise.take_effects();
        for change in self.group.take_effects().changes {
            match change {
                Change::Message { position, fate, .. } => {
                    self.recorded.insert((position.partition.0, position.offset.0), fate);
                }
                Change::Extended { lease: extended, deadline: until } => {
                    for fate in self.recorded.values_mut() {
                        match fate {
                            Fate::Leased { lease, deadline, .. } if *lease == extended => *deadline = until,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        for at in self.model.positions() {
            let recorded = self.recorded.get(&(at.partition.0, at.offset.0));
            let agrees = match (self.model.status(at), recorded) {
                (Status::New, None) => true,
                (Status::Ready { reconsume_times, at }, Some(Fate::Ready { reconsume_times: times, at: from })) => {
                    (reconsume_times, at) == (times, from)
                }
                (Status::Leased { lease, deadline, .. }, Some(Fate::Leased { lease: id, deadline: until, .. })) => {
                    (lease, deadline) == (id, until)
                }
                (Status::Acknowledged, Some(Fate::Acknowledged { .. })) => true,
                (Status::DeadLettered, Some(Fate::DeadLettered)) => true,
                (Status::Archived, Some(Fate::Archived)) => true,
                (Status::Forgotten, Some(Fate::Forgotten)) => true,
                _ => false,
            };
            assert!(agrees, "{at:?} is {:?}, recorded as {recorded:?}", self.model.status(at));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_group_is_what_the_model_says(
        legacy in any::<bool>(),
        back_off in prop_oneof![Just(0_u64), Just(30)],
        steps in steps(),
    ) {
        let mut history = History::new(if legacy { Semantics::Legacy } else { Semantics::Fixed }, back_off);
        for step in &steps {
            history.take(step);
            history.compare();
        }
        for partition in (0..PARTITIONS).map(PartitionId) {
            for offset in 0..history.dead_letters.log.end(partition).0 {
                let letter = history.dead_letters.log.read(partition, Offset(offset)).unwrap();
                prop_assert_eq!(letter.headers.get(DEAD_LETTER_HEADER).map(String::as_str), Some("t"));
            }
        }
    }
}
