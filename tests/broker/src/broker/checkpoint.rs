//! Snapshots of the broker while it works, and what is done along with them: segments are filled, old ones removed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::cell::GroupCell;
use crate::names::{Offset, PartitionId, TopicName};
use crate::storage::disk::is_no_room;
use crate::storage::durable::snapshot::Part;
use crate::storage::durable::{Checkpoint, CheckpointError, DurableStorage};
use crate::storage::{Storage, StorageError};

/// Between two looks at whether there is something to do.
const LOOK: Duration = Duration::from_millis(100);

/// Messages that are in memory and in the journal alone, in bytes, before they are written into the segments.
const FLUSH_BYTES: usize = 4 << 20;

/// After a checkpoint that failed for want of room.
const RETRY: Duration = Duration::from_secs(1);

/// Does what is due until the broker stops, and then takes a last snapshot, so that the next start is a quick one.
pub(crate) async fn keep(broker: Arc<Broker>, storage: Arc<DurableStorage>) {
    loop {
        let wait = match work(&broker, &storage, When::Due).await {
            Ok(()) => LOOK,
            Err(error) => {
                report(&storage, &error);
                RETRY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = broker.stopping.cancelled() => break,
        }
    }
}

/// Takes a snapshot of a broker that nobody uses any more.
pub(crate) async fn last(broker: &Arc<Broker>, storage: &Arc<DurableStorage>) {
    if let Err(error) = work(broker, storage, When::Now).await {
        report(storage, &error);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Due,
    Now,
}

async fn work(broker: &Arc<Broker>, storage: &Arc<DurableStorage>, when: When) -> Result<(), CheckpointError> {
    if when == When::Due && !storage.has_work(FLUSH_BYTES) {
        return Ok(());
    }
    // While the journal takes nothing, a snapshot cannot be finished.
    storage.admit()?;
    let (broker, storage) = (Arc::clone(broker), Arc::clone(storage));
    let worked = tokio::task::spawn_blocking(move || {
        let _one_at_a_time = storage.keeping();
        storage.flush(FLUSH_BYTES)?;
        if when == When::Now || storage.checkpoint_due() {
            take(&broker, &storage)?;
            retain(&broker, &storage)?;
        }
        Ok(())
    });
    worked.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}

/// Takes a snapshot.
fn take(broker: &Broker, storage: &Arc<DurableStorage>) -> Result<(), CheckpointError> {
    let mut checkpoint = storage.begin_checkpoint(broker.now())?;
    let mut written = HashSet::new();
    let mut topics = |checkpoint: &mut Checkpoint| {
        // None is ever removed.
        if written.len() == broker.topics.read().len() {
            return Ok(());
        }
        for (name, topic) in broker.topics_by_name() {
            if written.insert(name.clone()) {
                let (turn, tokens, as_of) = topic.sequence(|| storage.end());
                checkpoint.topic(&name, turn, tokens, as_of)?;
                // What is published meanwhile does not wait in memory for the end of a snapshot.
                storage.flush(FLUSH_BYTES)?;
            }
        }
        Ok::<(), CheckpointError>(())
    };
    topics(&mut checkpoint)?;
    let cells: Vec<_> = broker.groups.read().values().cloned().collect();
    for cell in cells {
        let (state, as_of) = cell.look(|group| (group.snapshot(), storage.end()));
        // A group may have come to consume a topic that was made since.
        topics(&mut checkpoint)?;
        checkpoint.write(&Part::Group { state, as_of })?;
    }
    let (resolved, pending) = {
        let transactions = broker.transactions.lock();
        let resolved = Part::Resolved { transactions: transactions.all_resolved(), as_of: storage.end() };
        (resolved, transactions.all_pending().map(|(id, pending)| (id, pending.clone())).collect::<Vec<_>>())
    };
    checkpoint.write(&resolved)?;
    for (id, pending) in pending {
        checkpoint.write(&Part::Pending(pending.stored(id)))?;
    }
    checkpoint.finish()
}

/// Removes old messages that every group of their topic has settled.
fn retain(broker: &Broker, storage: &Arc<DurableStorage>) -> Result<(), CheckpointError> {
    let topics: Vec<TopicName> = broker.topics.read().keys().cloned().collect();
    for name in topics {
        let (Ok(topic), Some(log)) = (broker.topic(&name), storage.log(&name)) else { continue };
        let removed = topic.with_subscribers(|cells| {
            let mut settled = Vec::new();
            for partition in (0..topic.partitions()).map(PartitionId) {
                let below = |cell: &Arc<GroupCell>| cell.look(|group| group.settled_below(&name, partition));
                settled.push(cells.iter().filter_map(below).min().unwrap_or(Offset(u64::MAX)));
            }
            // What a group has settled must not come back after its message is gone.
            storage.sync()?;
            Ok::<u64, CheckpointError>(log.retain(|partition| settled[partition.index()], broker.now())?)
        })?;
        if removed > 0 {
            tracing::info!(topic = %name, messages = removed, "old messages were removed");
        }
    }
    Ok(())
}

fn report(storage: &DurableStorage, error: &CheckpointError) {
    match error {
        CheckpointError::Io(error) if is_no_room(error) => tracing::warn!(%error, "no room for a snapshot"),
        CheckpointError::Storage(StorageError::NoRoom { .. }) => tracing::warn!(%error, "no room for a snapshot"),
        // What a failed write or sync left behind is not known: the journal has it all and must not be cut.
        error => {
            tracing::error!(%error, "a snapshot could not be taken");
            storage.stop(&error.to_string());
        }
    }
}
