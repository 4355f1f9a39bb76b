//! A producer of transactions: half messages, which it commits, rolls back or forgets, maybe some runs of the broker
//! later.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::client::{Halt, Reply};
use crate::deadline::Deadline;
use crate::history::{Batch, Draft, ORDERS, Standing, Tag};
use crate::producer::pace;
use crate::stage::{Phase, Stage};

/// The most transactions that are undecided at once; the oldest is then forgotten.
const UNDECIDED: usize = 12;

/// How many decisions are kept to be asked for again.
const DECIDED: usize = 12;

/// How a transaction is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Commit,
    Rollback,
}

impl Decision {
    fn verb(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Rollback => "rollback",
        }
    }

    fn opposite(self) -> Self {
        match self {
            Self::Commit => Self::Rollback,
            Self::Rollback => Self::Commit,
        }
    }
}

/// A transaction that the broker has answered.
struct Transaction {
    id: String,
    batch: Batch,
    /// Before then it cannot have been pending for too long.
    sure_until: Deadline,
}

/// The producer, which sends one request at a time.
pub(crate) struct Transactions {
    rng: Rng,
    timeout: Duration,
    count: u64,
    undecided: Vec<Transaction>,
    decided: Vec<(Transaction, Standing)>,
    unanswered: Option<(Transaction, Decision)>,
}

impl Transactions {
    /// `timeout` is how long the broker has a transaction pending.
    pub(crate) fn new(timeout: Duration, rng: Rng) -> Self {
        Self { rng, timeout, count: 0, undecided: Vec::new(), decided: Vec::new(), unanswered: None }
    }

    /// Begins and decides until the broker has ended. In the drain everything that was begun is decided.
    pub(crate) async fn run(&mut self, stage: &Stage) -> Result<(), Halt> {
        if let Some((transaction, decision)) = self.unanswered.take() {
            self.decide(stage, transaction, decision).await?;
        }
        if stage.phase == Phase::Drain {
            return Ok(());
        }
        loop {
            if self.rng.u8(..6) == 0 {
                self.decide_again(stage).await?;
            } else if self.undecided.is_empty() || self.rng.bool() {
                self.begin(stage).await?;
            } else {
                let transaction = self.undecided.swap_remove(self.rng.usize(..self.undecided.len()));
                let decision = if self.rng.u8(..3) > 0 { Decision::Commit } else { Decision::Rollback };
                self.decide(stage, transaction, decision).await?;
            }
            tokio::time::sleep(pace(&mut self.rng)).await;
        }
    }

    async fn begin(&mut self, stage: &Stage) -> Result<(), Halt> {
        let count = self.rng.usize(1..=3);
        let drafts: Vec<Draft> = std::iter::repeat_with(|| self.draft()).take(count).collect();
        let messages: Vec<Value> = drafts.iter().map(Draft::to_json).collect();
        let batch = stage.history().send(&drafts, Standing::Half);
        let sure_until = Deadline::after(self.timeout);
        let path = format!("/topics/{ORDERS}/messages");
        let answer = stage.api.post(&path, json!({ "half": true, "messages": messages })).await?.ok()?;
        let id = answer["transactionId"].as_str().ok_or_else(|| format!("a half publish was answered {answer}"))?;
        if self.undecided.len() >= UNDECIDED {
            self.undecided.remove(0);
        }
        self.undecided.push(Transaction { id: id.to_owned(), batch, sure_until });
        Ok(())
    }

    async fn decide(&mut self, stage: &Stage, transaction: Transaction, decision: Decision) -> Result<(), Halt> {
        if decision == Decision::Commit {
            stage.history().stands(transaction.batch, Standing::Committing)?;
        }
        let reply = match resolve(stage, &transaction, decision).await {
            Ok(reply) => reply,
            Err(halt) => {
                self.unanswered = Some((transaction, decision));
                return Err(halt);
            }
        };
        let in_time = transaction.sure_until.is_ahead();
        let state = reply.body["state"].as_str().map(str::to_owned);
        let standing = match (reply.status, state.as_deref(), decision) {
            (200, Some("committed"), Decision::Commit) => Standing::Published,
            (200, Some("compensated"), Decision::Rollback) => Standing::Compensated,
            (409, _, Decision::Commit) if !in_time => Standing::Compensated,
            _ => return Err(reply.impossible(format_args!("it was pending, in time: {in_time}")).into()),
        };
        stage.history().stands(transaction.batch, standing)?;
        if self.decided.len() >= DECIDED {
            self.decided.remove(0);
        }
        self.decided.push((transaction, standing));
        Ok(())
    }

    /// The same decision again is answered alike, the other one is refused.
    async fn decide_again(&mut self, stage: &Stage) -> Result<(), Halt> {
        let Some((transaction, stands)) = self.rng.choice(&self.decided) else { return Ok(()) };
        let (transaction, stands) = (transaction, *stands);
        let same = if stands == Standing::Published { Decision::Commit } else { Decision::Rollback };
        let reply = resolve(stage, transaction, same).await?;
        if reply.status != 200 {
            return Err(reply.impossible(format_args!("it is {stands} already")).into());
        }
        let reply = resolve(stage, transaction, same.opposite()).await?;
        match reply.status {
            409 => Ok(()),
            _ => Err(reply.impossible(format_args!("it is {stands} already")).into()),
        }
    }

    fn draft(&mut self) -> Draft {
        self.count += 1;
        Draft { tag: Tag::from(format!("half-{}", self.count)), key: None, token: None }
    }
}

async fn resolve(stage: &Stage, transaction: &Transaction, decision: Decision) -> Result<Reply, Halt> {
    stage.api.post(&format!("/transactions/{}:{}", transaction.id, decision.verb()), json!({})).await
}
