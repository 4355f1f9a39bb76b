//! A message as it is kept and delivered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::{GroupName, MessageId, Offset, PartitionId, TopicName};

/// The header of every message that reached a dead-letter topic; its value is the topic it came from.
pub(crate) const DEAD_LETTER_HEADER: &str = "X-DingTalk-MQ-DeadLetter";
/// The group that gave a dead letter up.
pub(crate) const DEAD_LETTER_GROUP_HEADER: &str = "X-DingTalk-MQ-DeadLetter-Group";
/// Why its last delivery failed: `expired` or `rejected`.
pub(crate) const DEAD_LETTER_REASON_HEADER: &str = "X-DingTalk-MQ-DeadLetter-Reason";
/// How many deliveries to that group failed.
pub(crate) const DEAD_LETTER_ATTEMPTS_HEADER: &str = "X-DingTalk-MQ-DeadLetter-Attempts";

/// How `body` is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    /// The text itself.
    #[default]
    Utf8,
    /// Bytes, in standard Base64 with padding.
    Base64,
}

/// What a message costs in memory beside its own text. Resident memory grows by 347 bytes for each of a million messages
/// of 200 bytes, so by 147 bytes of struct, reference counts and slot; the rest is for properties' nodes and a log's
/// growth.
const OVERHEAD: usize = 256;

/// One published message. The body stays in the spelling it was published in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    pub(crate) message_id: MessageId,
    pub(crate) body: Box<str>,
    pub(crate) encoding: Encoding,
    pub(crate) key: Option<Box<str>>,
    pub(crate) tag: Option<Box<str>>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
}

/// How a message came to be a dead letter.
pub(crate) struct Death<'a> {
    pub(crate) origin: &'a TopicName,
    pub(crate) group: &'a GroupName,
    pub(crate) reason: &'static str,
    /// Deliveries that failed.
    pub(crate) attempts: u32,
}

/// Where a message stands in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) partition: PartitionId,
    pub(crate) offset: Offset,
}

impl Message {
    /// About the memory that this message takes, in bytes; what the budgets count.
    pub(crate) fn footprint(&self) -> usize {
        self.size() + OVERHEAD
    }

    /// The bytes a client put into this message; what the limits of requests and answers count.
    pub(crate) fn size(&self) -> usize {
        let text = |part: &Option<Box<str>>| part.as_deref().map_or(0, str::len);
        let pairs = |map: &BTreeMap<String, String>| map.iter().map(|(name, value)| name.len() + value.len()).sum();
        let properties: usize = pairs(&self.properties);
        let headers: usize = pairs(&self.headers);
        self.body.len() + text(&self.key) + text(&self.tag) + properties + headers
    }

    /// This message as a dead letter. It keeps its id. Where it dies repeatedly, it keeps the first origin, which is the
    /// topic that it was published to; the other headers tell of the last death, which is the one to look into.
    pub(crate) fn to_dead_letter(&self, death: &Death<'_>) -> Message {
        let Death { origin, group, reason, attempts } = death;
        let mut letter = self.clone();
        letter.headers.entry(DEAD_LETTER_HEADER.to_owned()).or_insert_with(|| origin.to_string());
        letter.headers.insert(DEAD_LETTER_GROUP_HEADER.to_owned(), group.to_string());
        letter.headers.insert(DEAD_LETTER_REASON_HEADER.to_owned(), (*reason).to_owned());
        letter.headers.insert(DEAD_LETTER_ATTEMPTS_HEADER.to_owned(), attempts.to_string());
        letter
    }
}

/// The partition of a key: FNV-1a over its bytes, so that a key keeps its partition over every run of the broker.
pub(crate) fn partition_of_key(key: &str, partitions: u32) -> PartitionId {
    // The constants of the 64-bit FNV-1a hash.
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The low bits of FNV depend on few input bits; folding the halves spreads keys over small partition counts.
    let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
    PartitionId(u32::try_from(folded % u64::from(partitions)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_spread_over_the_partitions() {
        let mut counts = [0_u32; 4];
        for key in 0..4_000 {
            counts[partition_of_key(&format!("order-{key}"), 4).index()] += 1;
        }
        assert!(counts.iter().all(|&count| (800..1_200).contains(&count)), "{counts:?}");
    }
}
