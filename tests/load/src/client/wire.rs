//! The protocol's JSON, as far as this client needs it.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Debug, Serialize)]
pub(super) struct NoBody {}

#[derive(Debug, Serialize)]
pub(super) struct CreateTopic {
    pub(super) partitions: u32,
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Decides the partition; comes back with the delivery.
    pub key: String,
    /// UTF-8 text.
    pub body: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Publish<'a> {
    pub(super) messages: &'a [Message],
}

#[derive(Debug, Deserialize)]
pub(super) struct Published {
    pub(super) results: Vec<serde::de::IgnoredAny>,
}

/// The settings that a consumer asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscribe {
    /// The topic to consume.
    pub topic: String,
    /// How long a delivery may take; whole milliseconds on the wire. Zero is the setting of the incident.
    #[serde(serialize_with = "as_millis")]
    pub ack_timeout: Duration,
    /// How often a message may fail before it is given up.
    pub max_reconsume_times: u32,
    /// The consumer's own name.
    pub client_id: String,
}

/// What the broker made of a [`Subscribe`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The broker's name of the consumer.
    pub consumer_id: String,
    /// The ack timeout in force; whole milliseconds on the wire.
    #[serde(deserialize_with = "from_millis")]
    pub ack_timeout: Duration,
    /// The retries in force.
    pub max_reconsume_times: u32,
    /// The dead-letter topic in force.
    #[serde(default)]
    pub dead_letter_topic: Option<String>,
    /// What the gateway says that it did: the header `x-ackguard`.
    #[serde(skip)]
    pub ackguard: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pull {
    pub(super) max_messages: usize,
    #[serde(rename = "waitMs", serialize_with = "as_millis")]
    pub(super) wait: Duration,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pulled {
    pub(super) messages: Vec<Delivery>,
}

/// A message as it is delivered. Its body is left unread: the work that a consumer does is simulated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Good for one ack of this delivery.
    pub receipt: String,
    /// The key that it was published with.
    pub key: String,
    /// 0 at the first delivery.
    pub reconsume_times: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct Ack<'a> {
    pub(super) receipts: &'a [String],
}

/// What became of an ack's receipts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AckAnswer {
    /// Done: these messages do not come again.
    pub acked: Vec<String>,
    /// Not done.
    pub failed: Vec<FailedReceipt>,
}

/// A receipt that the broker does not accept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FailedReceipt {
    /// The receipt.
    pub receipt: String,
    /// One of the protocol's codes, such as `ReceiptExpired`.
    pub code: String,
}

fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = u64::try_from(duration.as_millis()).map_err(serde::ser::Error::custom)?;
    serializer.serialize_u64(millis)
}

fn from_millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscribe_of_the_incident_says_zero() {
        let subscribe = Subscribe {
            topic: "orders".to_owned(),
            ack_timeout: Duration::ZERO,
            max_reconsume_times: 3,
            client_id: "c1".to_owned(),
        };
        let json = serde_json::to_string(&subscribe).unwrap();
        assert_eq!(json, r#"{"topic":"orders","ackTimeout":0,"maxReconsumeTimes":3,"clientId":"c1"}"#);
    }

    #[test]
    fn a_pull_waits_in_milliseconds() {
        let pull = Pull { max_messages: 16, wait: Duration::from_secs(1) };
        assert_eq!(serde_json::to_string(&pull).unwrap(), r#"{"maxMessages":16,"waitMs":1000}"#);
    }
}
