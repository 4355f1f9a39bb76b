//! What is kept of a group makes the same group again: its stories from the first one on, a snapshot and the stories
//! after it. What is damaged is refused, or makes a group that can at least be asked.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;

use super::logs::{self, TestLog};
use super::steps::steps;
use super::{History, PARTITIONS, TAG, message};
use crate::clock::{Millis, Timestamp};
use crate::group::change::{Change, Fate, Story};
use crate::group::lifecycle::Transition;
use crate::group::settings::{AckTimeout, Acknowledgement, BackOff, Rules, Semantics, Settings};
use crate::group::{Group, GroupSnapshot, PullRequest};
use crate::ledger::Totals;
use crate::limits::MAX_CONSUMERS;
use crate::names::{ConsumerId, GroupName, LeaseId, Offset, PartitionId, TopicName};
use crate::storage::codec::Codec;
use crate::storage::{Batch, Cause, MemoryStorage, Storage, TopicLog};

/// What a disk would have of a group, and the groups that it makes.
pub(super) struct Durability {
    rules: Rules,
    log: Arc<dyn TopicLog>,
    letters: Arc<TestLog>,
    pub(super) stories: Vec<Story>,
    /// Made of all the stories.
    from_nothing: Group,
    /// Made of the last snapshot and the stories after it.
    from_snapshot: Option<Group>,
}

impl Durability {
    pub(super) fn new(rules: Rules, log: &Arc<dyn TopicLog>, letters: &Arc<TestLog>) -> Self {
        let (log, letters) = (Arc::clone(log), Arc::clone(letters));
        Self { rules, log, letters, stories: Vec::new(), from_nothing: new_group(rules), from_snapshot: None }
    }

    pub(super) fn logs(&self) -> impl Fn(&TopicName) -> Option<Arc<dyn TopicLog>> + use<> {
        logs::of(&self.log, &self.letters)
    }

    /// Keeps what the group did, and returns it.
    pub(super) fn follow(&mut self, group: &mut Group) -> Vec<Change> {
        let changes = group.take_effects().changes;
        let mut stories = self.letters.take_stories();
        // What is due by itself is no change: the last story says how far time has come.
        stories.push(group.story(changes));
        let logs = self.logs();
        for story in &stories {
            let story: Story = postcard::from_bytes(&postcard::to_stdvec(story).unwrap()).unwrap();
            self.from_nothing.replay(story.clone(), &logs).unwrap();
            if let Some(group) = &mut self.from_snapshot {
                group.replay(story, &logs).unwrap();
            }
        }
        self.stories.extend(stories.iter().cloned());
        stories.into_iter().flat_map(|story| story.changes).collect()
    }

    pub(super) fn snapshot(&mut self, group: &Group) {
        self.from_snapshot = Some(self.restored(&group.snapshot()));
    }

    fn restored(&self, snapshot: &GroupSnapshot) -> Group {
        let bytes = postcard::to_stdvec(snapshot).unwrap();
        Group::restore(self.rules, postcard::from_bytes(&bytes).unwrap(), &self.logs()).unwrap()
    }

    /// All that is made of what was kept is what the group is.
    pub(super) fn check(&self, group: &Group) {
        let snapshot = group.snapshot();
        assert_eq!(self.restored(&snapshot).snapshot(), snapshot);
        let told = snapshot.told(&*self.log);
        assert_eq!(self.from_nothing.snapshot().told(&*self.log), told);
        if let Some(group) = &self.from_snapshot {
            assert_eq!(group.snapshot().told(&*self.log), told);
        }
    }

    /// The group as another process has it.
    pub(super) fn recover(&mut self, now: Timestamp) -> Group {
        let restored = self.restored(&self.from_nothing.snapshot());
        let mut group = match self.from_snapshot.take() {
            Some(group) => group,
            None => std::mem::replace(&mut self.from_nothing, restored),
        };
        group.resume(now);
        group
    }
}

fn new_group(rules: Rules) -> Group {
    Group::new(GroupName::parse("g", "group").unwrap(), rules, TAG)
}

/// Has a group that may be damaged do a bit of everything.
fn poke(group: &mut Group, consumers: usize, now: Timestamp) {
    let topic = TopicName::parse("t", "topic").unwrap();
    group.resume(now);
    group.advance(now + Millis(10_000));
    for id in (1..=consumers as u64).map(ConsumerId) {
        let request = PullRequest { max_messages: 50, max_bytes: usize::MAX, ack_timeout: None };
        let _ = group.pull(id, &request, now + Millis(10_000));
        let _ = group.step(id, Transition::Stop, now + Millis(10_000));
    }
    group.ledger().for_each(drop);
    group.miscounted();
    for partition in (0..PARTITIONS + 1).map(PartitionId) {
        group.unaccounted(&topic, partition, Offset(40));
        group.settled_below(&topic, partition);
    }
    group.snapshot();
}

/// Bytes with some of them changed, or cut short.
fn damage(bytes: &[u8], changes: &[(Index, u8)], cut: bool) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for (at, value) in changes {
        let at = at.index(damaged.len());
        damaged[at] = *value;
        if cut {
            damaged.truncate(at.max(1));
        }
    }
    damaged
}

fn damages() -> impl Strategy<Value = Vec<(Index, u8)>> {
    let value = prop_oneof![any::<u8>(), 0_u8..8, Just(0xff)];
    prop::collection::vec((any::<Index>(), value), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_damaged_is_unfit_or_can_be_asked(
        legacy in any::<bool>(),
        steps in steps(),
        damages in prop::collection::vec((damages(), any::<bool>(), any::<Index>()), 30),
    ) {
        let mut history = History::new(if legacy { Semantics::Legacy } else { Semantics::Fixed }, 30);
        for step in &steps {
            history.take(step);
            history.durability.follow(&mut history.group);
        }
        let (durability, now, consumers) = (&history.durability, history.now, history.model.consumers.len());
        let snapshot = postcard::to_stdvec(&history.group.snapshot()).unwrap();
        let logs = durability.logs();
        for (changes, cut, at) in &damages {
            let damaged = damage(&snapshot, changes, *cut);
            if let Ok(damaged) = postcard::from_bytes::<GroupSnapshot>(&damaged)
                && let Ok(mut group) = Group::restore(durability.rules, damaged, &logs)
            {
                poke(&mut group, consumers, now);
            }
            let mut group = new_group(durability.rules);
            let at = at.index(durability.stories.len().max(1));
            for (index, story) in durability.stories.iter().enumerate() {
                let bytes = postcard::to_stdvec(story).unwrap();
                let bytes = if index == at { damage(&bytes, changes, *cut) } else { bytes };
                let Ok(story) = postcard::from_bytes(&bytes) else { break };
                if group.replay(story, &logs).is_err() {
                    break;
                }
                if index == at {
                    poke(&mut group, consumers, now);
                }
            }
        }
    }
}

/// A group with one consumer, which has pulled some of the six messages of each partition.
struct Stand {
    group: Group,
    log: Arc<TestLog>,
    durability: Durability,
}

const CONSUMER: ConsumerId = ConsumerId(1);

impl Stand {
    fn new(removed: u64) -> Self {
        let rules = Rules {
            semantics: Semantics::Fixed,
            back_off: BackOff { base: Millis(50) },
            heartbeat_period: Millis(100),
        };
        let storage = MemoryStorage::new(usize::MAX);
        let log = || storage.create_topic(&topic("t"), PARTITIONS).unwrap().0;
        let (log, letters) = (TestLog::over(log()), TestLog::over(log()));
        let messages = (0..18).map(|count| (PartitionId(count as u32 % 3), message(count))).collect();
        let cause = Cause::Publish { tokens: Vec::new(), turn: 0, commits: None };
        log.append(Batch { messages, now: Timestamp(0), codec: Codec::None, cause }).unwrap();
        log.remove_below(removed);
        let durability = Durability::new(rules, &(Arc::clone(&log) as Arc<dyn TopicLog>), &letters);
        let mut stand = Self { group: new_group(rules), log, durability };
        stand.subscribe(CONSUMER, Timestamp(0));
        stand.group.step(CONSUMER, Transition::Start, Timestamp(0)).unwrap();
        stand
    }

    fn subscribe(&mut self, id: ConsumerId, now: Timestamp) {
        let settings = Settings {
            topic: topic("t"),
            ack_timeout: AckTimeout::After(Millis(1_000)),
            max_reconsume_times: 1,
            acknowledgement: Acknowledgement::Manual,
            dead_letter: None,
            client_id: Some("c".into()),
            semantics: Semantics::Fixed,
        };
        let log = Arc::clone(&self.log) as Arc<dyn TopicLog>;
        self.group.subscribe(id, settings, &log, now).unwrap();
    }

    fn pull(&mut self, max_messages: u32, now: u64) -> Vec<Box<str>> {
        let request = PullRequest { max_messages, max_bytes: usize::MAX, ack_timeout: None };
        let pulled = self.group.pull(CONSUMER, &request, Timestamp(now)).unwrap();
        pulled.deliveries.iter().map(|delivery| delivery.receipt.to_string().into()).collect()
    }

    /// Everything adds up, and is made again by what was kept.
    fn check(&mut self) -> Totals {
        self.durability.follow(&mut self.group);
        self.durability.check(&self.group);
        assert_eq!(self.group.miscounted(), Vec::<String>::new());
        for partition in (0..PARTITIONS).map(PartitionId) {
            let wrong = self.group.unaccounted(&topic("t"), partition, self.log.end(partition));
            assert_eq!(wrong, Vec::new());
        }
        let (_, entry) = self.group.ledger().next().unwrap();
        assert_eq!(entry.accounted(), entry.published);
        entry.totals
    }

    fn refusal(&mut self, changes: Vec<Change>) -> String {
        self.durability.follow(&mut self.group);
        let mut group = self.durability.restored(&self.group.snapshot());
        group.replay(self.group.story(changes), &self.durability.logs()).unwrap_err().to_string()
    }
}

fn topic(name: &str) -> TopicName {
    TopicName::parse(name, "topic").unwrap()
}

#[test]
fn a_group_begins_at_the_oldest_message_that_there_is() {
    let mut stand = Stand::new(4);
    let receipts = stand.pull(100, 1);
    assert_eq!(receipts.len(), 6);
    stand.check();
    stand.group.ack(CONSUMER, receipts, Timestamp(2)).unwrap();
    assert_eq!(stand.check().acked, 6);
    let (_, entry) = stand.group.ledger().next().unwrap();
    assert_eq!((entry.published, entry.ready), (6, 0));
}

#[test]
fn what_is_removed_before_its_delivery_is_forgotten() {
    let mut stand = Stand::new(0);
    // The first partition is leased whole, and is ready again, rests or stays leased.
    let receipts = stand.pull(6, 1);
    stand.group.reject(CONSUMER, receipts[..2].to_vec(), Timestamp(1)).unwrap();
    stand.group.reject(CONSUMER, receipts[2..4].to_vec(), Timestamp(40)).unwrap();
    stand.group.advance(Timestamp(60));
    stand.check();
    stand.log.remove_below(5);
    assert_eq!(stand.pull(100, 61).len(), 2, "the last of each of the others");
    // Four of the first partition, five of each of the others; what is leased is settled by its consumer.
    assert_eq!(stand.check().forgotten, 14);
    stand.group.ack(CONSUMER, receipts[4..].to_vec(), Timestamp(62)).unwrap();
    assert_eq!(stand.check().acked, 2);
    stand.group.advance(Timestamp(500));
    stand.check();
}

#[test]
fn single_verdicts_are_let_go_of_with_the_messages() {
    let mut stand = Stand::new(0);
    let receipts = stand.pull(100, 1);
    let every_other = receipts.iter().step_by(2).cloned().collect();
    stand.group.ack(CONSUMER, every_other, Timestamp(2)).unwrap();
    stand.group.reject(CONSUMER, receipts, Timestamp(3)).unwrap();
    let again = stand.pull(100, 60);
    stand.group.reject(CONSUMER, again, Timestamp(61)).unwrap();
    let totals = stand.check();
    assert_eq!((totals.acked, totals.archived), (9, 9));
    assert!(stand.group.topics[0].partitions[0].verdicts.runs().count() > 1);
    stand.log.remove_below(6);
    assert_eq!(stand.pull(100, 62).len(), 0);
    assert!(stand.group.topics[0].partitions.iter().all(|of| of.verdicts.runs().count() == 0));
    stand.check();
}

#[test]
fn after_a_restart_members_have_time_to_be_heard_and_leases_keep_their_deadlines() {
    let mut stand = Stand::new(0);
    let receipts = stand.pull(1, 1);
    stand.durability.follow(&mut stand.group);
    let mut group = stand.durability.recover(Timestamp(100_000));
    group.advance(Timestamp(100_000));
    assert_eq!(group.ledger().next().unwrap().1.in_flight, 0, "its deadline was at 1001");
    let failed = group.ack(CONSUMER, receipts, Timestamp(100_000)).unwrap().failed;
    assert_eq!(failed.len(), 1);
    group.advance(Timestamp(100_299));
    let partitions = |group: &mut Group, now| group.describe(CONSUMER, Timestamp(now)).unwrap().partitions.len();
    assert_eq!(partitions(&mut group, 100_299), 3);
    assert_eq!(partitions(&mut group, 100_300), 0, "three heartbeat periods of silence");
}

#[test]
fn time_may_have_stepped_back_at_a_restart() {
    let mut stand = Stand::new(0);
    let receipts = stand.pull(1, 900);
    stand.durability.follow(&mut stand.group);
    let mut group = stand.durability.recover(Timestamp(3));
    assert_eq!(group.ack(CONSUMER, receipts, Timestamp(4)).unwrap().failed, Vec::new());
    assert!(group.next_due() >= Some(Timestamp(1_200)));
}

#[test]
fn an_ack_of_before_a_restart_is_answered_alike() {
    let mut stand = Stand::new(0);
    let receipts = stand.pull(2, 1);
    stand.group.ack(CONSUMER, receipts[..1].to_vec(), Timestamp(2)).unwrap();
    stand.durability.follow(&mut stand.group);
    let mut group = stand.durability.recover(Timestamp(3));
    let settled = group.ack(CONSUMER, receipts.clone(), Timestamp(4)).unwrap();
    assert_eq!((settled.done, settled.failed), (receipts, Vec::new()));
    assert_eq!(group.ledger().next().unwrap().1.totals.acked, 2);
}

#[test]
fn a_consumer_that_made_room_stays_away() {
    let mut stand = Stand::new(0);
    for id in 2..=MAX_CONSUMERS as u64 {
        stand.subscribe(ConsumerId(id), Timestamp(0));
    }
    stand.check();
    stand.group.advance(Timestamp(1_000));
    stand.subscribe(ConsumerId(0), Timestamp(1_000));
    stand.check();
    assert!(
        stand.durability.stories.iter().any(|story| story.changes.contains(&Change::Dropped { consumer: CONSUMER }))
    );
}

#[test]
fn a_story_of_what_is_not_there_is_unfit() {
    let mut stand = Stand::new(0);
    stand.pull(1, 1);
    let position =
        |partition, offset| crate::message::Position { partition: PartitionId(partition), offset: Offset(offset) };
    let fate = |topic, position, fate| Change::Message { topic, position, fate };
    let leased = |lease, consumer| Fate::Leased {
        lease: LeaseId(lease),
        consumer: ConsumerId(consumer),
        reconsume_times: 0,
        ack_timeout: Millis(1),
        deadline: Timestamp(1),
    };
    let cases = [
        (fate(1, position(0, 0), Fate::Archived), "group g: it has no topic at place 1"),
        (fate(0, position(3, 0), Fate::Archived), "group g: topic t has no partition 3"),
        (fate(0, position(0, 5), Fate::Archived), "group g: the message at offset 5 of t/0 is not the next"),
        (fate(0, position(0, 0), leased(9, 1)), "group g: the message at offset 0 of t/0 is leased already"),
        (fate(0, position(1, 0), leased(9, 7)), "group g: it has no consumer 0000000000000007"),
        (fate(0, position(1, 0), leased(0, 1)), "group g: lease 0 was given out before, or was not yet"),
        (
            fate(0, position(1, 0), Fate::Forgotten),
            "group g: the message at offset 0 of t/1 is with nobody, who could have lost it",
        ),
        (fate(0, position(0, 0), Fate::Acknowledged { lease: LeaseId(5) }), "group g: no lease 5 runs"),
        (Change::TopicAdded { topic: topic("u"), origins: Vec::new() }, "group g: there is no topic u"),
        (
            Change::TopicAdded { topic: topic("t.dlq"), origins: vec![Offset(0)] },
            "group g: topic t.dlq has 3 partitions, not 1",
        ),
        (Change::TopicAdded { topic: topic("t"), origins: Vec::new() }, "group g: it consumes the topic t twice"),
        (
            Change::Shared { topic: 0, moved: vec![(PartitionId(0), Some(ConsumerId(8)))] },
            "group g: it has no consumer 0000000000000008",
        ),
        (Change::Joined { consumer: CONSUMER }, "group g: consumer 0000000000000001 takes part already"),
        (Change::Extended { lease: LeaseId(4), deadline: Timestamp(9) }, "group g: no lease 4 runs"),
        (
            Change::Removed { topic: 0, partition: PartitionId(0), below: Offset(99) },
            "group g: the message at offset 99 of t/0 is not in the log yet",
        ),
    ];
    for (change, reason) in cases {
        let refusal = stand.refusal(vec![change]);
        assert!(refusal.starts_with(reason), "{refusal}");
    }
}

#[test]
fn what_does_not_add_up_is_told() {
    let mut stand = Stand::new(0);
    let receipts = stand.pull(3, 1);
    stand.group.ack(CONSUMER, receipts, Timestamp(2)).unwrap();
    let of = &mut stand.group.topics[0].partitions;
    of[0].again.insert(Offset(1), 0);
    of[1].next = Offset(2);
    of[2].leases.insert(Offset(0), LeaseId(77));
    let told = |partition, end| {
        let wrong = stand.group.unaccounted(&topic("t"), PartitionId(partition), Offset(end));
        wrong.into_iter().map(|(offset, wrong)| format!("{}: {wrong}", offset.0)).collect::<Vec<_>>()
    };
    assert_eq!(told(0, 6), ["1: it is acked and ready again"]);
    assert_eq!(told(1, 6), ["0: nothing is known of it and what follows, up to 2"]);
    assert_eq!(told(2, 6), ["0: it is leased and to be delivered", "0: it is leased, but there is no such lease"]);
    assert_eq!(
        told(0, 2),
        ["1: it is acked and ready again", "2: the log ends here, but the group knows of messages up to 3"]
    );
    stand.group.topics[0].totals.archived += 1;
    assert_eq!(
        stand.group.miscounted(),
        ["t: 1 messages are counted as archived, and 0 are", "1 messages are leased, by 0 leases"]
    );
}
