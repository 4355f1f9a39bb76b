//! What a load has been answered, by connection and by worker.

use std::sync::{Mutex, MutexGuard, PoisonError};

use stack::PATIENCE;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::fault::Fault;

/// Faults that are kept in words; all are counted.
const KEPT: usize = 10;

/// How far one connection is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    /// The worker that serves it.
    pub(super) worker: usize,
    /// The version that its latest answer was by.
    pub(super) version: u64,
    /// When it was first answered by that version.
    pub(super) since: Instant,
    /// When its latest answered request was sent.
    pub(super) sent: Instant,
    /// Requests that were answered as they must be.
    pub(super) answers: u64,
    /// Whether it is still of use.
    pub(super) open: bool,
}

#[derive(Debug)]
struct State {
    lanes: Vec<Lane>,
    /// The newest version that each worker has answered by.
    served: Vec<u64>,
    /// The newest version that may be in force.
    newest: u64,
    faults: u64,
    kept: Vec<Fault>,
}

/// The record that all connections of a load write to.
#[derive(Debug)]
pub(super) struct Record {
    state: Mutex<State>,
    changes: Notify,
}

impl Record {
    /// An empty one for connections of these `workers`, with `newest` in force.
    pub(super) fn new(workers: &[usize], newest: u64) -> Self {
        let now = Instant::now();
        let lane = |worker: &usize| Lane { worker: *worker, version: 0, since: now, sent: now, answers: 0, open: true };
        let lanes: Vec<Lane> = workers.iter().map(lane).collect();
        let count = workers.iter().max().map_or(0, |last| last + 1);
        let state = State { lanes, served: vec![0; count], newest, faults: 0, kept: Vec::new() };
        Self { state: Mutex::new(state), changes: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Allows `version` from now on.
    pub(super) fn expect(&self, version: u64) {
        self.lock().newest = version;
    }

    /// The version that an answer to the lane's next request must at least be by.
    pub(super) fn least(&self, lane: usize) -> u64 {
        let state = self.lock();
        state.served[state.lanes[lane].worker]
    }

    /// Notes that the request that `lane` sent at `sent`, when its worker had served `least`, was answered by `version`.
    pub(super) fn answered(&self, lane: usize, sent: Instant, least: u64, version: u64) {
        let mut state = self.lock();
        let newest = state.newest;
        if version < least {
            return self.note(&mut state, lane, Fault::Older { version, served: least });
        }
        if version > newest {
            return self.note(&mut state, lane, Fault::Unknown { version, newest });
        }
        let held = &mut state.lanes[lane];
        let changed = version != held.version;
        if changed {
            (held.version, held.since) = (version, Instant::now());
        }
        (held.sent, held.answers) = (sent, held.answers + 1);
        let worker = held.worker;
        state.served[worker] = state.served[worker].max(version);
        drop(state);
        if changed {
            self.changes.notify_waiters();
        }
    }

    /// Notes a fault of `lane`.
    pub(super) fn fault(&self, lane: usize, fault: Fault) {
        self.note(&mut self.lock(), lane, fault);
        self.changes.notify_waiters();
    }

    fn note(&self, state: &mut State, lane: usize, fault: Fault) {
        state.faults += 1;
        state.lanes[lane].open &= !fault.ends_the_connection();
        if state.kept.len() < KEPT {
            state.kept.push(fault);
        }
    }

    /// What every connection is at.
    pub(super) fn lanes(&self) -> Vec<Lane> {
        self.lock().lanes.clone()
    }

    /// How many requests went wrong, and the first of them.
    pub(super) fn faults(&self) -> (u64, Vec<Fault>) {
        let state = self.lock();
        (state.faults, state.kept.clone())
    }

    /// Requests that were answered as they must be, by worker.
    pub(super) fn answers(&self) -> Vec<u64> {
        let state = self.lock();
        let of = |worker| state.lanes.iter().filter(|lane| lane.worker == worker).map(|lane| lane.answers).sum();
        (0..state.served.len()).map(of).collect()
    }

    /// Waits until every open connection's latest answer is by `version`, and returns when the last one's first such
    /// answer came. `None` where that does not come, or no connection is open.
    pub(super) async fn all_at(&self, version: u64) -> Option<Instant> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let changed = self.changes.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            let lanes = self.lanes();
            let mut open = lanes.iter().filter(|lane| lane.open).peekable();
            open.peek()?;
            if open.clone().all(|lane| lane.version == version) {
                return open.map(|lane| lane.since).max();
            }
            timeout_at(deadline, changed).await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(record: &Record, lane: usize, version: u64) {
        record.answered(lane, Instant::now(), record.least(lane), version);
    }

    #[tokio::test]
    async fn all_are_there_when_the_last_connection_is() {
        let record = Record::new(&[0, 1], 2);
        answered(&record, 0, 2);
        answered(&record, 1, 1);
        let waiting = record.all_at(2);
        answered(&record, 1, 2);
        assert_eq!(waiting.await, Some(record.lanes()[1].since));
        assert_eq!(record.faults(), (0, Vec::new()));
    }

    #[test]
    fn an_older_version_from_the_same_worker_is_a_fault_on_another_connection_too() {
        let record = Record::new(&[0, 0, 1], 2);
        answered(&record, 0, 2);
        answered(&record, 1, 1);
        answered(&record, 2, 1);
        assert_eq!(record.faults(), (1, vec![Fault::Older { version: 1, served: 2 }]));
    }

    #[test]
    fn an_older_version_is_none_where_the_request_was_sent_before() {
        let record = Record::new(&[0, 0], 2);
        let (least, sent) = (record.least(1), Instant::now());
        answered(&record, 0, 2);
        record.answered(1, sent, least, 1);
        assert_eq!(record.faults().0, 0);
    }

    #[test]
    fn a_version_that_was_never_in_force_is_a_fault() {
        let record = Record::new(&[0], 2);
        answered(&record, 0, 3);
        record.expect(3);
        answered(&record, 0, 3);
        assert_eq!(record.faults(), (1, vec![Fault::Unknown { version: 3, newest: 2 }]));
    }

    #[tokio::test]
    async fn a_broken_connection_is_waited_for_no_more() {
        let record = Record::new(&[0, 1], 1);
        answered(&record, 0, 1);
        record.fault(1, Fault::NoAnswer { reason: "reset".to_owned() });
        assert!(record.all_at(1).await.is_some());
        record.fault(0, Fault::NoAnswer { reason: "reset".to_owned() });
        assert!(record.all_at(1).await.is_none());
        assert_eq!(record.faults().0, 2);
    }
}
