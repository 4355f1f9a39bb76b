//! Producers: plain, by key, with idempotency tokens, compressed.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::client::{Coding, Halt};
use crate::history::{Batch, Draft, ORDERS, Standing, Tag};
use crate::stage::{Phase, Stage};

/// The keys of keyed messages. Few, so that each has many messages.
pub(crate) const KEYS: [&str; 5] = ["ada", "bob", "cleo", "dan", "eve"];

/// How many answered publishes with tokens are kept to be sent again.
const REMEMBERED: usize = 50;

/// What a producer publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Keyed,
    /// With idempotency tokens: what was not answered is sent again until it is.
    Tokens,
}

/// A publish with tokens.
struct Sent {
    batch: Batch,
    drafts: Vec<Draft>,
}

/// One producer, which sends one request at a time.
pub(crate) struct Producer {
    kind: Kind,
    name: &'static str,
    coding: Coding,
    rng: Rng,
    count: u64,
    unanswered: Option<Sent>,
    answered: Vec<Sent>,
}

impl Producer {
    pub(crate) fn new(kind: Kind, name: &'static str, coding: Coding, rng: Rng) -> Self {
        Self { kind, name, coding, rng, count: 0, unanswered: None, answered: Vec::new() }
    }

    /// Publishes until the broker has ended. In the drain only what is missing an answer is sent.
    pub(crate) async fn run(&mut self, stage: &Stage) -> Result<(), Halt> {
        if let Some(sent) = self.unanswered.take() {
            self.publish_again(stage, sent).await?;
        }
        if stage.phase == Phase::Drain {
            return Ok(());
        }
        loop {
            match self.kind {
                Kind::Tokens if !self.answered.is_empty() && self.rng.u8(..8) == 0 => {
                    let sent = self.answered.swap_remove(self.rng.usize(..self.answered.len()));
                    self.publish_again(stage, sent).await?;
                }
                _ => self.publish(stage).await?,
            }
            tokio::time::sleep(pace(&mut self.rng)).await;
        }
    }

    async fn publish(&mut self, stage: &Stage) -> Result<(), Halt> {
        let drafts = self.drafts();
        let batch = stage.history().send(&drafts, Standing::Sent);
        let sent = Sent { batch, drafts };
        match self.send(stage, &sent).await {
            Ok(answer) => {
                stage.history().published(batch, &answer, false)?;
                self.remember(sent);
                Ok(())
            }
            Err(halt) => {
                if self.kind == Kind::Tokens {
                    self.unanswered = Some(sent);
                }
                Err(halt)
            }
        }
    }

    /// Sends a publish with tokens again, whether or not it was answered: there is to be one message.
    async fn publish_again(&mut self, stage: &Stage, sent: Sent) -> Result<(), Halt> {
        match self.send(stage, &sent).await {
            Ok(answer) => {
                stage.history().published(sent.batch, &answer, true)?;
                self.remember(sent);
                Ok(())
            }
            Err(halt) => {
                self.unanswered = Some(sent);
                Err(halt)
            }
        }
    }

    fn remember(&mut self, sent: Sent) {
        if self.kind == Kind::Tokens && self.answered.len() < REMEMBERED {
            self.answered.push(sent);
        }
    }

    async fn send(&self, stage: &Stage, sent: &Sent) -> Result<Value, Halt> {
        let messages: Vec<Value> = sent.drafts.iter().map(Draft::to_json).collect();
        let path = format!("/topics/{ORDERS}/messages");
        stage.api.post_in(self.coding, &path, json!({ "messages": messages })).await?.ok()
    }

    fn drafts(&mut self) -> Vec<Draft> {
        let drafts = self.rng.usize(1..=4);
        (0..drafts).map(|_| self.draft()).collect()
    }

    fn draft(&mut self) -> Draft {
        self.count += 1;
        let tag = Tag::from(format!("{}-{}", self.name, self.count));
        let key = (self.kind == Kind::Keyed).then(|| KEYS[self.rng.usize(..KEYS.len())]);
        let token = (self.kind == Kind::Tokens).then(|| format!("token-{tag}"));
        Draft { tag, key, token }
    }
}

/// The time between two requests of a producer, so that consumers keep up.
pub(crate) fn pace(rng: &mut Rng) -> Duration {
    Duration::from_micros(rng.u64(500..7_000))
}
