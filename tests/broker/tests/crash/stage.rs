//! What the clients of one broker process share.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::client::Api;
use crate::history::History;

/// What the clients are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// All that they can think of, until the broker ends.
    Load,
    /// Bring everything to its end.
    Drain,
}

/// One broker process, as its clients see it.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) api: Api,
    pub(crate) phase: Phase,
    history: Arc<Mutex<History>>,
    over: CancellationToken,
}

impl Stage {
    pub(crate) fn new(api: Api, phase: Phase, history: Arc<Mutex<History>>) -> Self {
        Self { api, phase, history, over: CancellationToken::new() }
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock()
    }

    /// Has the clients end once nothing is left undone.
    pub(crate) fn finish(&self) {
        self.over.cancel();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }
}
