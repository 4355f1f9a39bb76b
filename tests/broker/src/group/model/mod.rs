//! Random histories of a group, held against a model that is simple enough to be believed.

mod durability;
mod logs;
mod reference;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use durability::Durability;
use logs::TestLog;
use reference::{Model, ModelConsumer, Status};
use steps::{Step, steps};

use super::change::{Change, Fate};
use super::lifecycle::Lifecycle;
use super::settings::{AckTimeout, Acknowledgement, BackOff, DeadLetterTopic, Rules, Semantics, Settings};
use super::{Group, PullRequest, Pulled, Settled};
use crate::clock::{Millis, Timestamp};
use crate::message::{
    DEAD_LETTER_ATTEMPTS_HEADER, DEAD_LETTER_GROUP_HEADER, DEAD_LETTER_HEADER, DEAD_LETTER_REASON_HEADER, Encoding,
    Message, Position,
};
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
    letters: Arc<TestLog>,
    stepwise_letters: Arc<TestLog>,
    durability: Durability,
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
        let letters = || TestLog::over(log(&topic("t.dlq")));
        let (letters, stepwise_letters, log) = (letters(), letters(), log(&topic("t")));
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
            letters_fail: false,
        };
        Self {
            group: Group::new(GroupName::parse("g", "group").unwrap(), rules, TAG),
            stepwise: Group::new(GroupName::parse("g", "group").unwrap(), rules, TAG),
            model,
            durability: Durability::new(rules, &log, &letters),
            log,
            topic: topic("t"),
            letters,
            stepwise_letters,
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

    /// The ack timeout of a request by a consumer.
    fn ack_timeout(&self, id: ConsumerId, millis: Option<u64>) -> Option<AckTimeout> {
        let semantics = self.model.consumers[&id].settings.semantics;
        millis.and_then(|millis| AckTimeout::parse(millis, semantics).ok())
    }

    /// How the topics of the group are found after a restart.
    fn logs(&self, letters: &Arc<TestLog>) -> impl Fn(&TopicName) -> Option<Arc<dyn TopicLog>> + use<> {
        logs::of(&self.log, letters)
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
            Step::Subscribe { ack_timeout, max_reconsume_times, auto, dead_letter, legacy } => {
                let semantics = if *legacy { Semantics::Legacy } else { self.model.rules.semantics };
                if let Ok(ack_timeout) = AckTimeout::parse(*ack_timeout, semantics) {
                    let dead_letter_topic = |to: &Arc<TestLog>| {
                        let name = TopicName::parse("t.dlq", "topic").unwrap();
                        DeadLetterTopic { name, log: Arc::clone(to) as Arc<dyn TopicLog> }
                    };
                    let settings = |to: &Arc<TestLog>| Settings {
                        topic: self.topic.clone(),
                        ack_timeout,
                        max_reconsume_times: *max_reconsume_times,
                        acknowledgement: if *auto { Acknowledgement::Auto } else { Acknowledgement::Manual },
                        dead_letter: dead_letter.then(|| dead_letter_topic(to)),
                        client_id: None,
                        semantics,
                    };
                    let id = ConsumerId(self.model.consumers.len() as u64 + 1);
                    let consumer = ModelConsumer {
                        settings: Arc::new(settings(&self.letters)),
                        state: Lifecycle::Created,
                        last_seen: now,
                        joined: None,
                        polls: 0,
                    };
                    self.group.subscribe(id, settings(&self.letters), &self.log, now).unwrap();
                    self.stepwise.subscribe(id, settings(&self.stepwise_letters), &self.log, now).unwrap();
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
                let ack_timeout = self.ack_timeout(id, *ack_timeout);
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
                let Some(id) = self.consumer(*consumer) else { return };
                let ack_timeout = self.ack_timeout(id, *ack_timeout);
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
            Step::Letters { fail } => {
                self.letters.fail(*fail);
                self.stepwise_letters.fail(*fail);
                self.model.letters_fail = *fail;
            }
            Step::Snapshot => self.durability.snapshot(&self.group),
            Step::Restart => {
                self.group = self.durability.recover(now);
                let logs = self.logs(&self.stepwise_letters);
                self.stepwise = Group::restore(self.model.rules, self.stepwise.snapshot(), &logs).unwrap();
                self.stepwise.resume(now);
                self.model.restart();
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
        let letters = &self.letters;
        assert_eq!((0..PARTITIONS).map(|partition| letters.end(PartitionId(partition)).0).sum::<u64>(), dead);

        self.stepwise.take_effects();
        for change in self.durability.follow(&mut self.group) {
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
        self.durability.check(&self.group);
        self.compare_accounts();
    }

    /// Every message is accounted for, one by one as well.
    fn compare_accounts(&self) {
        assert_eq!(self.group.miscounted(), Vec::<String>::new());
        for partition in (0..PARTITIONS).map(PartitionId) {
            let wrong = self.group.unaccounted(&self.topic, partition, self.log.end(partition));
            assert_eq!(wrong, Vec::new());
            let Some(below) = self.group.settled_below(&self.topic, partition) else { continue };
            let messages = &self.model.messages[partition.index()];
            let unsettled =
                |status: &Status| matches!(status, Status::New | Status::Ready { .. } | Status::Leased { .. });
            let first = messages.iter().position(unsettled).unwrap_or(messages.len());
            assert_eq!(below, Offset(first as u64));
            let dead = (0..).map(Offset).zip(messages).filter(|(_, status)| **status == Status::DeadLettered);
            let dead: Vec<Offset> = dead.map(|(offset, _)| offset).collect();
            assert_eq!(self.group.dead_lettered(&self.topic, partition), dead);
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
            for offset in 0..history.letters.end(partition).0 {
                let letter = history.letters.read(partition, Offset(offset)).unwrap();
                let header = |name: &str| letter.headers.get(name).map(String::as_str);
                prop_assert_eq!(header(DEAD_LETTER_HEADER), Some("t"));
                prop_assert_eq!(header(DEAD_LETTER_GROUP_HEADER), Some("g"));
                prop_assert!(matches!(header(DEAD_LETTER_REASON_HEADER), Some("expired" | "rejected")));
                let attempts = header(DEAD_LETTER_ATTEMPTS_HEADER).map(str::parse::<u32>);
                prop_assert!(matches!(attempts, Some(Ok(1..=4))), "{:?}", attempts);
            }
        }
    }
}
