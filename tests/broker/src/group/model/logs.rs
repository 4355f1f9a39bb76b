//! A log that shows what was appended to it, and does what a log on a disk may do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::group::change::Story;
use crate::message::Message;
use crate::names::{Offset, PartitionId, TopicName};
use crate::storage::{Appended, Batch, Cause, StorageError, TopicLog};

/// A log in memory, whose appends can fail and whose old messages can be removed.
pub(super) struct TestLog {
    inner: Arc<dyn TopicLog>,
    fails: AtomicBool,
    start: AtomicU64,
    /// The stories that were kept with dead letters and are not taken over yet.
    stories: Mutex<Vec<Story>>,
}

impl TestLog {
    pub(super) fn over(inner: Arc<dyn TopicLog>) -> Arc<Self> {
        Arc::new(Self { inner, fails: AtomicBool::new(false), start: AtomicU64::new(0), stories: Mutex::default() })
    }

    /// Has appends fail from now on, or succeed.
    pub(super) fn fail(&self, fail: bool) {
        self.fails.store(fail, Ordering::Relaxed);
    }

    /// Removes what is below an offset of every partition.
    pub(super) fn remove_below(&self, start: u64) {
        self.start.store(start, Ordering::Relaxed);
    }

    pub(super) fn take_stories(&self) -> Vec<Story> {
        std::mem::take(&mut self.stories.lock())
    }
}

/// How the topics `t` and `t.dlq` are found.
pub(super) fn of(
    log: &Arc<dyn TopicLog>,
    letters: &Arc<TestLog>,
) -> impl Fn(&TopicName) -> Option<Arc<dyn TopicLog>> + use<> {
    let (log, letters) = (Arc::clone(log), Arc::clone(letters));
    move |name| match name.as_str() {
        "t" => Some(Arc::clone(&log)),
        "t.dlq" => Some(Arc::clone(&letters) as Arc<dyn TopicLog>),
        _ => None,
    }
}

impl TopicLog for TestLog {
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    fn append(&self, batch: Batch) -> Result<Appended, (StorageError, Cause)> {
        if self.fails.load(Ordering::Relaxed) {
            return Err((StorageError::Full { limit: 0 }, batch.cause));
        }
        if let Cause::DeadLetter(story) = &batch.cause {
            self.stories.lock().push(story.clone());
        }
        self.inner.append(batch)
    }

    fn start(&self, _partition: PartitionId) -> Offset {
        Offset(self.start.load(Ordering::Relaxed))
    }

    fn end(&self, partition: PartitionId) -> Offset {
        self.inner.end(partition)
    }

    fn read(&self, partition: PartitionId, offset: Offset) -> Result<Arc<Message>, StorageError> {
        if offset < self.start(partition) {
            return Err(StorageError::Missing { partition, offset });
        }
        self.inner.read(partition, offset)
    }

    fn size(&self, partition: PartitionId, offset: Offset) -> usize {
        self.inner.size(partition, offset)
    }
}
