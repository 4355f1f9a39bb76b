//! A topic whose messages outlive the process: journalled first, then kept in the segments of its partitions.

use std::io;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;

use super::journal::{AppendCause, BlockPlace, Entry};
use crate::clock::Timestamp;
use crate::message::{Message, Position};
use crate::names::{Offset, PartitionId, TopicName};
use crate::storage::partition::{Block, Checkpointed, PartitionLog, split};
use crate::storage::wal::Wal;
use crate::storage::{Appended, Batch, Cause, Mark, StorageError, TokenResult, TopicLog};

/// The journal that all topics write to. There is none yet while a broker recovers from it.
pub(super) type Journal = Arc<OnceLock<Wal>>;

/// One topic.
pub(crate) struct DurableLog {
    name: TopicName,
    partitions: Vec<PartitionLog>,
    journal: Journal,
    /// Held from the choice of offsets until the messages are in their partitions, so that a partition's messages
    /// are journalled in the order of their offsets.
    appending: Mutex<()>,
}

impl DurableLog {
    pub(super) fn new(name: TopicName, partitions: Vec<PartitionLog>, journal: Journal) -> Self {
        Self { name, partitions, journal, appending: Mutex::default() }
    }

    /// Puts a block back that the journal tells of, unless the segments have it.
    pub(super) fn restore(&self, place: BlockPlace, record: &[u8]) -> Result<(), String> {
        let BlockPlace { partition, first, .. } = place;
        let log = self
            .partitions
            .get(partition.index())
            .ok_or_else(|| format!("topic {} has no partition {}", self.name, partition.0))?;
        let end = log.end();
        if first > end {
            return Err(format!(
                "topic {}: messages from offset {} on in partition {}, which ends at {}",
                self.name, first.0, partition.0, end.0
            ));
        }
        if first == end {
            let block = Block::open(&Bytes::copy_from_slice(record), first)
                .map_err(|error| format!("topic {}: {error}", self.name))?;
            log.append(block);
        }
        Ok(())
    }

    /// Bytes of messages that are in memory and in the journal alone.
    pub(super) fn tail_bytes(&self) -> usize {
        self.partitions.iter().map(PartitionLog::tail_bytes).sum()
    }

    /// Writes those into the segments.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.partitions.iter().filter(|log| log.tail_bytes() > 0).try_for_each(PartitionLog::flush)
    }

    /// Makes every partition durable without the journal, at least as far as the journal reached when this began.
    pub(super) fn checkpoint(&self) -> io::Result<Vec<Checkpointed>> {
        // Whoever has journalled messages and not put them into their partitions yet is waited for.
        drop(self.appending.lock());
        self.partitions.iter().map(PartitionLog::checkpoint).collect()
    }

    /// Removes what is old, all of it below the settled offset of its partition; returns the number of messages.
    pub(crate) fn retain(&self, settled: impl Fn(PartitionId) -> Offset, now: Timestamp) -> io::Result<u64> {
        let partitions = (0..).map(PartitionId).zip(&self.partitions);
        partitions.map(|(partition, log)| log.retain(settled(partition), now)).sum()
    }

    pub(crate) fn partition(&self, partition: PartitionId) -> &PartitionLog {
        &self.partitions[partition.index()]
    }

    /// Encodes a batch: its blocks, and the place of each message.
    fn encode(&self, batch: &Batch) -> (Vec<(PartitionId, Block)>, Vec<Position>) {
        let mut shares: Vec<(PartitionId, Vec<Arc<Message>>)> = Vec::new();
        let mut positions = Vec::with_capacity(batch.messages.len());
        for (partition, message) in &batch.messages {
            let index = shares.iter().position(|(id, _)| id == partition).unwrap_or_else(|| {
                shares.push((*partition, Vec::new()));
                shares.len() - 1
            });
            let share = &mut shares[index].1;
            let offset = Offset(self.partitions[partition.index()].end().0 + share.len() as u64);
            positions.push(Position { partition: *partition, offset });
            share.push(Arc::clone(message));
        }
        let mut blocks = Vec::with_capacity(shares.len());
        for (partition, messages) in shares {
            let mut first = self.partitions[partition.index()].end();
            for block in split(&messages) {
                blocks.push((partition, Block::encode(first, block, batch.codec, batch.now)));
                first.0 += block.len() as u64;
            }
        }
        (blocks, positions)
    }
}

impl TopicLog for DurableLog {
    fn partitions(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    fn append(&self, batch: Batch) -> Result<Appended, (StorageError, Cause)> {
        let Some(journal) = self.journal.get() else {
            return Err((StorageError::Stopped { reason: "it recovers".into() }, batch.cause));
        };
        let _appending = self.appending.lock();
        let (blocks, positions) = self.encode(&batch);
        let Batch { messages, cause, .. } = batch;
        let places = blocks.iter().map(|(partition, block)| BlockPlace {
            partition: *partition,
            first: block.head().first,
            bytes: u32::try_from(block.record().len()).unwrap_or(u32::MAX),
        });
        let entry = Entry::Appended {
            topic: self.name.clone(),
            blocks: places.collect(),
            cause: stored(cause, &messages, &positions),
        };
        let head = entry.to_bytes();
        let mut parts = Vec::with_capacity(1 + blocks.len());
        parts.push(&head[..]);
        parts.extend(blocks.iter().map(|(_, block)| &block.record()[..]));
        match journal.append(&parts) {
            Ok(mark) => {
                for (partition, block) in blocks {
                    self.partitions[partition.index()].append(block);
                }
                Ok(Appended { positions, mark })
            }
            Err(error) => Err((error, given_back(entry))),
        }
    }

    fn start(&self, partition: PartitionId) -> Offset {
        self.partitions[partition.index()].start()
    }

    fn end(&self, partition: PartitionId) -> Offset {
        self.partitions[partition.index()].end()
    }

    fn read(&self, partition: PartitionId, offset: Offset) -> Result<Arc<Message>, StorageError> {
        self.partitions[partition.index()].read(offset)
    }

    fn size(&self, partition: PartitionId, offset: Offset) -> usize {
        self.partitions[partition.index()].size(offset)
    }
}

fn stored(cause: Cause, messages: &[(PartitionId, Arc<Message>)], positions: &[Position]) -> AppendCause {
    match cause {
        Cause::Publish { tokens, turn, commits } => {
            let result = |(token, index): (Arc<str>, usize)| TokenResult {
                token: Box::from(&*token),
                message_id: messages[index].1.message_id,
                position: positions[index],
            };
            AppendCause::Publish { tokens: tokens.into_iter().map(result).collect(), turn, commits }
        }
        Cause::DeadLetter(story) => AppendCause::DeadLetter(story),
    }
}

/// The cause of an entry that was not journalled. Of a publish nothing is needed again.
fn given_back(entry: Entry) -> Cause {
    match entry {
        Entry::Appended { cause: AppendCause::DeadLetter(story), .. } => Cause::DeadLetter(story),
        _ => Cause::Publish { tokens: Vec::new(), turn: 0, commits: None },
    }
}

/// An error of the journal before there is one.
pub(super) fn journal(of: &Journal) -> Result<&Wal, StorageError> {
    of.get().ok_or_else(|| StorageError::Stopped { reason: "it recovers".into() })
}

/// The mark of what was appended last; none before there is a journal.
pub(super) fn end_of(journal: &Journal) -> Mark {
    journal.get().map(Wal::end).unwrap_or_default()
}
