//! The log on a simulated disk.

mod blocks;
mod concurrency;
mod damage;
mod failures;
mod model;
mod retention;
mod segments;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::clock::Timestamp;
use crate::message::Encoding;
use crate::names::MessageId;
use crate::storage::codec::Codec;
use crate::storage::disk::SimulatedDisk;

const DIR: &str = "/topics/orders/0";
const PARTITION: PartitionId = PartitionId(3);

/// Segments of a few blocks each.
const SMALL: Options = Options { segment_bytes: 1_000, retention_bytes: None, retention_age: None };

fn id_of(count: u64) -> MessageId {
    MessageId { run: 7, count }
}

fn message(id: u64, body_bytes: usize) -> Arc<Message> {
    let alphabets = "abcdefghijklmnopqrstuvwxyz".repeat(body_bytes / 26 + 2);
    let skip = id as usize % 26;
    Arc::new(Message {
        message_id: id_of(id),
        body: alphabets[skip..skip + body_bytes].into(),
        encoding: Encoding::Utf8,
        key: id.is_multiple_of(2).then(|| id.to_string().into()),
        tag: None,
        properties: BTreeMap::from([("id".to_owned(), id.to_string())]),
        headers: BTreeMap::new(),
    })
}

fn try_open(disk: &SimulatedDisk, from: Option<&Checkpointed>, options: Options) -> Result<PartitionLog, OpenError> {
    disk.create_dir(Path::new(DIR)).unwrap();
    let cache = Arc::new(BlockCache::new(1 << 20));
    PartitionLog::open(Arc::new(disk.clone()), DIR.into(), PARTITION, from, options, cache)
}

fn open(disk: &SimulatedDisk, from: Option<&Checkpointed>, options: Options) -> PartitionLog {
    try_open(disk, from, options).unwrap()
}

/// Appends a block of messages with these sizes, whose ids are their offsets.
fn append(log: &PartitionLog, codec: Codec, body_bytes: &[usize]) {
    let first = log.end();
    let messages: Vec<_> = (first.0..).zip(body_bytes).map(|(id, &bytes)| message(id, bytes)).collect();
    log.append(Block::encode(first, &messages, codec, Timestamp(first.0)));
}

/// Appends and writes blocks of one message of 300 bytes each: three make a small segment.
fn write_blocks(log: &PartitionLog, count: u64) {
    for _ in 0..count {
        append(log, Codec::None, &[300]);
    }
    log.flush().unwrap();
}

/// Reads everything from the log's start to its end: the ids, which are to be the offsets.
#[track_caller]
fn assert_whole(log: &PartitionLog, offsets: std::ops::Range<u64>) {
    assert_eq!((log.start().0, log.end().0), (offsets.start, offsets.end));
    for offset in offsets.clone() {
        let read = log.read(Offset(offset)).unwrap();
        assert_eq!(read.message_id, id_of(offset));
        assert!(log.size(Offset(offset)) >= read.size());
    }
    for missing in [offsets.start.wrapping_sub(1), offsets.end] {
        assert!(matches!(log.read(Offset(missing)), Err(StorageError::Missing { partition: PARTITION, .. })));
        assert_eq!(log.size(Offset(missing)), 0);
    }
    let (found, outcome) = verified(log);
    assert_eq!(outcome, Ok(()));
    let ids = found.into_iter().flat_map(|verified| verified.messages.unwrap().to_vec());
    assert!(ids.map(|message| message.message_id).eq(offsets.map(id_of)));
}

/// What [`PartitionLog::verify`] tells of, and what it returns.
fn verified(log: &PartitionLog) -> (Vec<Verified>, Result<(), Damage>) {
    let mut found = Vec::new();
    let outcome = log.verify(|verified| found.push(verified));
    (found, outcome)
}

/// The names of the partition's files.
fn files(disk: &SimulatedDisk) -> Vec<String> {
    disk.list(Path::new(DIR)).unwrap()
}

fn segment(first: u64) -> PathBuf {
    Part::Blocks.path(Path::new(DIR), Offset(first))
}

fn index(first: u64) -> PathBuf {
    Part::Index.path(Path::new(DIR), Offset(first))
}

/// The length of a file.
fn length(disk: &SimulatedDisk, path: &Path) -> u64 {
    disk.read(path).len() as u64
}
