//! Building the broker's state up again from what storage kept.

use std::collections::HashMap;
use std::sync::Arc;

use super::Novelty;
use super::topic::{Draft, PublishResult, Sequence, Topic};
use super::transactions::{Pending, Resolution, Transactions};
use crate::clock::Timestamp;
use crate::group::Group;
use crate::group::change::Story;
use crate::group::settings::Rules;
use crate::names::{GroupName, TopicName};
use crate::storage::durable::Recover;
use crate::storage::durable::journal::AppendCause;
use crate::storage::durable::snapshot::Part;
use crate::storage::{Mark, TokenResult, TopicLog, TransactionStep};

/// The state that a broker starts with.
pub(crate) struct Recovered {
    rules: Rules,
    /// The latest moment that is told of.
    time: Timestamp,
    pub(super) topics: HashMap<TopicName, Arc<Topic>>,
    pub(super) groups: HashMap<GroupName, Group>,
    pub(super) transactions: Transactions,
    /// Up to where what was read from the snapshot is true.
    as_of: AsOf,
}

#[derive(Default)]
struct AsOf {
    topics: HashMap<TopicName, Mark>,
    groups: HashMap<GroupName, Mark>,
    transactions: Mark,
}

impl Recovered {
    /// The state of a broker that is started for the first time.
    pub(crate) fn empty(rules: Rules) -> Self {
        Self {
            rules,
            time: Timestamp::default(),
            topics: HashMap::new(),
            groups: HashMap::new(),
            transactions: Transactions::default(),
            as_of: AsOf::default(),
        }
    }

    /// The latest moment that is told of: the broker's clock must not start before it.
    pub(crate) fn time(&self) -> Timestamp {
        self.time
    }

    /// Every topic.
    pub(crate) fn topic_names(&self) -> impl Iterator<Item = &TopicName> {
        self.topics.keys()
    }

    /// Every group, for those who look at it from outside.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&GroupName, &Group)> {
        self.groups.iter()
    }

    fn sequence(&self, topic: &TopicName, change: impl FnOnce(&mut Sequence)) -> Result<(), String> {
        let topic = self.topics.get(topic).ok_or_else(|| format!("there is no topic {topic}"))?;
        topic.restore(change);
        Ok(())
    }
}

/// Whether an entry is newer than what the snapshot says.
fn is_news(mark: Mark, as_of: Option<&Mark>) -> bool {
    as_of.is_none_or(|as_of| mark > *as_of)
}

fn pending(step: TransactionStep) -> Option<(crate::names::TransactionId, Pending)> {
    let TransactionStep::Begun { id, topic, deadline, codec, drafts } = step else { return None };
    let draft = |draft: crate::storage::StoredDraft| Draft {
        message: Arc::new(draft.message),
        idempotency_token: draft.token.map(Arc::from),
    };
    Some((id, Pending { topic, drafts: drafts.into_iter().map(draft).collect(), codec, deadline }))
}

fn remember(sequence: &mut Sequence, tokens: Vec<TokenResult>) {
    for TokenResult { token, message_id, position } in tokens {
        sequence.remember(Arc::from(token), PublishResult { message_id, position, novelty: Novelty::New });
    }
}

impl Recover for Recovered {
    fn topic(&mut self, topic: &TopicName, log: Arc<dyn TopicLog>) {
        self.topics.insert(topic.clone(), Arc::new(Topic::new(topic.clone(), log)));
    }

    fn part(&mut self, part: Part) -> Result<(), String> {
        match part {
            Part::Head { time, .. } => self.time = self.time.max(time),
            Part::Topic { topic, turn, as_of, .. } => {
                self.sequence(&topic, |sequence| sequence.resume_turn(turn))?;
                self.as_of.topics.insert(topic, as_of);
            }
            Part::Tokens { topic, tokens } => self.sequence(&topic, |sequence| remember(sequence, tokens))?,
            Part::Group { state, as_of } => {
                let topics = &self.topics;
                let logs = |name: &TopicName| topics.get(name).map(|topic| Arc::clone(topic.log()));
                let group = Group::restore(self.rules, state, &logs).map_err(|unfit| unfit.to_string())?;
                self.time = self.time.max(group.now());
                self.as_of.groups.insert(group.name().clone(), as_of);
                self.groups.insert(group.name().clone(), group);
            }
            Part::Resolved { transactions, as_of } => {
                for (id, resolution) in transactions {
                    self.transactions.end(id, resolution);
                }
                self.as_of.transactions = as_of;
            }
            Part::Pending(step) => {
                let (id, pending) = pending(step).ok_or("a pending transaction that never began")?;
                self.transactions.begin(id, pending);
            }
            Part::End => {}
        }
        Ok(())
    }

    fn story(&mut self, mark: Mark, story: Story) -> Result<(), String> {
        self.time = self.time.max(story.now);
        if !is_news(mark, self.as_of.groups.get(&story.group)) {
            return Ok(());
        }
        let topics = &self.topics;
        let logs = |name: &TopicName| topics.get(name).map(|topic| Arc::clone(topic.log()));
        let group = self
            .groups
            .entry(story.group.clone())
            .or_insert_with(|| Group::new(story.group.clone(), self.rules, story.tag));
        group.replay(story, &logs).map_err(|unfit| unfit.to_string())
    }

    fn published(&mut self, mark: Mark, topic: &TopicName, cause: AppendCause) -> Result<(), String> {
        let AppendCause::Publish { tokens, turn, commits } = cause else { return Ok(()) };
        if is_news(mark, self.as_of.topics.get(topic)) {
            self.sequence(topic, |sequence| {
                sequence.resume_turn(turn);
                remember(sequence, tokens);
            })?;
        }
        if let Some(id) = commits.filter(|_| mark > self.as_of.transactions) {
            self.transactions.end(id, Resolution::Committed);
        }
        Ok(())
    }

    fn transaction(&mut self, mark: Mark, step: TransactionStep) -> Result<(), String> {
        if mark > self.as_of.transactions {
            match step {
                TransactionStep::Compensated { id } => self.transactions.end(id, Resolution::Compensated),
                begun @ TransactionStep::Begun { .. } => {
                    if let Some((id, pending)) = pending(begun) {
                        self.transactions.begin(id, pending);
                    }
                }
            }
        }
        Ok(())
    }
}
