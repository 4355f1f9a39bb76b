//! Opening a partition from what a crash, or an end in order, has left.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::index::Index;
use super::segment::{self, Part};
use super::write::Writer;
use super::{BlockCache, Checkpointed, Damage, OpenError, Options, PartitionLog, SegmentEnd, State};
use crate::names::{Offset, PartitionId};
use crate::storage::disk::{Disk, DiskFile};

/// A partition's directory while it is being opened.
struct Opening<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    /// The segments and the indexes that are there.
    segments: BTreeSet<Offset>,
    indexes: BTreeSet<Offset>,
    /// Whether a file was removed since the directory was synced.
    removed: bool,
}

/// A segment that is kept.
struct Opened {
    index: Index,
    /// Whether the file of the index has all of it.
    indexed: bool,
}

impl PartitionLog {
    /// Opens the log in a directory that is there, as it was at a checkpoint; `None` for a log without messages, of
    /// which the directory can hold nothing but what a crash left over. What is beyond is removed.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        partition: PartitionId,
        from: Option<&Checkpointed>,
        options: Options,
        cache: Arc<BlockCache>,
    ) -> Result<Self, OpenError> {
        let mut opening = Opening::list(&*disk, &dir)?;
        let mut opened = match from {
            Some(Checkpointed { start, end, segment: Some(last) }) => opening.segments(*start, *end, *last)?,
            _ => VecDeque::new(),
        };
        opening.remove_others(&opened)?;
        let end = from.map_or(Offset(0), |from| from.end);
        let unindexed: Vec<bool> = opened.iter().map(|opened| !opened.indexed).collect();
        let mut segments: VecDeque<Index> = opened.drain(..).map(|opened| opened.index).collect();
        segments.iter_mut().for_each(Index::close);
        let writer = Writer::after(segments.back());
        let state = State {
            start: segments.front().map_or(end, Index::first),
            segments,
            tail: VecDeque::new(),
            tail_bytes: 0,
            end,
        };
        let id = cache.new_log();
        let (state, writer) = (RwLock::new(state), Mutex::new(writer));
        let log = Self { disk, dir, partition, options, cache, id, state, writer };
        for (index, unindexed) in log.state.read().segments.iter().zip(unindexed) {
            if unindexed {
                log.write_index(index);
            }
        }
        Ok(log)
    }
}

impl<'a> Opening<'a> {
    fn list(disk: &'a dyn Disk, dir: &'a Path) -> Result<Self, OpenError> {
        let names = disk.list(dir).map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
        let mut opening = Self { disk, dir, segments: BTreeSet::new(), indexes: BTreeSet::new(), removed: false };
        for (part, first) in names.iter().filter_map(|name| Part::parse(name)) {
            match part {
                Part::Blocks => opening.segments.insert(first),
                Part::Index => opening.indexes.insert(first),
            };
        }
        Ok(opening)
    }

    /// Opens the segments of a checkpoint; if retention has removed all of them since, begins an empty one at its end.
    fn segments(&mut self, start: Offset, end: Offset, last: SegmentEnd) -> Result<VecDeque<Opened>, OpenError> {
        self.remove_below(start, last.first)?;
        let kept: Vec<Offset> = self.segments.range(..=last.first).copied().collect();
        if kept.last() != Some(&last.first) {
            // What is newer was begun before retention could remove this one, and after all that is older was gone.
            if kept.is_empty() && !self.segments.is_empty() {
                return self.begin(end).map(|begun| VecDeque::from([begun]));
            }
            return Err(OpenError::Missing { path: Part::Blocks.path(self.dir, last.first) });
        }
        let ends = kept.iter().skip(1).copied().chain([end]);
        let mut opened = VecDeque::with_capacity(kept.len());
        for (&first, end) in kept.iter().zip(ends) {
            let until = (first == last.first).then_some(last.bytes);
            let segment = self.segment(first, until)?;
            if segment.index.end() != end {
                let reason =
                    format!("it ends with offset {}, and what follows begins with {}", segment.index.end().0, end.0);
                return Err(Damage::new(&Part::Blocks.path(self.dir, first), segment.index.bytes(), reason).into());
            }
            opened.push_back(segment);
        }
        Ok(opened)
    }

    /// Begins an empty segment. It is there for certain before others are removed, and shows, should there be another
    /// start from the same checkpoint, that what was before it is not lost but removed.
    fn begin(&self, first: Offset) -> Result<Opened, OpenError> {
        let path = Part::Blocks.path(self.dir, first);
        let begun = self.disk.create(&path).and_then(|file| {
            file.set_len(0)?;
            file.write_all_at(&segment::header(first), 0)?;
            file.sync()?;
            self.disk.sync_dir(self.dir)
        });
        begun.map_err(|source| OpenError::Io { path, source })?;
        Ok(Opened { index: Index::new(first), indexed: false })
    }

    /// Opens one segment, and cuts it at the byte `until`, where it goes on to be written.
    fn segment(&mut self, first: Offset, until: Option<u64>) -> Result<Opened, OpenError> {
        let path = Part::Blocks.path(self.dir, first);
        let io = |source| OpenError::Io { path: path.clone(), source };
        let file = self.disk.open(&path).map_err(io)?;
        segment::check_header(&*file, &path, first)?;
        let length = file.len().map_err(io)?;
        let until = until.unwrap_or(length);
        if length < until {
            let reason = format!("the segment ends there, and should have {until} bytes");
            return Err(Damage::new(&path, length, reason).into());
        }
        let stored = self.indexes.contains(&first).then(|| self.index(first, length)).flatten();
        let indexed = stored.as_ref().is_some_and(|index| index.bytes() == until);
        let mut index = match stored {
            Some(index) if index.bytes() <= until => index,
            Some(index) => index.cut(until),
            None => Index::new(first),
        };
        segment::index_blocks(&*file, &path, &mut index, until)?;
        if length > until {
            file.set_len(until).map_err(io)?;
            // What follows may be other blocks than those that the index knew of.
            self.remove(Part::Index, first)?;
            return Ok(Opened { index, indexed: false });
        }
        Ok(Opened { index, indexed })
    }

    /// The index of a segment of this length as its file holds it; `None` if that is not whole.
    fn index(&self, first: Offset, segment_bytes: u64) -> Option<Index> {
        let path = Part::Index.path(self.dir, first);
        let read = |file: Arc<dyn DiskFile>| {
            let length = file.len()?;
            if length > Index::most_file_bytes(segment_bytes) {
                return Ok(None);
            }
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, 0)?;
            Ok(Index::of_bytes(&bytes, first).filter(|index| index.bytes() <= segment_bytes))
        };
        let index = self.disk.open(&path).and_then(read).unwrap_or_default();
        if index.is_none() {
            tracing::info!(file = %path.display(), "an index is not whole; the segment is read instead");
        }
        index
    }

    /// Removes the segments before `last` that end at or below `start`: retention removed them, and a crash brought
    /// them back. Each is gone for certain before the next is removed, so that no gap is left.
    fn remove_below(&mut self, start: Offset, last: Offset) -> Result<(), OpenError> {
        loop {
            let mut firsts = self.segments.range(..=last).copied();
            let (Some(oldest), Some(next)) = (firsts.next(), firsts.next()) else { return Ok(()) };
            if next > start {
                return Ok(());
            }
            self.remove(Part::Index, oldest)?;
            self.remove(Part::Blocks, oldest)?;
            self.sync_removed()?;
        }
    }

    /// Removes all files but those of these segments.
    fn remove_others(&mut self, kept: &VecDeque<Opened>) -> Result<(), OpenError> {
        let kept: BTreeSet<Offset> = kept.iter().map(|opened| opened.index.first()).collect();
        for first in &self.indexes.clone() - &kept {
            self.remove(Part::Index, first)?;
        }
        for first in &self.segments.clone() - &kept {
            self.remove(Part::Blocks, first)?;
        }
        self.sync_removed()
    }

    fn remove(&mut self, part: Part, first: Offset) -> Result<(), OpenError> {
        let there = match part {
            Part::Blocks => &mut self.segments,
            Part::Index => &mut self.indexes,
        };
        if there.remove(&first) {
            let path = part.path(self.dir, first);
            self.disk.remove(&path).map_err(|source| OpenError::Io { path, source })?;
            self.removed = true;
        }
        Ok(())
    }

    /// Makes sure that what was removed stays so: it must not come back beside other files of these names.
    fn sync_removed(&mut self) -> Result<(), OpenError> {
        if std::mem::take(&mut self.removed) {
            let synced = self.disk.sync_dir(self.dir);
            synced.map_err(|source| OpenError::Io { path: self.dir.to_owned(), source })?;
        }
        Ok(())
    }
}
