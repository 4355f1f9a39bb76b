//! Pull with its long poll.

use std::sync::Arc;

use tokio::time::Instant;

use super::Broker;
use crate::clock::Millis;
use crate::error::Error;
use crate::group::{Delivery, PullRequest, Pulled};
use crate::message::Message;
use crate::names::GroupName;

/// What a pull got, with the messages.
pub(crate) struct Delivered {
    pub(crate) pulled: Pulled,
    pub(crate) messages: Vec<Arc<Message>>,
}

impl Broker {
    /// Delivers ready messages, or waits up to `wait` for one. If the client goes away while it waits, nothing is
    /// leased; if it goes away afterwards, the leases run out.
    pub(crate) async fn pull(
        self: &Arc<Self>,
        group: &GroupName,
        id: &str,
        request: &PullRequest,
        wait: Millis,
    ) -> Result<Delivered, Error> {
        let (cell, id) = self.consumer(group, id)?;
        let give_up = Instant::now() + std::time::Duration::from_millis(wait.0);
        let mut open = None;
        loop {
            let pulled = self.apply(&cell, |state, now| state.pull(id, request, now)).await?;
            if !pulled.deliveries.is_empty() || Instant::now() >= give_up || self.stopping.is_cancelled() {
                return Self::read(pulled);
            }
            let poll = open.get_or_insert_with(|| cell.open_poll(self, id));
            tokio::select! {
                () = poll.signal.notified() => {}
                () = tokio::time::sleep_until(give_up) => {}
                () = self.stopping.cancelled() => {}
            }
        }
    }

    fn read(pulled: Pulled) -> Result<Delivered, Error> {
        let read = |Delivery { position, .. }: &Delivery| pulled.log.read(position.partition, position.offset);
        let messages = pulled.deliveries.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Delivered { pulled, messages })
    }
}
