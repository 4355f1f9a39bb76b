//! What the write-ahead log says: one entry for each thing that happened, in the order in which it happened. An entry
//! is kept whole or not at all, so whatever must not be parted is one entry: the messages of a publish with its
//! idempotency tokens and the commit of its transaction, a dead letter with its fate in the group it died in.

use serde::{Deserialize, Serialize};

use crate::group::change::Story;
use crate::names::{Offset, PartitionId, TopicName, TransactionId};
use crate::storage::{TokenResult, TransactionStep};

/// One entry. The records of the blocks that it appends follow it, one after the other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Entry {
    TopicCreated { topic: TopicName, partitions: u32 },
    Appended { topic: TopicName, blocks: Vec<BlockPlace>, cause: AppendCause },
    Group(Story),
    Transaction(TransactionStep),
}

/// A block that an entry appends.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct BlockPlace {
    pub(crate) partition: PartitionId,
    pub(crate) first: Offset,
    /// The length of its record.
    pub(crate) bytes: u32,
}

/// What messages were appended for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum AppendCause {
    Publish { tokens: Vec<TokenResult>, turn: u32, commits: Option<TransactionId> },
    DeadLetter(Story),
}

/// Why bytes are no entry, though their checksum is right: another version wrote them, or a defect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it is no journal entry: {0}")]
    Form(#[from] postcard::Error),
    #[error("its blocks are longer than itself")]
    Blocks,
}

impl Entry {
    /// The entry's bytes, without the blocks' records.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Serializing fails for a full buffer and for maps of unknown length: neither occurs here.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads an entry and the records of its blocks.
    pub(crate) fn read(payload: &[u8]) -> Result<(Self, Vec<&[u8]>), Unreadable> {
        let (entry, mut rest) = postcard::take_from_bytes::<Self>(payload)?;
        let mut records = Vec::new();
        if let Self::Appended { blocks, .. } = &entry {
            for block in blocks {
                let (record, after) = rest.split_at_checked(block.bytes as usize).ok_or(Unreadable::Blocks)?;
                records.push(record);
                rest = after;
            }
        }
        if rest.is_empty() { Ok((entry, records)) } else { Err(Unreadable::Blocks) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::names::{GroupName, GroupTag, LeaseId};

    #[test]
    fn an_entry_and_its_blocks_are_read_as_they_were_written() {
        let place = |partition, bytes| BlockPlace { partition: PartitionId(partition), first: Offset(7), bytes };
        let story = Story {
            group: GroupName::parse("g", "group").unwrap(),
            tag: GroupTag(1),
            now: Timestamp(2),
            next_lease: Some(LeaseId(3)),
            changes: Vec::new(),
        };
        let entry = Entry::Appended {
            topic: TopicName::parse("orders", "topic").unwrap(),
            blocks: vec![place(0, 2), place(3, 1)],
            cause: AppendCause::DeadLetter(story),
        };
        let mut payload = entry.to_bytes();
        payload.extend_from_slice(b"abc");
        let (read, records) = Entry::read(&payload).unwrap();
        assert_eq!(format!("{read:?}"), format!("{entry:?}"));
        assert_eq!(records, [&b"ab"[..], b"c"]);
        for cut in 0..payload.len() {
            assert!(Entry::read(&payload[..cut]).is_err(), "{cut}");
        }
        payload.push(0);
        assert!(Entry::read(&payload).is_err(), "bytes beyond the blocks");
    }
}
