//! Publish on the wire: many messages, each checked against its bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::wire::short;
use crate::broker::{Draft, Novelty, PublishResult};
use crate::error::Error;
use crate::limits::{MAX_MESSAGE_BYTES, MAX_PROPERTIES, MAX_PUBLISH_MESSAGES};
use crate::message::{Encoding, Message};
use crate::names::{MessageId, Offset, PartitionId, TransactionId};

#[derive(Deserialize)]
pub(super) struct PublishRequest {
    messages: Option<Vec<MessageIn>>,
    half: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageIn {
    body: Option<Box<str>>,
    encoding: Option<Encoding>,
    key: Option<Box<str>>,
    tag: Option<Box<str>>,
    properties: Option<BTreeMap<String, String>>,
    idempotency_token: Option<Box<str>>,
}

/// When the messages of a publish become visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    AtOnce,
    AtCommit,
}

impl PublishRequest {
    /// The messages, each with an id from `next_id`.
    pub(super) fn check(self, next_id: impl Fn() -> MessageId) -> Result<(Vec<Draft>, Visibility), Error> {
        let messages = self.messages.ok_or_else(|| Error::invalid("messages", "the field is missing"))?;
        if messages.is_empty() || messages.len() > MAX_PUBLISH_MESSAGES {
            let reason = format!("a publish has 1 to {MAX_PUBLISH_MESSAGES} messages, not {}", messages.len());
            return Err(Error::invalid("messages", reason));
        }
        let visibility = match self.half {
            Some(true) => Visibility::AtCommit,
            Some(false) | None => Visibility::AtOnce,
        };
        let drafts = messages.into_iter().enumerate().map(|(index, message)| message.check(index, next_id()));
        Ok((drafts.collect::<Result<_, _>>()?, visibility))
    }
}

impl MessageIn {
    fn check(self, index: usize, message_id: MessageId) -> Result<Draft, Error> {
        let at = |field: &str| format!("messages[{index}].{field}");
        let body = self.body.ok_or_else(|| Error::invalid(at("body"), "the field is missing"))?;
        let encoding = self.encoding.unwrap_or_default();
        if encoding == Encoding::Base64 && STANDARD.decode(body.as_bytes()).is_err() {
            return Err(Error::invalid(at("body"), "it is not standard Base64 with padding"));
        }
        short(|| at("key"), self.key.as_deref())?;
        short(|| at("tag"), self.tag.as_deref())?;
        short(|| at("idempotencyToken"), self.idempotency_token.as_deref())?;
        let properties = self.properties.unwrap_or_default();
        if properties.len() > MAX_PROPERTIES {
            return Err(Error::invalid(at("properties"), format!("a message has at most {MAX_PROPERTIES}")));
        }
        let headers = BTreeMap::new();
        let message = Message { message_id, body, encoding, key: self.key, tag: self.tag, properties, headers };
        if message.size() > MAX_MESSAGE_BYTES {
            return Err(Error::TooLarge { what: format!("messages[{index}]"), limit: MAX_MESSAGE_BYTES });
        }
        Ok(Draft { message: Arc::new(message), idempotency_token: self.idempotency_token.map(Arc::from) })
    }
}

#[derive(Serialize)]
pub(super) struct PublishResponse {
    results: Vec<Published>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    message_id: MessageId,
    partition: PartitionId,
    offset: Offset,
    duplicate: bool,
}

impl PublishResponse {
    pub(super) fn new(results: &[PublishResult]) -> Self {
        let published = |result: &PublishResult| Published {
            message_id: result.message_id,
            partition: result.position.partition,
            offset: result.position.offset,
            duplicate: result.novelty == Novelty::Duplicate,
        };
        Self { results: results.iter().map(published).collect() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransactionResponse {
    pub(super) transaction_id: TransactionId,
    pub(super) state: &'static str,
}
