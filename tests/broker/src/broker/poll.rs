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

    /// Reads what was delivered. A message that the log cannot give back is not delivered: its lease runs out, and it is
    /// tried again, until somebody looks at the damage. The others go their way.
    fn read(mut pulled: Pulled) -> Result<Delivered, Error> {
        let mut messages = Vec::with_capacity(pulled.deliveries.len());
        let mut unreadable = None;
        pulled.deliveries.retain(|Delivery { position, .. }| {
            match pulled.log.read(position.partition, position.offset) {
                Ok(message) => {
                    messages.push(message);
                    true
                }
                Err(error) => {
                    tracing::error!(topic = %pulled.settings.topic, %error, "a message could not be read");
                    unreadable = Some(error);
                    false
                }
            }
        });
        match unreadable {
            Some(error) if messages.is_empty() => Err(error.into()),
            _ => Ok(Delivered { pulled, messages }),
        }
    }
}
