//! The newest dead letters, read from the ends of the topics that hold them.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use super::inspect::Filter;
use super::{Broker, Topic};
use crate::message::{
    DEAD_LETTER_ATTEMPTS_HEADER, DEAD_LETTER_GROUP_HEADER, DEAD_LETTER_HEADER, DEAD_LETTER_REASON_HEADER, Encoding,
    Message,
};
use crate::names::{MessageId, Offset, PartitionId, TopicName};

/// The most dead letters that are told.
const MAX_LETTERS: usize = 50;
/// The most bytes of a body that are told, and of each other text.
const MAX_BODY_BYTES: usize = 4 << 10;
const MAX_TEXT_BYTES: usize = 256;
/// The most messages that are read for one answer: each may be a read of the disk.
const MAX_READS: usize = 2_000;
/// So many messages at a partition's end that are no dead letters, and it is left alone.
const MAX_OTHERS: usize = 16;

/// The newest dead letters of the topics that hold some.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetters {
    letters: Vec<DeadLetter>,
    /// Whether everything was looked at; a broker of many topics has ends that one answer does not reach.
    complete: bool,
}

/// One message that died.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeadLetter {
    /// Where it lies.
    topic: TopicName,
    partition: PartitionId,
    offset: Offset,
    message_id: MessageId,
    /// The topic it died in, and the group.
    origin: Text,
    group: Option<Text>,
    reason: Option<Text>,
    attempts: Option<Text>,
    key: Option<Text>,
    tag: Option<Text>,
    encoding: Encoding,
    body: Text,
}

/// A client's text, cut to what is shown.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Text {
    text: String,
    /// Of the whole, in bytes.
    length: usize,
}

impl Text {
    fn cut(text: &str, most: usize) -> Self {
        let shown = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
        Self { text: shown.to_owned(), length: text.len() }
    }
}

impl DeadLetter {
    fn read(topic: &TopicName, partition: PartitionId, offset: Offset, message: &Message) -> Option<Self> {
        let short = |text: &str| Text::cut(text, MAX_TEXT_BYTES);
        let header = |name: &str| message.headers.get(name).map(|value| short(value));
        Some(Self {
            topic: topic.clone(),
            partition,
            offset,
            message_id: message.message_id,
            origin: header(DEAD_LETTER_HEADER)?,
            group: header(DEAD_LETTER_GROUP_HEADER),
            reason: header(DEAD_LETTER_REASON_HEADER),
            attempts: header(DEAD_LETTER_ATTEMPTS_HEADER),
            key: message.key.as_deref().map(short),
            tag: message.tag.as_deref().map(short),
            encoding: message.encoding,
            body: Text::cut(&message.body, MAX_BODY_BYTES),
        })
    }

    fn admitted(&self, filter: &Filter) -> bool {
        let optional = [&self.group, &self.reason, &self.key, &self.tag];
        filter.admits(self.topic.as_str())
            || filter.admits(&self.origin.text)
            || filter.admits(&self.message_id.to_string())
            || optional.into_iter().flatten().any(|text| filter.admits(&text.text))
    }
}

/// How much more may be read.
struct Budget(usize);

impl Budget {
    fn take(&mut self) -> bool {
        let some = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        some
    }
}

impl Broker {
    /// The newest dead letters that `filter` admits, by topic and partition, the newest first. Reads the log: to be
    /// called where a thread may wait for a disk.
    pub(crate) fn dead_letters(&self, filter: &Filter) -> DeadLetters {
        let named = self.dead_letter_topics();
        let mut topics = self.topics_by_name();
        // Those that consumers name come first; what others hold is from consumers that are forgotten.
        topics.sort_by_key(|(name, _)| !named.contains(name));
        let mut budget = Budget(MAX_READS);
        let mut ranked: Vec<(usize, DeadLetter)> = Vec::new();
        for (name, topic) in &topics {
            let mut letters = newest(name, topic, filter, &mut budget);
            letters.sort_by_key(|letter| std::cmp::Reverse(letter.offset));
            ranked.extend(letters.into_iter().take(MAX_LETTERS).enumerate());
            if budget.0 == 0 {
                break;
            }
        }
        // Each topic's newest before any topic's second.
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.truncate(MAX_LETTERS);
        let mut letters: Vec<DeadLetter> = ranked.into_iter().map(|(_, letter)| letter).collect();
        letters.sort_by(|one, other| {
            let place =
                |letter: &DeadLetter| (letter.topic.clone(), std::cmp::Reverse(letter.offset), letter.partition);
            place(one).cmp(&place(other))
        });
        DeadLetters { letters, complete: budget.0 > 0 }
    }

    /// The topics that consumers have for their dead letters.
    fn dead_letter_topics(&self) -> HashSet<TopicName> {
        let mut named = HashSet::new();
        for cell in self.cells() {
            cell.look(|group| {
                for consumer in group.consumers() {
                    if let Some(dead_letter) = &consumer.settings().dead_letter
                        && !named.contains(&dead_letter.name)
                    {
                        named.insert(dead_letter.name.clone());
                    }
                }
            });
        }
        named
    }
}

/// The newest dead letters of one topic, partition by partition.
fn newest(name: &TopicName, topic: &Arc<Topic>, filter: &Filter, budget: &mut Budget) -> Vec<DeadLetter> {
    let log = topic.log();
    let mut letters = Vec::new();
    for partition in (0..log.partitions()).map(PartitionId) {
        let (start, end) = (log.start(partition).0, log.end(partition).0);
        let (mut found, mut others) = (0, 0);
        for offset in (start..end).rev().map(Offset) {
            if found >= MAX_LETTERS || others >= MAX_OTHERS || !budget.take() {
                break;
            }
            // One that cannot be read now is one that is not shown: retention may have taken it meanwhile.
            let Ok(message) = log.read(partition, offset) else {
                others += 1;
                continue;
            };
            match DeadLetter::read(name, partition, offset, &message) {
                Some(letter) if letter.admitted(filter) => {
                    found += 1;
                    letters.push(letter);
                }
                Some(_) => {}
                None => others += 1,
            }
        }
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_its_length_told() {
        let text = "ä".repeat(3_000);
        let cut = Text::cut(&text, MAX_BODY_BYTES);
        assert_eq!((cut.text.len(), cut.length), (4_096, 6_000));
        assert_eq!(Text::cut("aä", 2), Text { text: "a".to_owned(), length: 3 });
    }

    fn message(headers: &[(&str, &str)]) -> Message {
        Message {
            message_id: MessageId { run: 1, count: 2 },
            body: "m".into(),
            encoding: Encoding::Utf8,
            key: None,
            tag: None,
            properties: Default::default(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn why_a_message_died_is_read_from_its_headers_as_far_as_they_say() {
        let topic = TopicName::parse("orders.dlq", "topic").unwrap();
        let read = |headers: &[_]| DeadLetter::read(&topic, PartitionId(0), Offset(7), &message(headers));
        assert!(read(&[("X-Other", "1")]).is_none(), "it came here alive");
        let told = |text: &Option<Text>| text.as_ref().map(|text| text.text.clone());
        let bare = read(&[(DEAD_LETTER_HEADER, "orders")]).unwrap();
        assert_eq!((bare.origin.text.as_str(), told(&bare.reason)), ("orders", None));
        let whole = [
            (DEAD_LETTER_HEADER, "orders"),
            (DEAD_LETTER_GROUP_HEADER, "billing"),
            (DEAD_LETTER_REASON_HEADER, "rejected"),
            (DEAD_LETTER_ATTEMPTS_HEADER, "4"),
        ];
        let letter = read(&whole).unwrap();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(told(&letter.group), text("billing"));
        assert_eq!((told(&letter.reason), told(&letter.attempts)), (text("rejected"), text("4")));
        assert!(letter.admitted(&Filter::new("bill")) && !letter.admitted(&Filter::new("shipping")));
    }
}
