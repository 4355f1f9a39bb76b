//! The answer to a pull, the largest and the most frequent one: written straight from the messages of the log.

use std::sync::Arc;

use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

use crate::broker::Delivered;
use crate::group::Delivery;
use crate::message::Message;

/// The answer to a pull, written straight from the log's messages.
pub(super) struct PullResponse(pub(super) Delivered);

impl PullResponse {
    /// About how long it will be: the messages, and for each some 400 bytes of names, ids and numbers.
    pub(super) fn size_hint(&self) -> usize {
        self.0.messages.iter().map(|message| message.size() + 400).sum::<usize>() + 32
    }
}

impl Serialize for PullResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("messages", &Messages(&self.0))?;
        map.end()
    }
}

struct Messages<'a>(&'a Delivered);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Delivered { pulled, messages } = self.0;
        let mut list = serializer.serialize_seq(Some(messages.len()))?;
        for (delivery, message) in pulled.deliveries.iter().zip(messages) {
            list.serialize_element(&OneMessage { delivered: self.0, delivery, message })?;
        }
        list.end()
    }
}

struct OneMessage<'a> {
    delivered: &'a Delivered,
    delivery: &'a Delivery,
    message: &'a Arc<Message>,
}

impl Serialize for OneMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { delivery, message, .. } = self;
        let pulled = &self.delivered.pulled;
        let mut map = serializer.serialize_struct("Message", 16)?;
        map.serialize_field("messageId", &message.message_id)?;
        map.serialize_field("receipt", &delivery.receipt)?;
        map.serialize_field("topic", &pulled.settings.topic)?;
        map.serialize_field("partition", &delivery.position.partition)?;
        map.serialize_field("offset", &delivery.position.offset)?;
        map.serialize_field("body", &message.body)?;
        map.serialize_field("encoding", &message.encoding)?;
        map.serialize_field("key", &message.key)?;
        map.serialize_field("tag", &message.tag)?;
        map.serialize_field("properties", &message.properties)?;
        map.serialize_field("headers", &message.headers)?;
        map.serialize_field("reconsumeTimes", &delivery.reconsume_times)?;
        map.serialize_field("maxReconsumeTimes", &pulled.settings.max_reconsume_times)?;
        map.serialize_field("ackTimeout", &pulled.ack_timeout)?;
        map.serialize_field("deliveredAt", &pulled.delivered_at)?;
        map.serialize_field("ackDeadline", &pulled.ack_deadline)?;
        map.end()
    }
}
