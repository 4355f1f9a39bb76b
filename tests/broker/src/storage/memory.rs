//! Storage in the process's memory: gone with the process, and bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use super::{Appended, Batch, Cause, Mark, Reached, Storage, StorageError, TopicLog, TransactionStep};
use crate::group::change::Story;
use crate::message::{Message, Position};
use crate::names::{Offset, PartitionId, TopicName};

/// Keeps every message until the process ends. The bytes that topics hold together are bounded; a publish over the
/// bound is refused.
#[derive(Debug)]
pub(crate) struct MemoryStorage {
    budget: Arc<Budget>,
}

#[derive(Debug)]
struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    fn take(&self, bytes: usize) -> Result<(), StorageError> {
        let within = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= self.limit);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) {
            Ok(_) => Ok(()),
            Err(_) => Err(StorageError::Full { limit: self.limit }),
        }
    }
}

impl MemoryStorage {
    /// Storage for `limit` bytes of messages, overhead included.
    pub(crate) fn new(limit: usize) -> Self {
        Self { budget: Arc::new(Budget { limit, used: AtomicUsize::new(0) }) }
    }
}

/// The process's own state is all there is to keep.
impl Storage for MemoryStorage {
    fn admit(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn create_topic(&self, _topic: &TopicName, partitions: u32) -> Result<(Arc<dyn TopicLog>, Mark), StorageError> {
        let partitions = (0..partitions).map(|_| RwLock::default()).collect();
        Ok((Arc::new(MemoryLog { partitions, budget: Arc::clone(&self.budget) }), Mark::default()))
    }

    fn record(&self, _story: Story) -> Result<Mark, StorageError> {
        Ok(Mark::default())
    }

    fn record_transaction(&self, _step: &TransactionStep) -> Result<Mark, StorageError> {
        Ok(Mark::default())
    }

    fn end(&self) -> Mark {
        Mark::default()
    }

    fn durable(&self, _mark: Mark) -> Option<Reached> {
        None
    }
}

#[derive(Debug)]
struct MemoryLog {
    partitions: Vec<RwLock<Vec<Arc<Message>>>>,
    budget: Arc<Budget>,
}

impl TopicLog for MemoryLog {
    fn partitions(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    fn append(&self, batch: Batch) -> Result<Appended, (StorageError, Cause)> {
        let Batch { messages, cause, .. } = batch;
        self.budget
            .take(messages.iter().map(|(_, message)| message.footprint()).sum())
            .map_err(|error| (error, cause))?;
        let positions = messages
            .into_iter()
            .map(|(partition, message)| {
                let mut log = self.partitions[partition.index()].write();
                let offset = Offset(log.len() as u64);
                log.push(message);
                Position { partition, offset }
            })
            .collect();
        Ok(Appended { positions, mark: Mark::default() })
    }

    fn start(&self, _partition: PartitionId) -> Offset {
        Offset(0)
    }

    fn end(&self, partition: PartitionId) -> Offset {
        Offset(self.partitions[partition.index()].read().len() as u64)
    }

    fn read(&self, partition: PartitionId, offset: Offset) -> Result<Arc<Message>, StorageError> {
        let log = self.partitions[partition.index()].read();
        let found = usize::try_from(offset.0).ok().and_then(|index| log.get(index));
        found.cloned().ok_or(StorageError::Missing { partition, offset })
    }

    fn size(&self, partition: PartitionId, offset: Offset) -> usize {
        let log = self.partitions[partition.index()].read();
        usize::try_from(offset.0).ok().and_then(|index| log.get(index)).map_or(0, |message| message.size())
    }
}
