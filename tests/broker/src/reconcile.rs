//! Comparing the messages of a broker that does not run with what its groups say became of them.
//!
//! The messages' log and the groups' state are written by different hands: the one has every message that was
//! published, the other every verdict. Each message must have exactly one place in each group of its topic; a message
//! whose place is said to be a dead-letter topic must be there.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::broker::Recovered;
use crate::clock::Millis;
use crate::config::DiskConfig;
use crate::group::Group;
use crate::group::settings::{BackOff, Rules, Semantics};
use crate::message::DEAD_LETTER_GROUP_HEADER;
use crate::names::{MessageId, Offset, PartitionId, TopicName};
use crate::storage::disk::RealDisk;
use crate::storage::durable::{self, DirectoryLock, DurableLog, DurableStorage};
use crate::storage::partition::Verified;

/// How many messages were looked at, and what was found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reconciliation {
    /// Topics.
    pub topics: usize,
    /// Groups.
    pub groups: usize,
    /// Messages in the logs.
    pub messages: u64,
    /// Verdicts that were looked for: one for each message in each group of its topic.
    pub verdicts: u64,
    /// What does not add up.
    pub findings: u64,
}

impl fmt::Display for Reconciliation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topics, groups, messages, verdicts, findings } = self;
        let said = match findings {
            0 => "every message is accounted for".to_owned(),
            count => format!("{count} not accounted for"),
        };
        write!(f, "{said}: {messages} messages in {topics} topics, {verdicts} verdicts in {groups} groups")
    }
}

/// Why a directory cannot be reconciled: a broker uses it, or it cannot be recovered.
#[derive(Debug, thiserror::Error)]
#[error("--data {0}")]
pub struct ReconcileError(String);

/// Recovers the directory as a start of the broker would, and tells `found` of everything that is not accounted for.
///
/// # Errors
/// If the directory is in use, is not there, or cannot be recovered.
pub fn reconcile(dir: &Path, found: &mut dyn FnMut(&str)) -> Result<Reconciliation, ReconcileError> {
    if !dir.join("journal").is_dir() {
        return Err(ReconcileError(format!("{}: no broker has kept its messages there", dir.display())));
    }
    let _lock = DirectoryLock::take(dir).map_err(|error| ReconcileError(error.to_string()))?;
    // What time is it to a group makes no difference to its account.
    let rules =
        Rules { semantics: Semantics::Fixed, back_off: BackOff { base: Millis(0) }, heartbeat_period: Millis(1) };
    let options = durable::Options::from(&DiskConfig::new(dir.to_owned()));
    let opened = durable::open(Arc::new(RealDisk), dir, options, || Recovered::empty(rules));
    let (storage, recovered) = opened.map_err(|error| ReconcileError(error.to_string()))?;
    Ok(audit(&storage, &recovered, found))
}

/// Tells `found` of everything in a recovered directory that is not accounted for.
pub(crate) fn audit(storage: &DurableStorage, recovered: &Recovered, found: &mut dyn FnMut(&str)) -> Reconciliation {
    let mut audit = Audit { storage, totals: Reconciliation::default(), found, letters: HashSet::new() };
    audit.logs(recovered);
    audit.groups(recovered);
    audit.totals
}

struct Audit<'a> {
    storage: &'a DurableStorage,
    totals: Reconciliation,
    found: &'a mut dyn FnMut(&str),
    /// The messages that are in dead-letter topics, each with the group that it died in last.
    letters: HashSet<(MessageId, String)>,
}

impl Audit<'_> {
    fn finding(&mut self, text: fmt::Arguments<'_>) {
        self.totals.findings += 1;
        (self.found)(&text.to_string());
    }

    /// Reads every message of every topic.
    fn logs(&mut self, recovered: &Recovered) {
        let mut topics: Vec<&TopicName> = recovered.topic_names().collect();
        topics.sort_unstable();
        for topic in topics {
            let Some(log) = self.storage.log(topic) else { continue };
            self.totals.topics += 1;
            for partition in (0..crate::storage::TopicLog::partitions(&*log)).map(PartitionId) {
                self.partition(topic, &log, partition);
            }
        }
    }

    fn partition(&mut self, topic: &TopicName, log: &Arc<DurableLog>, partition: PartitionId) {
        let log = log.partition(partition);
        let mut next = log.start();
        let verified = log.verify(|Verified { first, count, messages }| {
            if first != next {
                self.finding(format_args!("{topic}/{} offset {}: missing up to {}", partition.0, next.0, first.0));
            }
            next = Offset(first.0 + count);
            self.totals.messages += count;
            match messages {
                Err(damage) => self.finding(format_args!("{topic}/{} offset {}: {damage}", partition.0, first.0)),
                Ok(messages) => {
                    for message in messages.iter() {
                        if let Some(group) = message.headers.get(DEAD_LETTER_GROUP_HEADER) {
                            self.letters.insert((message.message_id, group.clone()));
                        }
                    }
                }
            }
        });
        if let Err(damage) = verified {
            self.finding(format_args!("{topic}/{}: {damage}", partition.0));
        }
        if next != log.end() {
            self.finding(format_args!("{topic}/{} offset {}: missing up to {}", partition.0, next.0, log.end().0));
        }
    }

    /// Looks for the verdict on every message in every group.
    fn groups(&mut self, recovered: &Recovered) {
        for (_, group) in recovered.groups() {
            self.totals.groups += 1;
            for topic in group.topics() {
                if let Some(log) = self.storage.log(topic) {
                    self.group(group, topic, &log);
                }
            }
            for miscount in group.miscounted() {
                self.finding(format_args!("group {}: {miscount}", group.name()));
            }
        }
    }

    fn group(&mut self, group: &Group, topic: &TopicName, log: &Arc<DurableLog>) {
        let name = group.name();
        for partition in (0..crate::storage::TopicLog::partitions(&**log)).map(PartitionId) {
            let log = log.partition(partition);
            self.totals.verdicts += log.end().0 - log.start().0;
            for (offset, wrong) in group.unaccounted(topic, partition, log.end()) {
                self.finding(format_args!("{topic}/{} offset {} in group {name}: {wrong}", partition.0, offset.0));
            }
            for offset in group.dead_lettered(topic, partition) {
                // What retention has removed cannot be asked for its id any more, nor for its letter.
                let Ok(message) = log.read(offset) else { continue };
                let letter = (message.message_id, name.to_string());
                if !self.letters.contains(&letter) && !group.letter_may_be_removed(&message, partition) {
                    let id = message.message_id;
                    self.finding(format_args!(
                        "{topic}/{} offset {} in group {name}: dead-lettered, but no dead-letter topic has {id} from it",
                        partition.0, offset.0
                    ));
                }
            }
        }
    }
}
