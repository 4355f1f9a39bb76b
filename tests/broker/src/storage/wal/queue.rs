//! What is between those who append and the thread that writes: the entries that wait to be written, and the answers
//! that wait for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::batch::{Batch, Cut};
use super::{MAX_WAITING_BYTES, entry};
use crate::storage::record::MAX_PAYLOAD_BYTES;
use crate::storage::{Mark, Reached, StorageError};

/// How long the thread waits until it tries again to write to a full disk.
const RETRY: Duration = Duration::from_millis(100);

type Answer = oneshot::Sender<Result<(), StorageError>>;

/// The queue, shared by those who append and the thread.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// Wakes the thread: there is something to write, or the log is to be closed.
    work: Condvar,
}

struct Inner {
    /// What the thread takes next.
    waiting: Batch,
    /// The bytes that the thread has taken and not yet written.
    taken: usize,
    end: Mark,
    reached: Mark,
    /// The answers that wait, in the order of their marks.
    answers: VecDeque<(Mark, Answer)>,
    /// Those who wait until everything up to a mark is synced, whatever else makes it durable enough.
    syncs: VecDeque<(Mark, Answer)>,
    health: Health,
    /// The thread waits for work. Only then is it woken: a wake-up is a system call.
    idle: bool,
    closing: bool,
    /// The first mark of the file that the next entry goes to.
    file: Mark,
    since_rotation: u64,
}

enum Health {
    Good,
    NoRoom(Arc<str>),
    Stopped(Arc<str>),
}

/// What the thread is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    Write,
    Sync,
    End,
}

impl Queue {
    /// The queue of a log whose last entry is `end`, all of which is durable. `file` is the first mark of its last
    /// file and how many bytes of entries that has; without one, a file is begun.
    pub(super) fn new(end: Mark, file: Option<(Mark, u64)>) -> Self {
        let next = Mark(end.0 + 1);
        let mut waiting = Batch { first: next, ..Batch::default() };
        if file.is_none() {
            waiting.cuts.push_back(Cut { at: 0, first: next });
        }
        let (file, since_rotation) = file.unwrap_or((next, 0));
        let inner = Inner {
            waiting,
            taken: 0,
            end,
            reached: end,
            answers: VecDeque::new(),
            syncs: VecDeque::new(),
            health: Health::Good,
            idle: false,
            closing: false,
            file,
            since_rotation,
        };
        Self { inner: Mutex::new(inner), work: Condvar::new() }
    }

    pub(super) fn append(&self, parts: &[&[u8]]) -> Result<Mark, StorageError> {
        let length = parts.iter().map(|part| part.len()).sum();
        if length > MAX_PAYLOAD_BYTES {
            return Err(StorageError::EntryTooLarge { bytes: length, limit: MAX_PAYLOAD_BYTES });
        }
        let mut inner = self.inner.lock();
        if let Health::Stopped(reason) = &inner.health {
            return Err(StorageError::Stopped { reason: Arc::clone(reason) });
        }
        let before = inner.waiting.bytes.len();
        entry::push(&mut inner.waiting.bytes, parts, length);
        inner.since_rotation += (inner.waiting.bytes.len() - before) as u64;
        inner.end.0 += 1;
        let (mark, wake) = (inner.end, std::mem::take(&mut inner.idle));
        drop(inner);
        if wake {
            self.work.notify_one();
        }
        Ok(mark)
    }

    pub(super) fn admit(&self) -> Result<(), StorageError> {
        let inner = self.inner.lock();
        inner.health.check()?;
        match inner.waiting.bytes.len() + inner.taken > MAX_WAITING_BYTES {
            true => Err(StorageError::Behind { limit: MAX_WAITING_BYTES }),
            false => Ok(()),
        }
    }

    pub(super) fn end(&self) -> Mark {
        self.inner.lock().end
    }

    pub(super) fn bytes_since_rotation(&self) -> u64 {
        self.inner.lock().since_rotation
    }

    pub(super) fn durable(&self, mark: Mark) -> Option<Reached> {
        let mut inner = self.inner.lock();
        if mark <= inner.reached {
            return None;
        }
        if let Err(error) = inner.health.check() {
            return Some(Box::pin(std::future::ready(Err(error))));
        }
        let (answer, answered) = oneshot::channel();
        // Most wait for what was just appended: the place is the last one, or near it.
        let place = match inner.answers.back() {
            Some((last, _)) if *last > mark => inner.answers.partition_point(|(waiting, _)| *waiting <= mark),
            _ => inner.answers.len(),
        };
        inner.answers.insert(place, (mark, answer));
        drop(inner);
        Some(Box::pin(async move { answered.await.unwrap_or_else(|_| Err(closed())) }))
    }

    pub(super) fn rotate(&self) -> Mark {
        let mut inner = self.inner.lock();
        let (end, next) = (inner.end, Mark(inner.end.0 + 1));
        if inner.file == next {
            return end;
        }
        let cut = Cut { at: inner.waiting.bytes.len(), first: next };
        inner.waiting.cuts.push_back(cut);
        (inner.file, inner.since_rotation) = (next, 0);
        let wake = std::mem::take(&mut inner.idle);
        drop(inner);
        if wake {
            self.work.notify_one();
        }
        end
    }

    /// What to wait for until everything that has been appended is synced.
    pub(super) fn sync(&self) -> Reached {
        let mut inner = self.inner.lock();
        if let Err(error) = inner.health.check() {
            return Box::pin(std::future::ready(Err(error)));
        }
        let (answer, answered) = oneshot::channel();
        let end = inner.end;
        inner.syncs.push_back((end, answer));
        let wake = std::mem::take(&mut inner.idle);
        drop(inner);
        if wake {
            self.work.notify_one();
        }
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(closed())) })
    }

    /// Whether somebody waits for a sync.
    pub(super) fn sync_asked(&self) -> bool {
        !self.inner.lock().syncs.is_empty()
    }

    /// Asks the thread to write and sync what there is, and to end.
    pub(super) fn close(&self) {
        self.inner.lock().closing = true;
        self.work.notify_all();
    }

    /// Waits for what the thread is to do. `batch`, which is empty, is exchanged for what is to be written. A sync is
    /// asked for once it is due.
    pub(super) fn next_work(&self, batch: &mut Batch, sync_due: Option<Instant>) -> Work {
        let mut inner = self.inner.lock();
        loop {
            if sync_due.is_some_and(|due| due <= Instant::now()) {
                return Work::Sync;
            }
            if !inner.waiting.is_empty() {
                std::mem::swap(batch, &mut inner.waiting);
                inner.waiting.first = Mark(inner.end.0 + 1);
                inner.taken = batch.bytes.len();
                return Work::Write;
            }
            if !inner.syncs.is_empty() {
                return Work::Sync;
            }
            if inner.closing {
                return Work::End;
            }
            inner.idle = true;
            match sync_due {
                Some(due) => drop(self.work.wait_until(&mut inner, due)),
                None => self.work.wait(&mut inner),
            }
            inner.idle = false;
        }
    }

    /// Everything up to `mark` is as durable as it is to be, and up to `synced` it is synced: answers those who wait
    /// for it. `answered` is empty, and again afterwards.
    pub(super) fn reach(&self, mark: Mark, synced: Mark, answered: &mut Vec<Answer>) {
        let mut inner = self.inner.lock();
        (inner.reached, inner.taken) = (mark, 0);
        if inner.waiting.is_empty() && matches!(inner.health, Health::NoRoom(_)) {
            inner.health = Health::Good;
            tracing::info!("the disk has room again");
        }
        while let Some((_, answer)) = inner.answers.pop_front_if(|(waiting, _)| *waiting <= mark) {
            answered.push(answer);
        }
        while let Some((_, answer)) = inner.syncs.pop_front_if(|(waiting, _)| *waiting <= synced) {
            answered.push(answer);
        }
        drop(inner);
        for answer in answered.drain(..) {
            // One who has gone away needs no answer.
            let _ = answer.send(Ok(()));
        }
    }

    /// The disk has no room: tells all who wait, and waits until it is worth trying again. False if the log is to be
    /// closed instead.
    pub(super) fn wait_for_room(&self, reason: &Arc<str>) -> bool {
        let answers = {
            let mut inner = self.inner.lock();
            if inner.closing {
                return false;
            }
            if matches!(inner.health, Health::Good) {
                tracing::warn!(%reason, "the disk has no room");
            }
            inner.health = Health::NoRoom(Arc::clone(reason));
            inner.all_answers()
        };
        fail(answers, &StorageError::NoRoom { reason: Arc::clone(reason) });
        let mut inner = self.inner.lock();
        if !inner.closing {
            self.work.wait_for(&mut inner, RETRY);
        }
        true
    }

    /// Nothing more is written: fails all who wait and all that comes. The first reason stays.
    pub(super) fn stop(&self, reason: &Arc<str>) {
        let mut inner = self.inner.lock();
        if matches!(inner.health, Health::Stopped(_)) {
            return;
        }
        inner.health = Health::Stopped(Arc::clone(reason));
        inner.waiting = Batch::default();
        let answers = inner.all_answers();
        drop(inner);
        fail(answers, &StorageError::Stopped { reason: Arc::clone(reason) });
    }
}

impl Inner {
    /// Everybody who waits, for something to be told to all of them.
    fn all_answers(&mut self) -> VecDeque<(Mark, Answer)> {
        let mut answers = std::mem::take(&mut self.answers);
        answers.append(&mut self.syncs);
        answers
    }
}

impl Health {
    fn check(&self) -> Result<(), StorageError> {
        match self {
            Self::Good => Ok(()),
            Self::NoRoom(reason) => Err(StorageError::NoRoom { reason: Arc::clone(reason) }),
            Self::Stopped(reason) => Err(StorageError::Stopped { reason: Arc::clone(reason) }),
        }
    }
}

fn fail(answers: VecDeque<(Mark, Answer)>, error: &StorageError) {
    for (_, answer) in answers {
        // One who has gone away needs no answer.
        let _ = answer.send(Err(error.clone()));
    }
}

/// What is answered once the log takes no more.
pub(super) fn closed() -> StorageError {
    StorageError::Stopped { reason: "the log is closed".into() }
}
