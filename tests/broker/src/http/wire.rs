//! The requests and responses of the protocol, but for publish and for what a pull delivers.

use serde::{Deserialize, Serialize};

use crate::broker::Subscription;
use crate::clock::{Millis, Timestamp};
use crate::error::Error;
use crate::group::settings::{AckTimeout, Acknowledgement, Semantics};
use crate::group::{Description, FailedReceipt, PullRequest};
use crate::limits::{
    DEFAULT_PULL_MESSAGES, MAX_PARTITIONS, MAX_PULL_BYTES, MAX_PULL_MESSAGES, MAX_RECEIPTS, MAX_RECONSUME_TIMES,
    MAX_TEXT_BYTES, MAX_WAIT,
};
use crate::names::{ConsumerId, GroupName, PartitionId, TopicName};

/// The protocol's defaults of a subscribe.
const DEFAULT_ACK_TIMEOUT_MS: u64 = 5_000;
const DEFAULT_MAX_RECONSUME_TIMES: u64 = 3;

/// Refuses a number that is not within `range`.
pub(super) fn within(field: &str, value: u64, least: u32, most: u32) -> Result<u32, Error> {
    match u32::try_from(value) {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => Err(Error::invalid(field, format!("{value} is not from {least} to {most}"))),
    }
}

/// Refuses a text that is longer than [`MAX_TEXT_BYTES`].
pub(super) fn short(field: impl FnOnce() -> String, text: Option<&str>) -> Result<(), Error> {
    match text {
        Some(text) if text.len() > MAX_TEXT_BYTES => {
            Err(Error::invalid(field(), format!("a text is at most {MAX_TEXT_BYTES} bytes")))
        }
        _ => Ok(()),
    }
}

fn missing(field: &str) -> Error {
    Error::invalid(field, "the field is missing")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateTopicRequest {
    partitions: Option<u64>,
}

impl CreateTopicRequest {
    pub(super) fn partitions(&self) -> Result<Option<u32>, Error> {
        self.partitions.map(|count| within("partitions", count, 1, MAX_PARTITIONS)).transpose()
    }
}

#[derive(Serialize)]
pub(super) struct CreateTopicResponse<'a> {
    pub(super) topic: &'a TopicName,
    pub(super) partitions: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RouteResponse<'a> {
    pub(super) topic: &'a TopicName,
    pub(super) ttl_ms: Millis,
    pub(super) partitions: Vec<PartitionRoute<'a>>,
}

#[derive(Serialize)]
pub(super) struct PartitionRoute<'a> {
    pub(super) id: PartitionId,
    pub(super) leader: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubscribeRequest {
    topic: Option<Box<str>>,
    ack_timeout: Option<u64>,
    max_reconsume_times: Option<u64>,
    auto_ack: Option<bool>,
    dead_letter_topic: Option<Box<str>>,
    client_id: Option<Box<str>>,
}

impl SubscribeRequest {
    pub(super) fn check(self, semantics: Semantics) -> Result<Subscription, Error> {
        let topic = TopicName::parse(&self.topic.ok_or_else(|| missing("topic"))?, "topic")?;
        let ack_timeout = AckTimeout::parse(self.ack_timeout.unwrap_or(DEFAULT_ACK_TIMEOUT_MS), semantics)?;
        let retries = self.max_reconsume_times.unwrap_or(DEFAULT_MAX_RECONSUME_TIMES);
        let max_reconsume_times = within("maxReconsumeTimes", retries, 0, MAX_RECONSUME_TIMES)?;
        short(|| "clientId".to_owned(), self.client_id.as_deref())?;
        Ok(Subscription {
            topic,
            ack_timeout,
            max_reconsume_times,
            acknowledgement: match self.auto_ack {
                Some(true) => Acknowledgement::Auto,
                Some(false) | None => Acknowledgement::Manual,
            },
            dead_letter_topic: self
                .dead_letter_topic
                .map(|name| TopicName::parse(&name, "deadLetterTopic"))
                .transpose()?,
            client_id: self.client_id,
            semantics,
        })
    }
}

/// The answer to subscribe and describe.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConsumerResponse<'a> {
    consumer_id: ConsumerId,
    group: &'a GroupName,
    state: crate::group::lifecycle::Lifecycle,
    topic: &'a TopicName,
    ack_timeout: AckTimeout,
    max_reconsume_times: u32,
    auto_ack: bool,
    dead_letter_topic: Option<&'a TopicName>,
    client_id: Option<&'a str>,
    partitions: &'a [PartitionId],
    in_flight: u64,
    waiting_pulls: u32,
    last_seen: Timestamp,
}

impl<'a> ConsumerResponse<'a> {
    pub(super) fn new(group: &'a GroupName, description: &'a Description) -> Self {
        let settings = &description.settings;
        Self {
            consumer_id: description.consumer,
            group,
            state: description.state,
            topic: &settings.topic,
            ack_timeout: settings.ack_timeout,
            max_reconsume_times: settings.max_reconsume_times,
            auto_ack: settings.acknowledgement == Acknowledgement::Auto,
            dead_letter_topic: settings.dead_letter.as_ref().map(|dead_letter| &dead_letter.name),
            client_id: settings.client_id.as_deref(),
            partitions: &description.partitions,
            in_flight: description.in_flight,
            waiting_pulls: description.waiting_pulls,
            last_seen: description.last_seen,
        }
    }
}

#[derive(Serialize)]
pub(super) struct StateResponse<S> {
    pub(super) state: S,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PullBody {
    max_messages: Option<u64>,
    wait_ms: Option<u64>,
    pub(super) ack_timeout: Option<u64>,
}

impl PullBody {
    /// What to pull, and how long to wait for it.
    pub(super) fn check(&self, semantics: Semantics) -> Result<(PullRequest, Millis), Error> {
        let max_messages = match self.max_messages {
            Some(count) => within("maxMessages", count, 1, MAX_PULL_MESSAGES)?,
            None => DEFAULT_PULL_MESSAGES,
        };
        let wait = self.wait_ms.unwrap_or(0);
        if wait > MAX_WAIT.0 {
            return Err(Error::invalid("waitMs", format!("{wait} is not from 0 to {}", MAX_WAIT.0)));
        }
        let ack_timeout = self.ack_timeout.map(|millis| AckTimeout::parse(millis, semantics)).transpose()?;
        Ok((PullRequest { max_messages, max_bytes: MAX_PULL_BYTES, ack_timeout }, Millis(wait)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReceiptsRequest {
    receipts: Option<Vec<Box<str>>>,
    pub(super) ack_timeout: Option<u64>,
}

impl ReceiptsRequest {
    /// The receipts of an ack or a reject, which must name some list of them.
    pub(super) fn receipts(self) -> Result<Vec<Box<str>>, Error> {
        self.bounded()?.ok_or_else(|| missing("receipts"))
    }

    /// A heartbeat's receipts, none of which means a sign of life alone, and its ack timeout.
    pub(super) fn heartbeat(self, semantics: Semantics) -> Result<(Vec<Box<str>>, Option<AckTimeout>), Error> {
        let ack_timeout = self.ack_timeout.map(|millis| AckTimeout::parse(millis, semantics)).transpose()?;
        Ok((self.bounded()?.unwrap_or_default(), ack_timeout))
    }

    fn bounded(self) -> Result<Option<Vec<Box<str>>>, Error> {
        if let Some(receipts) = &self.receipts {
            if receipts.len() > MAX_RECEIPTS {
                return Err(Error::invalid("receipts", format!("a request has at most {MAX_RECEIPTS} receipts")));
            }
            for (index, receipt) in receipts.iter().enumerate() {
                short(|| format!("receipts[{index}]"), Some(receipt))?;
            }
        }
        Ok(self.receipts)
    }
}

#[derive(Serialize)]
pub(super) struct AckResponse {
    pub(super) acked: Vec<Box<str>>,
    pub(super) failed: Vec<FailedReceipt>,
}

#[derive(Serialize)]
pub(super) struct RejectResponse {
    pub(super) rejected: Vec<Box<str>>,
    pub(super) failed: Vec<FailedReceipt>,
}

#[derive(Serialize)]
pub(super) struct HeartbeatResponse {
    pub(super) extended: Vec<Extended>,
    pub(super) failed: Vec<FailedReceipt>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Extended {
    pub(super) receipt: Box<str>,
    pub(super) ack_deadline: Timestamp,
}
