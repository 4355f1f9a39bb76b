//! A look at the whole broker for people: exact totals, and as many rows as a page can show.
//!
//! It is taken group by group, each under its lock for as long as it takes to count its consumers and partitions. So it
//! is consistent within a group and not between groups, and it tells of what is not durable yet as well.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use super::cell::GroupCell;
use super::{Broker, Topic};
use crate::clock::{Millis, Timestamp};
use crate::group::lifecycle::Lifecycle;
use crate::group::settings::{AckTimeout, Acknowledgement};
use crate::group::{Group, LeaseAges, PartitionState};
use crate::ledger::Entry;
use crate::names::{ConsumerId, GroupName, PartitionId, TopicName};

/// The most rows of each kind that are told.
const MAX_ROWS: usize = 100;
/// The most partitions that are told of one group in one topic: those with the most lag.
const MAX_PARTITION_ROWS: usize = 16;
/// The longest text to look for, in bytes; as long as the longest name.
const MAX_FILTER_BYTES: usize = 128;

/// A text that a name or an id has to contain, in whatever case.
#[derive(Debug, Default)]
pub(crate) struct Filter(String);

impl Filter {
    /// What is beyond 128 bytes is passed over.
    pub(crate) fn new(text: &str) -> Self {
        let text = text.trim();
        Self(text.get(..text.floor_char_boundary(MAX_FILTER_BYTES)).unwrap_or_default().to_ascii_lowercase())
    }

    pub(super) fn admits(&self, text: &str) -> bool {
        let (text, wanted) = (text.as_bytes(), self.0.as_bytes());
        wanted.is_empty() || text.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted))
    }
}

/// Some rows of what may be many.
#[derive(Debug, Serialize)]
pub(crate) struct Listed<T> {
    /// How many there are.
    total: usize,
    /// How many of them the filter admits.
    matching: usize,
    /// The first of those.
    rows: Vec<T>,
}

impl<T> Listed<T> {
    fn new() -> Self {
        Self { total: 0, matching: 0, rows: Vec::new() }
    }

    /// Counts one more, and keeps its row if there is room.
    fn add(&mut self, admitted: bool, row: impl FnOnce() -> T) {
        self.total += 1;
        self.matching += usize::from(admitted);
        if admitted && self.rows.len() < MAX_ROWS {
            self.rows.push(row());
        }
    }
}

/// The broker at one moment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Inspection {
    now: Timestamp,
    semantics: String,
    /// Why no writes are taken at present, where they are not.
    storage_error: Option<String>,
    /// Messages in all topics, each counted once.
    published: u64,
    /// The account of all groups together, a message counted for each group.
    account: Entry,
    consumer_states: ConsumerStates,
    leases: LeaseRow,
    group_count: usize,
    topics: Listed<TopicRow>,
    groups: Listed<GroupRow>,
    consumers: Listed<ConsumerRow>,
}

/// How many consumers are in each state of their lifecycle.
#[derive(Debug, Default, Serialize)]
struct ConsumerStates {
    created: u64,
    started: u64,
    paused: u64,
    stopped: u64,
    closed: u64,
    /// Those of the first three that were silent for too long, and so have no share.
    silent: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LeaseRow {
    /// Upper bounds of all but the last count, in milliseconds.
    bounds: [u64; LeaseAges::BOUNDS.len()],
    counts: [u64; LeaseAges::BOUNDS.len() + 1],
    oldest_ms: Option<Millis>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TopicRow {
    topic: TopicName,
    partitions: u32,
    published: u64,
    groups: usize,
    /// Whether a consumer has it for its dead letters.
    dead_letter_topic: bool,
}

/// One group in one topic.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupRow {
    group: GroupName,
    topic: TopicName,
    consumers: usize,
    /// What is published and not settled.
    lag: u64,
    /// How long the group's oldest lease has run, in whichever topic.
    oldest_lease_ms: Option<Millis>,
    #[serde(flatten)]
    entry: Entry,
    partition_count: usize,
    partitions: Vec<PartitionRow>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PartitionRow {
    partition: PartitionId,
    owner: Option<ConsumerId>,
    lag: u64,
    ready: u64,
    in_flight: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConsumerRow {
    group: GroupName,
    consumer_id: ConsumerId,
    client_id: Option<Box<str>>,
    topic: TopicName,
    state: Lifecycle,
    takes_part: bool,
    partition_count: usize,
    in_flight: u64,
    waiting_pulls: u32,
    last_seen: Timestamp,
    ack_timeout: AckTimeout,
    max_reconsume_times: u32,
    auto_ack: bool,
    dead_letter_topic: Option<TopicName>,
}

impl Broker {
    /// The broker as it is, with the rows that `filter` admits.
    pub(crate) fn inspect(&self, filter: &Filter) -> Inspection {
        let now = self.now();
        let mut inspection = Inspection {
            now,
            semantics: self.rules.semantics.to_string(),
            storage_error: self.storage.admit().err().map(|error| error.outline()),
            published: 0,
            account: Entry::default(),
            consumer_states: ConsumerStates::default(),
            leases: LeaseRow { bounds: LeaseAges::BOUNDS, counts: Default::default(), oldest_ms: None },
            group_count: 0,
            topics: Listed::new(),
            groups: Listed::new(),
            consumers: Listed::new(),
        };
        let mut dead_letter_topics = HashSet::new();
        for cell in self.cells() {
            cell.look(|group| inspection.add_group(cell.name(), group, filter, &mut dead_letter_topics));
        }
        for (name, topic) in self.topics_by_name() {
            inspection.add_topic(name, &topic, filter, &dead_letter_topics);
        }
        inspection
    }

    /// Every group, by name.
    pub(super) fn cells(&self) -> Vec<Arc<GroupCell>> {
        let mut cells: Vec<Arc<GroupCell>> = self.groups.read().values().cloned().collect();
        cells.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        cells
    }

    /// Every topic, by name.
    pub(super) fn topics_by_name(&self) -> Vec<(TopicName, Arc<Topic>)> {
        let topics = self.topics.read();
        let mut topics: Vec<_> = topics.iter().map(|(name, topic)| (name.clone(), Arc::clone(topic))).collect();
        topics.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        topics
    }
}

impl Inspection {
    fn add_topic(&mut self, name: TopicName, topic: &Topic, filter: &Filter, dead_letters: &HashSet<TopicName>) {
        let account = topic.account();
        self.published += account.published;
        self.topics.add(filter.admits(name.as_str()), || TopicRow {
            partitions: account.partitions,
            published: account.published,
            groups: topic.with_subscribers(<[_]>::len),
            dead_letter_topic: dead_letters.contains(&name),
            topic: name,
        });
    }

    fn add_group(&mut self, name: &GroupName, group: &Group, filter: &Filter, dead_letters: &mut HashSet<TopicName>) {
        let ages = group.lease_ages(self.now);
        self.leases.add(&ages);
        self.group_count += 1;
        let by_name = filter.admits(name.as_str());
        for (topic, entry) in group.ledger() {
            self.account.add(&entry);
            self.groups.add(by_name || filter.admits(topic.as_str()), || {
                GroupRow::new(name, group, topic, entry, ages.oldest)
            });
        }
        self.add_consumers(name, group, filter, dead_letters);
    }

    /// Those that take part first, so that what is over is what is left out.
    fn add_consumers(
        &mut self,
        name: &GroupName,
        group: &Group,
        filter: &Filter,
        dead_letters: &mut HashSet<TopicName>,
    ) {
        let mut consumers: Vec<_> = group.consumers().collect();
        consumers.sort_unstable_by_key(|consumer| (!consumer.takes_part(), consumer.id));
        for consumer in consumers {
            self.consumer_states.count(consumer.state(), consumer.takes_part());
            let settings = consumer.settings();
            let dead_letter = settings.dead_letter.as_ref().map(|dead_letter| &dead_letter.name);
            if let Some(topic) = dead_letter.filter(|topic| !dead_letters.contains(*topic)) {
                dead_letters.insert(topic.clone());
            }
            let admitted = filter.admits(name.as_str())
                || filter.admits(settings.topic.as_str())
                || filter.admits(&consumer.id.to_string())
                || settings.client_id.as_deref().is_some_and(|id| filter.admits(id));
            let now = self.now;
            self.consumers.add(admitted, || ConsumerRow {
                group: name.clone(),
                consumer_id: consumer.id,
                client_id: settings.client_id.clone(),
                topic: settings.topic.clone(),
                state: consumer.state(),
                takes_part: consumer.takes_part(),
                partition_count: consumer.partitions().len(),
                in_flight: consumer.in_flight(),
                waiting_pulls: consumer.waiting_pulls(),
                last_seen: consumer.last_seen(now),
                ack_timeout: settings.ack_timeout,
                max_reconsume_times: settings.max_reconsume_times,
                auto_ack: settings.acknowledgement == Acknowledgement::Auto,
                dead_letter_topic: dead_letter.cloned(),
            });
        }
    }
}

impl GroupRow {
    fn new(name: &GroupName, group: &Group, topic: &TopicName, entry: Entry, oldest: Option<Millis>) -> Self {
        let mut partitions = group.partitions(topic);
        let partition_count = partitions.len();
        partitions.sort_by_key(|state| std::cmp::Reverse(state.lag()));
        partitions.truncate(MAX_PARTITION_ROWS);
        partitions.sort_unstable_by_key(|state| state.partition);
        let on_topic = group.consumers().filter(|consumer| consumer.settings().topic == *topic);
        Self {
            group: name.clone(),
            topic: topic.clone(),
            consumers: on_topic.filter(|consumer| consumer.takes_part()).count(),
            lag: entry.ready + entry.in_flight,
            oldest_lease_ms: oldest,
            entry,
            partition_count,
            partitions: partitions.iter().map(PartitionRow::from).collect(),
        }
    }
}

impl From<&PartitionState> for PartitionRow {
    fn from(state: &PartitionState) -> Self {
        let PartitionState { partition, owner, ready, in_flight } = *state;
        Self { partition, owner, lag: state.lag(), ready, in_flight }
    }
}

impl LeaseRow {
    fn add(&mut self, ages: &LeaseAges) {
        for (sum, count) in self.counts.iter_mut().zip(ages.counts) {
            *sum += count;
        }
        self.oldest_ms = self.oldest_ms.max(ages.oldest);
    }
}

impl ConsumerStates {
    fn count(&mut self, state: Lifecycle, takes_part: bool) {
        *match state {
            Lifecycle::Created => &mut self.created,
            Lifecycle::Started => &mut self.started,
            Lifecycle::Paused => &mut self.paused,
            Lifecycle::Stopped => &mut self.stopped,
            Lifecycle::Closed => &mut self.closed,
        } += 1;
        self.silent += u64::from(state.takes_part() && !takes_part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_part_of_a_name_in_whatever_case() {
        let filter = Filter::new(" Ord ");
        assert!(filter.admits("orders") && filter.admits("REORDER") && !filter.admits("or") && !filter.admits(""));
        assert!(Filter::new("").admits("") && Filter::new("  ").admits("orders"));
        let long = Filter::new(&"ä".repeat(1_000));
        assert!(long.admits(&"ä".repeat(64)) && !long.admits(&"ä".repeat(63)));
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let mut listed = Listed::new();
        for number in 0..1_000 {
            listed.add(number % 2 == 0, || number);
        }
        assert_eq!((listed.total, listed.matching, listed.rows.len()), (1_000, 500, MAX_ROWS));
    }
}
