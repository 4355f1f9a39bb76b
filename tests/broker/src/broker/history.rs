//! Random histories of a whole broker on a disk that fails as disks do: operations, steps of the clock, snapshots, kills
//! and losses of power, held against what was answered. Time and the disk are passed in; a failing history is printed
//! and shrunk, with the seed of the disk's losses in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::{Broker, Draft, Novelty, PublishResult, Recovered, Resolution, Subscription, TransactionState, checkpoint};
use crate::clock::{Clock, Millis};
use crate::error::Error;
use crate::group::PullRequest;
use crate::group::lifecycle::Transition;
use crate::group::settings::{AckTimeout, Acknowledgement, BackOff, Rules, Semantics};
use crate::message::{Encoding, Message, Position};
use crate::names::{GroupName, MessageId, Offset, PartitionId, Receipt, TopicName, TransactionId};
use crate::reconcile::audit;
use crate::storage::codec::Codec;
use crate::storage::disk::SimulatedDisk;
use crate::storage::durable::{self, DurableStorage};
use crate::storage::partition;
use crate::storage::wal::Fsync;

const PARTITIONS: u32 = 2;
const GROUPS: [&str; 2] = ["g", "h"];

/// One step of a history. Numbers that name one of several are taken modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    Publish {
        messages: Vec<(Option<u8>, Option<u8>)>,
        codec: Codec,
    },
    Half {
        count: usize,
    },
    Resolve {
        which: usize,
        resolution: Resolution,
    },
    Subscribe {
        group: usize,
        ack_timeout: u64,
        max_reconsume_times: u32,
        auto_ack: bool,
        dead_letter: bool,
    },
    Pull {
        consumer: usize,
        max_messages: u32,
    },
    Ack {
        consumer: usize,
        back: Vec<usize>,
    },
    Reject {
        consumer: usize,
        back: Vec<usize>,
    },
    Heartbeat {
        consumer: usize,
        back: Vec<usize>,
        ack_timeout: u64,
    },
    Pass {
        millis: u64,
    },
    Checkpoint,
    /// Work that is not answered, and then an end of the process.
    End {
        unanswered: Vec<Step>,
        how: End,
        back_in_time: u64,
    },
}

/// How a process ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// By a signal that it follows.
    Stopped,
    /// By one that it does not: what was written is there.
    Killed,
    /// With the machine: what was not synced may be there, in parts.
    PowerLost { seed: u64 },
}

fn work() -> impl Strategy<Value = Step> {
    let back = || prop::collection::vec(0_usize..12, 1..5);
    let codec = prop_oneof![Just(Codec::None), Just(Codec::Zstd), Just(Codec::Snappy)];
    let message = (prop::option::of(0_u8..4), prop::option::weighted(0.3, 0_u8..6));
    let resolution = prop_oneof![Just(Resolution::Committed), Just(Resolution::Compensated)];
    prop_oneof![
        4 => (prop::collection::vec(message, 1..5), codec)
            .prop_map(|(messages, codec)| Step::Publish { messages, codec }),
        1 => (1_usize..4).prop_map(|count| Step::Half { count }),
        1 => (0_usize..4, resolution).prop_map(|(which, resolution)| Step::Resolve { which, resolution }),
        2 => (0_usize..2, prop_oneof![Just(20_u64), Just(500)], 0_u32..3, prop::bool::weighted(0.1), any::<bool>())
            .prop_map(|(group, ack_timeout, max_reconsume_times, auto_ack, dead_letter)| {
                Step::Subscribe { group, ack_timeout, max_reconsume_times, auto_ack, dead_letter }
            }),
        6 => (0_usize..6, 1_u32..6).prop_map(|(consumer, max_messages)| Step::Pull { consumer, max_messages }),
        4 => (0_usize..6, back()).prop_map(|(consumer, back)| Step::Ack { consumer, back }),
        2 => (0_usize..6, back()).prop_map(|(consumer, back)| Step::Reject { consumer, back }),
        1 => (0_usize..6, back(), 1_u64..300)
            .prop_map(|(consumer, back, ack_timeout)| Step::Heartbeat { consumer, back, ack_timeout }),
        2 => (0_u64..120).prop_map(|millis| Step::Pass { millis }),
        1 => Just(Step::Checkpoint),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let how = prop_oneof![
        1 => Just(End::Stopped),
        2 => Just(End::Killed),
        4 => any::<u64>().prop_map(|seed| End::PowerLost { seed }),
    ];
    let end = (prop::collection::vec(work(), 0..5), how, prop_oneof![3 => Just(0_u64), 1 => 0_u64..100])
        .prop_map(|(unanswered, how, back_in_time)| Step::End { unanswered, how, back_in_time });
    prop::collection::vec(prop_oneof![12 => work(), 1 => end], 1..60)
}

/// What was answered: the broker has to keep its word on all of it.
#[derive(Default)]
struct Answered {
    published: BTreeMap<Position, MessageId>,
    /// Publishes that were not answered: they may have happened.
    perhaps: BTreeSet<MessageId>,
    acked: BTreeSet<(usize, MessageId)>,
    tokens: HashMap<u8, PublishResult>,
    transactions: Vec<(TransactionId, Vec<MessageId>, Option<Resolution>)>,
}

/// A consumer that was subscribed, and what it was delivered: receipts, and of which message.
struct Consumer {
    group: usize,
    id: String,
    receipts: Vec<(Receipt, MessageId)>,
}

struct History {
    disk: SimulatedDisk,
    clock: Arc<AtomicU64>,
    stopping: CancellationToken,
    storage: Arc<DurableStorage>,
    broker: Arc<Broker>,
    topic: TopicName,
    consumers: Vec<Consumer>,
    answered: Answered,
    bodies: u64,
}

fn rules() -> Rules {
    Rules { semantics: Semantics::Fixed, back_off: BackOff { base: Millis(10) }, heartbeat_period: Millis(400) }
}

fn open(disk: &SimulatedDisk) -> (Arc<DurableStorage>, Recovered) {
    let options = durable::Options {
        fsync: Fsync::Always,
        partition: partition::Options { segment_bytes: 4_096, retention_bytes: None, retention_age: None },
        checkpoint_bytes: u64::MAX,
        cache_bytes: 1 << 20,
    };
    durable::open(Arc::new(disk.clone()), Path::new("data"), options, || Recovered::empty(rules())).unwrap()
}

impl History {
    async fn new() -> Self {
        let disk = SimulatedDisk::default();
        let clock = Arc::new(AtomicU64::new(1_000_000));
        let stopping = CancellationToken::new();
        let (storage, recovered) = open(&disk);
        let broker = Broker::start(
            rules(),
            Clock::Standing(Arc::clone(&clock)),
            Arc::clone(&storage) as _,
            recovered,
            Millis(5_000),
            stopping.clone(),
        );
        let topic = TopicName::parse("orders", "topic").unwrap();
        broker.create_topic(&topic, Some(PARTITIONS), 1).await.unwrap();
        Self {
            disk,
            clock,
            stopping,
            storage,
            broker,
            topic,
            consumers: Vec::new(),
            answered: Answered::default(),
            bodies: 0,
        }
    }

    fn drafts(&mut self, messages: &[(Option<u8>, Option<u8>)]) -> Vec<Draft> {
        let mut draft = |&(key, token): &(Option<u8>, Option<u8>)| {
            self.bodies += 1;
            let message = Message {
                message_id: self.broker.next_message_id(),
                body: format!("body {}", self.bodies).into(),
                encoding: Encoding::Utf8,
                key: key.map(|key| key.to_string().into()),
                tag: None,
                properties: BTreeMap::new(),
                headers: BTreeMap::new(),
            };
            Draft { message: Arc::new(message), idempotency_token: token.map(|token| token.to_string().into()) }
        };
        messages.iter().map(&mut draft).collect()
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Publish { messages, codec } => {
                let drafts = self.drafts(messages);
                let ids: Vec<MessageId> = drafts.iter().map(|draft| draft.message.message_id).collect();
                self.answered.perhaps.extend(ids.iter().copied());
                let results = self.broker.publish(&self.topic, drafts, *codec).await.unwrap();
                for ((result, (_, token)), id) in results.iter().zip(messages).zip(ids) {
                    match result.novelty {
                        Novelty::New => {
                            assert_eq!(result.message_id, id);
                            self.answered.published.insert(result.position, id);
                        }
                        Novelty::Duplicate => assert!(token.is_some()),
                    }
                    if let Some(token) = token {
                        let first = *self.answered.tokens.entry(*token).or_insert(*result);
                        let place = |result: PublishResult| (result.message_id, result.position);
                        assert_eq!(place(*result), place(first), "a token has one result");
                    }
                }
            }
            Step::Half { count } => {
                let drafts = self.drafts(&vec![(None, None); *count]);
                let ids: Vec<MessageId> = drafts.iter().map(|draft| draft.message.message_id).collect();
                let id = self.broker.publish_half(&self.topic, drafts, Codec::None).await.unwrap();
                self.answered.transactions.push((id, ids, None));
            }
            Step::Resolve { which, resolution } => {
                let count = self.answered.transactions.len();
                if count == 0 {
                    return;
                }
                let (id, ids, resolved) = self.answered.transactions[which % count].clone();
                if *resolution == Resolution::Committed {
                    self.answered.perhaps.extend(ids.iter().copied());
                }
                match self.broker.resolve(id, *resolution).await {
                    Ok(()) => {
                        assert!(resolved.is_none_or(|resolved| resolved == *resolution));
                        self.answered.transactions[which % count].2 = Some(*resolution);
                    }
                    // It may have been resolved by its time-out, or before an end without an answer.
                    Err(Error::TransactionResolved(_)) => assert_ne!(resolved, Some(*resolution)),
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Subscribe { group, ack_timeout, max_reconsume_times, auto_ack, dead_letter } => {
                let name = |name: &str| TopicName::parse(name, "topic").unwrap();
                let asked = Subscription {
                    topic: self.topic.clone(),
                    ack_timeout: AckTimeout::After(Millis(*ack_timeout)),
                    max_reconsume_times: *max_reconsume_times,
                    acknowledgement: if *auto_ack { Acknowledgement::Auto } else { Acknowledgement::Manual },
                    dead_letter_topic: dead_letter.then(|| name("orders.dlq")),
                    client_id: None,
                    semantics: Semantics::Fixed,
                };
                let name = GroupName::parse(GROUPS[*group], "group").unwrap();
                let id = self.broker.subscribe(&name, asked).await.unwrap().consumer.to_string();
                self.consumers.push(Consumer { group: *group, id: id.clone(), receipts: Vec::new() });
                self.broker.step(&name, &id, Transition::Start).await.unwrap();
            }
            Step::Pull { consumer, max_messages } => {
                let Some((index, name, id)) = self.consumer(*consumer) else { return };
                let request = PullRequest { max_messages: *max_messages, max_bytes: usize::MAX, ack_timeout: None };
                let delivered = match self.broker.pull(&name, &id, &request, Millis(0)).await {
                    Ok(delivered) => delivered,
                    // Its subscribe was answered by nobody, or its start was not.
                    Err(Error::NotStarted(_) | Error::ConsumerNotFound | Error::GroupNotFound(_)) => return,
                    Err(error) => panic!("{error}"),
                };
                let group = self.consumers[index].group;
                let auto = delivered.pulled.settings.acknowledgement == Acknowledgement::Auto;
                for (delivery, message) in delivered.pulled.deliveries.iter().zip(&delivered.messages) {
                    let known = self.answered.published.get(&delivery.position).copied();
                    assert!(known.is_none_or(|known| known == message.message_id), "{:?}", delivery.position);
                    assert!(known.is_some() || self.answered.perhaps.contains(&message.message_id));
                    let acked = (group, message.message_id);
                    assert!(!self.answered.acked.contains(&acked), "an acknowledged message came again: {acked:?}");
                    self.consumers[index].receipts.push((delivery.receipt, message.message_id));
                    if auto {
                        self.answered.acked.insert(acked);
                    }
                }
            }
            Step::Ack { consumer, back } => {
                let Some((index, name, id)) = self.consumer(*consumer) else { return };
                let receipts = self.receipts(index, back);
                let texts = receipts.iter().map(|(receipt, _)| receipt.to_string().into()).collect();
                let Ok(settled) = self.broker.ack(&name, &id, texts).await else { return };
                for (receipt, message) in receipts {
                    if settled.done.iter().any(|done| **done == *receipt.to_string()) {
                        self.answered.acked.insert((self.consumers[index].group, message));
                    }
                }
            }
            Step::Reject { consumer, back } => {
                let Some((index, name, id)) = self.consumer(*consumer) else { return };
                let texts = self.receipts(index, back).iter().map(|(receipt, _)| receipt.to_string().into()).collect();
                // One that is not started is refused.
                let _ = self.broker.reject(&name, &id, texts).await;
            }
            Step::Heartbeat { consumer, back, ack_timeout } => {
                let Some((index, name, id)) = self.consumer(*consumer) else { return };
                let texts = self.receipts(index, back).iter().map(|(receipt, _)| receipt.to_string().into()).collect();
                let ack_timeout = Some(AckTimeout::After(Millis(*ack_timeout)));
                // One that is not started is refused.
                let _ = self.broker.heartbeat(&name, &id, texts, ack_timeout).await;
            }
            Step::Pass { millis } => {
                self.clock.fetch_add(*millis, Ordering::Relaxed);
            }
            Step::Checkpoint => checkpoint::last(&self.broker, &self.storage).await,
            Step::End { unanswered, how, back_in_time } => {
                self.leave_unanswered(unanswered).await;
                self.end(*how, *back_in_time).await;
            }
        }
    }

    /// Begins operations whose answers never come: the disk does not sync any more.
    async fn leave_unanswered(&mut self, unanswered: &[Step]) {
        self.disk.hold_syncs(true);
        for step in unanswered {
            if matches!(step, Step::Checkpoint | Step::End { .. }) {
                continue;
            }
            let mut taken = Box::pin(self.take(step));
            for _ in 0..8 {
                tokio::select! {
                    biased;
                    () = &mut taken => break,
                    () = tokio::task::yield_now() => {}
                }
            }
        }
    }

    /// Ends the process and starts another on what it left.
    async fn end(&mut self, how: End, back_in_time: u64) {
        self.stopping.cancel();
        match how {
            End::Stopped => {
                self.disk.hold_syncs(false);
                checkpoint::last(&self.broker, &self.storage).await;
                self.storage.close();
                self.disk = self.disk.kill();
            }
            End::Killed => self.disk = self.disk.kill(),
            End::PowerLost { seed } => self.disk = self.disk.crash(seed),
        }
        let (storage, recovered) = open(&self.disk);
        let clock = (self.clock.load(Ordering::Relaxed) - back_in_time).max(recovered.time().0);
        self.clock = Arc::new(AtomicU64::new(clock));
        self.stopping = CancellationToken::new();
        self.storage = storage;
        self.broker = Broker::start(
            rules(),
            Clock::Standing(Arc::clone(&self.clock)),
            Arc::clone(&self.storage) as _,
            recovered,
            Millis(5_000),
            self.stopping.clone(),
        );
        self.check_messages();
        self.check_transactions().await;
    }

    /// Every message whose publish was answered is where the answer said, and there is none that nobody published.
    fn check_messages(&mut self) {
        let log = Arc::clone(self.broker.topic(&self.topic).unwrap().log());
        for partition in (0..PARTITIONS).map(PartitionId) {
            for offset in (0..log.end(partition).0).map(Offset) {
                let position = Position { partition, offset };
                let id = log.read(partition, offset).unwrap().message_id;
                match self.answered.published.get(&position) {
                    Some(published) => assert_eq!(*published, id, "{position:?}"),
                    None => {
                        assert!(self.answered.perhaps.contains(&id), "nobody published {id} at {position:?}");
                        self.answered.published.insert(position, id);
                    }
                }
            }
        }
        let ends = |partition: PartitionId| log.end(partition);
        let lost = self.answered.published.iter().find(|(position, _)| position.offset >= ends(position.partition));
        assert!(lost.is_none(), "lost: {lost:?}");
    }

    /// What was resolved stays so; a commit is there whole or not at all.
    async fn check_transactions(&mut self) {
        let there: BTreeSet<MessageId> = self.answered.published.values().copied().collect();
        for (id, messages, resolved) in &self.answered.transactions {
            let state = self.broker.transaction(*id).await.unwrap();
            if let Some(resolved) = resolved {
                assert_eq!(state, TransactionState::Resolved(*resolved));
            }
            let count = messages.iter().filter(|message| there.contains(message)).count();
            let expected = if state == TransactionState::Resolved(Resolution::Committed) { messages.len() } else { 0 };
            assert_eq!(count, expected, "{state:?}");
        }
    }

    fn consumer(&self, index: usize) -> Option<(usize, GroupName, String)> {
        let index = index.checked_rem(self.consumers.len())?;
        let consumer = &self.consumers[index];
        Some((index, GroupName::parse(GROUPS[consumer.group], "group").unwrap(), consumer.id.clone()))
    }

    fn receipts(&self, consumer: usize, back: &[usize]) -> Vec<(Receipt, MessageId)> {
        let receipts = &self.consumers[consumer].receipts;
        back.iter().filter_map(|back| receipts.iter().rev().nth(*back).copied()).collect()
    }

    async fn check_ledger(&self) {
        for account in self.broker.ledger().await.unwrap().entries {
            assert_eq!(account.entry.accounted(), account.entry.published, "{account:?}");
        }
    }

    /// Stops the broker, and lets every message's fate be looked for on its disk.
    async fn finish(mut self) {
        self.end(End::Stopped, 0).await;
        self.check_ledger().await;
        self.stopping.cancel();
        self.storage.close();
        let (storage, recovered) = open(&self.disk.kill());
        let mut findings = Vec::new();
        audit(&storage, &recovered, &mut |finding| findings.push(finding.to_owned()));
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_was_answered_is_kept(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut history = History::new().await;
            for step in &steps {
                history.take(step).await;
                history.check_ledger().await;
            }
            history.finish().await;
        });
    }
}
