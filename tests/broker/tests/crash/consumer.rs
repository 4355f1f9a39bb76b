//! A consumer of one group. It keeps its id and its receipts when the broker ends, and goes on with the next one.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tmq_broker::Semantics;

use crate::client::{Api, Halt, Reply};
use crate::history::{Leased, Pull};
use crate::stage::{Phase, Stage};

/// The most messages of one pull.
const MOST: u64 = 24;

/// How a group's consumers behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    pub(crate) group: &'static str,
    /// The protocol's settings of the subscribe, but for the topic.
    pub(crate) ack_timeout: Duration,
    pub(crate) auto_ack: bool,
    pub(crate) dead_letters: Option<&'static str>,
    /// How many of 100 messages are rejected, held back for long, and let go until their leases run out.
    pub(crate) rejects: u8,
    pub(crate) holds: u8,
    pub(crate) lets_go: u8,
    /// How many of 100 pulls are made with an ack timeout of 0, which the legacy semantics take.
    pub(crate) zero_timeouts: u8,
    /// How many of 100 rounds begin with a pause.
    pub(crate) pauses: u8,
}

/// Where a consumer stands, as far as was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Started,
    Paused,
    /// A pause or a resume was not answered.
    Unknown,
}

/// One consumer.
pub(crate) struct Consumer {
    habits: Habits,
    semantics: Semantics,
    path: String,
    rng: Rng,
    standing: Standing,
    /// To be acknowledged next; the ack may have been sent already.
    acks: Vec<Leased>,
    /// To be acknowledged some time, maybe after their leases have run out.
    held: Vec<Leased>,
}

impl Consumer {
    /// Subscribes and starts.
    pub(crate) async fn subscribe(
        api: &Api,
        stage: &Stage,
        habits: Habits,
        semantics: Semantics,
        rng: Rng,
    ) -> Result<Self, Halt> {
        let terms = stage.history().group(habits.group).terms;
        let settings = json!({
            "topic": terms.topic,
            "ackTimeout": millis(habits.ack_timeout),
            "maxReconsumeTimes": terms.max_reconsume_times,
            "autoAck": habits.auto_ack,
            "deadLetterTopic": habits.dead_letters,
        });
        let answer = api.post(&format!("/groups/{}/consumers", habits.group), settings).await?.ok()?;
        let id = answer["consumerId"].as_str().ok_or_else(|| format!("a subscribe was answered {answer}"))?;
        let path = format!("/groups/{}/consumers/{id}", habits.group);
        let standing = Standing::Unknown;
        let consumer = Self { habits, semantics, path, rng, standing, acks: Vec::new(), held: Vec::new() };
        Ok(consumer)
    }

    /// Takes the first step of its lifecycle, which was taken already if it was asked for before and not answered.
    pub(crate) async fn start(&mut self, api: &Api) -> Result<(), Halt> {
        self.step(api, "start").await?;
        self.standing = Standing::Started;
        Ok(())
    }

    async fn step(&self, api: &Api, step: &str) -> Result<(), Halt> {
        let reply = api.post(&format!("{}:{step}", self.path), json!({})).await?;
        if is_illegal(&reply) {
            return Ok(());
        }
        reply.ok().map(|_| ())
    }

    /// Takes the last steps of its lifecycle, those that were taken already left out.
    pub(crate) async fn leave(&mut self, api: &Api) -> Result<(), Halt> {
        self.step(api, "stop").await?;
        self.step(api, "close").await
    }

    /// Whether no answer is missing and nothing is held.
    pub(crate) fn is_idle(&self) -> bool {
        self.acks.is_empty() && self.held.is_empty() && self.standing == Standing::Started
    }

    /// Pulls and settles until the broker has ended, or the stage has.
    pub(crate) async fn run(&mut self, stage: &Stage) -> Result<(), Halt> {
        loop {
            self.round(stage).await?;
            if stage.is_over() && self.is_idle() {
                return Ok(());
            }
        }
    }

    /// One pull, and what becomes of what it brings.
    pub(crate) async fn round(&mut self, stage: &Stage) -> Result<(), Halt> {
        if self.standing != Standing::Started {
            self.resume(&stage.api).await?;
        }
        self.settle(stage).await?;
        if stage.phase == Phase::Load && self.chance(self.habits.pauses) {
            self.pause(stage).await?;
        }
        let leased = self.pull(stage).await?;
        if self.habits.auto_ack {
            return Ok(());
        }
        let mut rejects = Vec::new();
        for leased in leased {
            let Habits { rejects: rejected, holds, lets_go, .. } = self.habits;
            match self.rng.u8(..100) {
                _ if stage.phase == Phase::Drain => self.acks.push(leased),
                chance if chance < rejected => rejects.push(leased),
                chance if chance < rejected + holds => self.held.push(leased),
                chance if chance < rejected + holds + lets_go => {}
                _ => self.acks.push(leased),
            }
        }
        self.reject(stage, &rejects).await?;
        self.settle(stage).await
    }

    async fn pull(&mut self, stage: &Stage) -> Result<Vec<Leased>, Halt> {
        let max = self.rng.u64(1..=MOST);
        let wait = self.rng.u64(..40);
        let mut request = json!({ "maxMessages": max, "waitMs": wait });
        let mut lease = self.habits.ack_timeout;
        if stage.phase == Phase::Load && self.semantics == Semantics::Legacy && self.chance(self.habits.zero_timeouts) {
            lease = Duration::ZERO;
            request["ackTimeout"] = json!(0);
        }
        let pull: Pull = stage.history().pulling(self.habits.group, max, lease);
        match stage.api.post(&format!("{}:pull", self.path), request).await {
            Ok(reply) => {
                let answer = reply.ok()?;
                Ok(stage.history().delivered(&pull, &answer)?)
            }
            Err(halt) => {
                stage.history().pull_unanswered(&pull);
                Err(halt)
            }
        }
    }

    /// Acknowledges what is to be, and some of what is held. Without an answer it is all asked for again.
    async fn settle(&mut self, stage: &Stage) -> Result<(), Halt> {
        let release = stage.phase == Phase::Drain || self.rng.u8(..4) == 0;
        if release {
            self.acks.append(&mut self.held);
        }
        if self.acks.is_empty() {
            return Ok(());
        }
        stage.history().acking(self.habits.group, &self.acks);
        let answer = stage.api.post(&format!("{}:ack", self.path), receipts(&self.acks)).await?.ok()?;
        let acks = std::mem::take(&mut self.acks);
        Ok(stage.history().acked(self.habits.group, &acks, &answer)?)
    }

    /// Gives messages back. Without an answer it is not asked for again: it would be told that the leases are over.
    async fn reject(&mut self, stage: &Stage, leased: &[Leased]) -> Result<(), Halt> {
        if leased.is_empty() {
            return Ok(());
        }
        let answer = stage.api.post(&format!("{}:reject", self.path), receipts(leased)).await?.ok()?;
        Ok(stage.history().rejected(self.habits.group, leased, &answer)?)
    }

    /// Pauses, finds that it may not pull, and resumes.
    async fn pause(&mut self, stage: &Stage) -> Result<(), Halt> {
        self.standing = Standing::Unknown;
        stage.api.post(&format!("{}:pause", self.path), json!({})).await?.ok()?;
        self.standing = Standing::Paused;
        let refused = stage.api.post(&format!("{}:pull", self.path), json!({})).await?;
        if refused.status != 409 {
            return Err(refused.impossible("the consumer is paused").into());
        }
        self.resume(&stage.api).await
    }

    /// Goes on after a pause. Where that pause was not answered, there may have been none.
    async fn resume(&mut self, api: &Api) -> Result<(), Halt> {
        let before = std::mem::replace(&mut self.standing, Standing::Unknown);
        let reply = api.post(&format!("{}:resume", self.path), json!({})).await?;
        if before == Standing::Paused || !is_illegal(&reply) {
            reply.ok()?;
        }
        self.standing = Standing::Started;
        Ok(())
    }

    fn chance(&mut self, of_100: u8) -> bool {
        self.rng.u8(..100) < of_100
    }
}

/// Whether the consumer's state has no such transition.
fn is_illegal(reply: &Reply) -> bool {
    reply.status == 409 && reply.body["code"] == "IllegalStateTransition"
}

fn receipts(leased: &[Leased]) -> Value {
    json!({ "receipts": leased.iter().map(|leased| leased.receipt.as_str()).collect::<Vec<_>>() })
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
