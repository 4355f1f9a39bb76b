//! What changes a partition's files: writing the tail, making it durable, and removing what is old.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::block::Block;
use super::index::Index;
use super::segment::{self, Part};
use super::{Checkpointed, PartitionLog, SegmentEnd};
use crate::clock::Timestamp;
use crate::names::Offset;
use crate::storage::disk::DiskFile;

/// How many bytes are written at once; more where one block is larger.
const WRITE_BYTES: usize = 1 << 20;

/// What is known of the files beside what they hold.
#[derive(Default)]
pub(super) struct Writer {
    /// The last segment, if it has been written to since it was synced. The file that was written to is the one to be
    /// synced: another one of the same name may not be told of an error.
    unsynced: Option<Arc<dyn DiskFile>>,
    /// Whether a segment was begun since the directory was synced.
    names_unsynced: bool,
    /// How far the file of the last segment's index reaches in the segment.
    indexed: u64,
    /// Segments that the log no longer has and whose files are to be removed, the oldest first.
    removed: VecDeque<Offset>,
    /// Why nothing is written any more.
    failed: Option<Arc<str>>,
}

impl Writer {
    /// The writer of a log whose last segment is this, with all of it in the index's file.
    pub(super) fn after(last: Option<&Index>) -> Self {
        Self { indexed: last.map_or(0, Index::bytes), ..Self::default() }
    }

    /// An error if a sync has failed: what the disk holds is not known.
    fn check(&self) -> io::Result<()> {
        match &self.failed {
            Some(reason) => Err(io::Error::other(reason.to_string())),
            None => Ok(()),
        }
    }

    /// Takes note of a failed sync. A disk that is full is no excuse for it: its error must not be taken for one that
    /// passes, since another sync would say that all is well.
    fn synced(&mut self, what: impl FnOnce() -> String, outcome: io::Result<()>) -> io::Result<()> {
        if let Err(error) = outcome {
            self.failed = Some(format!("{}: cannot be synced: {error}", what()).into());
        }
        self.check()
    }
}

/// What is to be written next.
enum Step {
    /// A new segment, from this offset on.
    Begin(Offset),
    /// Blocks, into the segment that begins with this offset, at this byte.
    Write { segment: Offset, at: u64, blocks: Vec<Arc<Block>> },
}

impl PartitionLog {
    /// Writes what has been appended into the segments. After an error nothing is lost: what was not written whole
    /// stays in the tail, and the next call writes it again. After a failed sync this fails for good.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut writer = self.writer.lock();
        writer.check()?;
        self.write_tail(&mut writer)
    }

    /// Writes what has been appended and makes it durable; says how far that is. Messages that are appended meanwhile
    /// are not in it. After a failed sync this fails for good.
    pub(crate) fn checkpoint(&self) -> io::Result<Checkpointed> {
        let mut writer = self.writer.lock();
        writer.check()?;
        self.write_tail(&mut writer)?;
        self.sync_segment(&mut writer)?;
        self.sync_names(&mut writer)?;
        let (checkpointed, last) = {
            let state = self.state.read();
            let last = state.segments.back();
            let checkpointed = Checkpointed {
                start: state.start,
                end: last.map_or(state.start, Index::end),
                segment: last.map(|index| SegmentEnd { first: index.first(), bytes: index.bytes() }),
            };
            (checkpointed, last.filter(|index| index.bytes() != writer.indexed).cloned())
        };
        if let Some(index) = last {
            self.write_index(&index);
            writer.indexed = index.bytes();
        }
        Ok(checkpointed)
    }

    /// Removes closed segments, the oldest first, all of whose messages are below `settled`, while the closed ones
    /// together are over the bound or the oldest one's messages are too old. Returns how many messages are gone.
    pub(crate) fn retain(&self, settled: Offset, now: Timestamp) -> io::Result<u64> {
        let mut writer = self.writer.lock();
        writer.check()?;
        let messages = {
            let mut state = self.state.write();
            let before = state.start;
            let mut closed: u64 = state.segments.iter().rev().skip(1).map(Index::bytes).sum();
            while let (Some(oldest), Some(next)) = (state.segments.front(), state.segments.get(1)) {
                let large = self.options.retention_bytes.is_some_and(|most| closed > most);
                let old = self.options.retention_age.is_some_and(|age| oldest.newest() + age < now);
                if oldest.end() > settled || !(large || old) {
                    break;
                }
                closed -= oldest.bytes();
                writer.removed.push_back(oldest.first());
                state.start = next.first();
                state.segments.pop_front();
            }
            state.start.0 - before.0
        };
        self.remove_files(&mut writer)?;
        Ok(messages)
    }

    /// Writes the tail as it is when this begins.
    fn write_tail(&self, writer: &mut Writer) -> io::Result<()> {
        let until = self.end();
        while let Some(step) = self.next_step(until) {
            match step {
                Step::Begin(first) => self.begin_segment(writer, first)?,
                Step::Write { segment, at, blocks } => self.write_blocks(writer, segment, at, &blocks)?,
            }
        }
        Ok(())
    }

    /// What is to be done next for everything before `until` to be written.
    fn next_step(&self, until: Offset) -> Option<Step> {
        let state = self.state.read();
        let next = state.tail.front().map(|block| block.head()).filter(|head| head.first < until)?;
        let segment_bytes = self.options.segment_bytes;
        let last = state.segments.back().filter(|index| index.takes(&next, index.bytes(), segment_bytes));
        let Some(index) = last else { return Some(Step::Begin(next.first)) };
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        for block in &state.tail {
            let full = bytes > 0 && bytes + block.record().len() > WRITE_BYTES;
            let head = block.head();
            if full || head.first >= until || !index.takes(&head, index.bytes() + bytes as u64, segment_bytes) {
                break;
            }
            bytes += block.record().len();
            blocks.push(Arc::clone(block));
        }
        Some(Step::Write { segment: index.first(), at: index.bytes(), blocks })
    }

    fn write_blocks(&self, writer: &mut Writer, segment: Offset, at: u64, blocks: &[Arc<Block>]) -> io::Result<()> {
        let file = match &writer.unsynced {
            Some(file) => Arc::clone(file),
            None => self.file(segment)?,
        };
        let records: Vec<&[u8]> = blocks.iter().map(|block| &block.record()[..]).collect();
        writer.unsynced = Some(Arc::clone(&file));
        if let Err(error) = file.write_all_at(&records.concat(), at) {
            // If it cannot be cut either, what is there is written over by the next attempt.
            let _ = file.set_len(at);
            return Err(error);
        }
        // Those who consume what has just been published go on without a look at the disk.
        for block in blocks {
            if let Some(messages) = block.decoded() {
                self.cache.keep_block(self.id, block.head().first, Arc::clone(messages));
            }
        }
        let mut state = self.state.write();
        for block in blocks {
            state.tail.pop_front();
            state.tail_bytes -= block.footprint();
            if let Some(index) = state.segments.back_mut() {
                index.push(&block.head(), block.record().len());
            }
        }
        Ok(())
    }

    /// Closes the last segment, and begins a new one.
    fn begin_segment(&self, writer: &mut Writer, first: Offset) -> io::Result<()> {
        self.sync_segment(writer)?;
        let closed = self.state.read().segments.back().cloned();
        if let Some(index) = closed {
            self.write_index(&index);
        }
        writer.names_unsynced = true;
        let file = self.disk.create(&Part::Blocks.path(&self.dir, first))?;
        file.write_all_at(&segment::header(first), 0)?;
        (writer.unsynced, writer.indexed) = (Some(file), 0);
        let mut state = self.state.write();
        if let Some(closed) = state.segments.back_mut() {
            closed.close();
        }
        state.segments.push_back(Index::new(first));
        Ok(())
    }

    /// Writes the file of an index. The segments serve without it, only the next start takes longer.
    pub(super) fn write_index(&self, index: &Index) {
        let path = Part::Index.path(&self.dir, index.first());
        let bytes = index.to_bytes();
        let written = self.disk.create(&path).and_then(|file| {
            file.write_all_at(&bytes, 0)?;
            file.set_len(bytes.len() as u64)
        });
        if let Err(error) = written {
            tracing::warn!(file = %path.display(), %error, "an index is not written; the next start reads the segment");
        }
    }

    fn sync_segment(&self, writer: &mut Writer) -> io::Result<()> {
        let Some(file) = &writer.unsynced else { return Ok(()) };
        let synced = file.sync();
        writer.synced(|| format!("the last segment in {}", self.dir.display()), synced)?;
        writer.unsynced = None;
        Ok(())
    }

    fn sync_names(&self, writer: &mut Writer) -> io::Result<()> {
        if writer.names_unsynced {
            writer.synced(|| self.dir.display().to_string(), self.disk.sync_dir(&self.dir))?;
            writer.names_unsynced = false;
        }
        Ok(())
    }

    /// Removes the files of the segments that the log no longer has. Each is gone for certain before the next one is
    /// removed, and the one that follows them is there for certain before the first is: what is left after a crash has
    /// no gap.
    fn remove_files(&self, writer: &mut Writer) -> io::Result<()> {
        if !writer.removed.is_empty() {
            self.sync_names(writer)?;
        }
        while let Some(&first) = writer.removed.front() {
            for part in [Part::Index, Part::Blocks] {
                match self.disk.remove(&part.path(&self.dir, first)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            self.cache.forget_file(self.id, first);
            writer.removed.pop_front();
            writer.names_unsynced = true;
            self.sync_names(writer)?;
        }
        Ok(())
    }
}
