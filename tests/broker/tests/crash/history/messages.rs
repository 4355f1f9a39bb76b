//! What was published, and what a consumer may see of it.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use super::{Event, History, Noted, ORDERS, Tag};

/// Messages that were sent in one request: all of them are there, or none.
pub(crate) type Batch = usize;

/// Whether the messages of a batch are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They were sent, and that was not answered.
    Sent,
    /// The broker said so, or a consumer has seen one of them.
    Published,
    /// They are half messages; no commit was sent.
    Half,
    /// A commit was sent, and that was not answered.
    Committing,
    /// Rolled back, or refused as compensated.
    Compensated,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sent => "publish not answered",
            Self::Published => "published",
            Self::Half => "half",
            Self::Committing => "commit not answered",
            Self::Compensated => "compensated",
        })
    }
}

/// A message before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) tag: Tag,
    pub(crate) key: Option<&'static str>,
    pub(crate) token: Option<String>,
}

impl Draft {
    /// The message as a publish has it.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "body": body(&self.tag), "key": self.key, "idempotencyToken": self.token })
    }
}

/// Where a message is in its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) partition: u64,
    pub(super) offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "id {}, partition {} offset {}", self.id, self.partition, self.offset)
    }
}

impl Place {
    /// The place that a publish's result or a delivery states.
    pub(super) fn stated(value: &Value) -> Result<Self, String> {
        let read = || {
            let (partition, offset) = (value["partition"].as_u64()?, value["offset"].as_u64()?);
            Some(Self { id: value["messageId"].as_str()?.to_owned(), partition, offset })
        };
        read().ok_or_else(|| format!("no messageId, partition and offset: {value}"))
    }
}

/// One message.
pub(super) struct Message {
    pub(super) batch: Batch,
    pub(super) key: Option<&'static str>,
    pub(super) place: Option<Place>,
    pub(super) life: Vec<Noted>,
}

/// Messages that were sent together.
pub(super) struct BatchHistory {
    pub(super) standing: Standing,
    pub(super) tags: Vec<Tag>,
}

/// The whole body of the message with this tag: some are small, some take a block of their own.
pub(super) fn body(tag: &str) -> String {
    let mut hasher = DefaultHasher::new();
    tag.hash(&mut hasher);
    let mut rng = fastrand::Rng::with_seed(hasher.finish());
    let length = if rng.u8(..) < 8 { 8_000 } else { rng.usize(..400) };
    let padding: String = std::iter::repeat_with(|| rng.alphanumeric()).take(length).collect();
    format!("{tag} {padding}")
}

/// The tag of a body, which must be the one that was sent.
pub(super) fn tag_of(text: &str) -> Result<&str, String> {
    let tag = text.split(' ').next().unwrap_or_default();
    match text == body(tag) {
        true => Ok(tag),
        false => Err(format!("a body that was never sent: {text}")),
    }
}

impl History {
    /// Messages are about to be sent for the first time.
    pub(crate) fn send(&mut self, drafts: &[Draft], standing: Standing) -> Batch {
        let batch = self.batches.len();
        self.batches.push(BatchHistory { standing, tags: drafts.iter().map(|draft| draft.tag.clone()).collect() });
        for Draft { tag, key, .. } in drafts {
            let message = Message { batch, key: *key, place: None, life: Vec::new() };
            self.messages.insert(tag.clone(), message);
            self.note(tag, Event::Sent);
        }
        batch
    }

    /// A publish was answered; a duplicate is an answer only to what was `sent_before`.
    pub(crate) fn published(&mut self, batch: Batch, answer: &Value, sent_before: bool) -> Result<(), String> {
        let tags = self.batches[batch].tags.clone();
        let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
        if results.len() != tags.len() {
            return Err(self.violation(&tags[0], format_args!("the publish of {} was answered {answer}", tags.len())));
        }
        let duplicates = results.iter().filter(|result| result["duplicate"] == true).count();
        if duplicates != 0 && (duplicates != tags.len() || !sent_before) {
            let what = format_args!("{duplicates} of {} were duplicates, sent before: {sent_before}", tags.len());
            return Err(self.violation(&tags[0], what));
        }
        for (tag, result) in tags.iter().zip(results) {
            self.placed(tag, Place::stated(result)?)?;
            self.note(tag, Event::Published);
        }
        self.batches[batch].standing = Standing::Published;
        Ok(())
    }

    /// A batch has come to stand so.
    pub(crate) fn stands(&mut self, batch: Batch, standing: Standing) -> Result<(), String> {
        let seen = self.batches[batch].tags.iter().find(|tag| self.messages[*tag].place.is_some());
        if let (Some(seen), Standing::Compensated) = (seen, standing) {
            return Err(self.violation(seen, "its transaction is compensated, yet it was delivered"));
        }
        if (self.batches[batch].standing, standing) == (Standing::Published, Standing::Committing) {
            // A consumer has told what the broker did not answer.
            return Ok(());
        }
        self.batches[batch].standing = standing;
        for tag in self.batches[batch].tags.clone() {
            self.note(&tag, Event::Stood(standing));
        }
        Ok(())
    }

    /// A message of the topic was delivered: it must be one that may be.
    pub(super) fn appeared(&mut self, tag: &str, stated: Place, key: &Value) -> Result<(), String> {
        let Some(message) = self.messages.get(tag) else {
            return Err(format!("message {tag} ({stated}) was delivered, and never sent"));
        };
        if key.as_str() != message.key {
            return Err(self.violation(tag, format_args!("sent with the key {:?}, delivered with {key}", message.key)));
        }
        let batch = message.batch;
        match self.batches[batch].standing {
            Standing::Half | Standing::Compensated => {
                return Err(self.violation(tag, "delivered, though its transaction was never committed"));
            }
            Standing::Sent | Standing::Committing | Standing::Published => {}
        }
        self.batches[batch].standing = Standing::Published;
        self.placed(tag, stated)
    }

    /// A message has one id and one place, and a place has one message.
    fn placed(&mut self, tag: &str, stated: Place) -> Result<(), String> {
        let known = self.ids.get(&stated.id);
        if known.is_some_and(|known| **known != *tag) {
            return Err(self.violation(tag, format_args!("its place is {stated}, which is that of {known:?}")));
        }
        match self.messages.get_mut(tag) {
            Some(Message { place: Some(place), .. }) if *place != stated => {
                let what = format!("published twice: it is also {stated}");
                Err(self.violation(tag, what))
            }
            Some(message) => {
                if message.place.is_none() {
                    self.ids.insert(stated.id.clone(), tag.into());
                    message.place = Some(stated);
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// How many messages are certainly published, and how many may be.
    pub(crate) fn published_count(&self) -> (u64, u64) {
        let count = |wanted: &dyn Fn(Standing) -> bool| {
            let batches = self.batches.iter().filter(|batch| wanted(batch.standing));
            batches.map(|batch| batch.tags.len() as u64).sum::<u64>()
        };
        let certain = count(&|standing| standing == Standing::Published);
        (certain, certain + count(&|standing| matches!(standing, Standing::Sent | Standing::Committing)))
    }

    /// The messages that are certainly published.
    pub(crate) fn published_tags(&self) -> impl Iterator<Item = &Tag> {
        let published = self.batches.iter().filter(|batch| batch.standing == Standing::Published);
        published.flat_map(|batch| &batch.tags)
    }

    /// Fails if messages were published in the wrong partition or at the same offset twice.
    pub(crate) fn check_places(&self) -> Result<(), String> {
        let mut places: Vec<(u64, u64, &Tag)> = Vec::new();
        for tag in self.published_tags() {
            match &self.messages[tag].place {
                Some(place) => places.push((place.partition, place.offset, tag)),
                None => return Err(self.violation(tag, format_args!("{ORDERS} has it, and no group has seen it"))),
            }
        }
        places.sort_unstable();
        for (index, (partition, offset, tag)) in places.iter().enumerate() {
            let expected = match index.checked_sub(1).map(|before| &places[before]) {
                Some((same, before, _)) if same == partition => before + 1,
                _ => 0,
            };
            if *offset != expected {
                let what =
                    format_args!("offset {expected} of partition {partition} is missing or there twice before it");
                return Err(self.violation(tag, what));
            }
        }
        Ok(())
    }
}
