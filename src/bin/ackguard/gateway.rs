//! One gateway without Envoy: requests judged by the filter's own code, and what it remembers from one to the next.

use std::cell::RefCell;
use std::collections::HashMap;

use ackguard::body;
use ackguard::dialect::{Dialect, Route};
use ackguard::http::RequestHead;
use ackguard::json::Node;
use ackguard::judgement::{self, Effect, Entry, Guarded, Judgement};
use ackguard::limit::Limiter;
use ackguard::operation::{Kind, Topic};
use ackguard::policy::Policy;
use ackguard::shared_memory::SharedMemory;
use ackguard::subscriptions;

/// How often a worker gives back what it has borrowed of a limit and not used, in nanoseconds.
const SWEEP: u64 = 100_000_000;

/// A gateway with a policy in force, and one worker.
#[derive(Debug)]
pub(crate) struct Gateway<'p> {
    policy: &'p Policy,
    /// The index of the roll-out's stage.
    stage: Option<usize>,
    memory: Memory,
    limiter: Limiter,
    /// The time, in Unix nanoseconds.
    now: u64,
    /// When unused tokens were given back last.
    swept: u64,
}

/// What becomes of one request.
#[derive(Debug)]
pub(crate) enum Judged<'p> {
    /// No dialect reads it.
    Foreign,
    /// It asks for nothing that is guarded.
    Free {
        /// The wire.
        dialect: Dialect,
        /// What it asks; none where the wire does not define it.
        route: Option<Route>,
    },
    /// A rule judged it.
    Guarded {
        /// What its head told.
        guarded: Guarded,
        /// The judgement.
        judgement: Box<Judgement<'p>>,
    },
}

impl<'p> Gateway<'p> {
    /// A gateway that remembers nothing yet.
    pub(crate) fn new(policy: &'p Policy, stage: Option<usize>) -> Self {
        Gateway { policy, stage, memory: Memory::default(), limiter: Limiter::default(), now: 0, swept: 0 }
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> &'p Policy {
        self.policy
    }

    /// Judges a request. `property` reads a property of its connection; `subscribed` is the topic of its consumer, where
    /// that is known from elsewhere.
    pub(crate) fn judge(
        &self,
        head: &RequestHead,
        bytes: &[u8],
        property: impl FnMut(&[String]) -> Option<Vec<u8>>,
        subscribed: Option<&Topic>,
    ) -> Judged<'p> {
        let guarded = match judgement::enter(self.policy, head, property) {
            Entry::Foreign => return Judged::Foreign,
            Entry::Free { dialect, route } => return Judged::Free { dialect, route },
            Entry::Guarded(guarded) => guarded,
        };
        let side = judgement::side(self.policy, self.stage, &guarded.tenant, guarded.route.group.as_ref());
        let body = body::readable(head, &guarded, bytes);
        let remembered = || subscribed.cloned().or_else(|| self.remembered(&guarded.route));
        let judgement = Box::new(judgement::judge(self.policy, &guarded, side, body, remembered));
        Judged::Guarded { guarded, judgement }
    }

    /// Asks the limits for a judged request, at a time in Unix nanoseconds. The gateway's clock does not go back.
    pub(crate) fn limit(&mut self, judged: &mut Judged<'p>, now: u64) {
        self.now = self.now.max(now);
        if self.now - self.swept >= SWEEP {
            self.swept = self.now;
            self.limiter.sweep(&self.memory, self.now);
        }
        if let Judged::Guarded { guarded, judgement } = judged {
            judgement.ask_limits(self.policy, guarded, &mut self.limiter, &self.memory, || self.now);
        }
    }

    /// Learns from the answer to a request: which topic its consumer reads, and what it owes to the limits.
    pub(crate) fn answered(&mut self, judged: &Judged<'_>, status: u16, answer: &[u8]) {
        let Judged::Guarded { guarded, judgement } = judged else { return };
        for owed in judgement.owes(self.policy) {
            let bytes = u64::try_from(answer.len()).unwrap_or(u64::MAX);
            if let Some(charge) = owed.due(self.policy, delivered(answer), bytes) {
                self.limiter.charge(&self.memory, &charge, self.now);
            }
        }
        let Ok(operation) = &judgement.read else { return };
        let is_success = (200..300).contains(&status);
        if !self.policy.asks_topic() || operation.kind != Kind::Subscribe || !is_success {
            return;
        }
        if let (Some(group), Some(topic)) = (&operation.group, &operation.topic)
            && let Some(consumer) = guarded.dialect.subscribed(answer)
        {
            subscriptions::remember(&self.memory, &group.0, &consumer.0, &topic.0);
        }
    }

    fn remembered(&self, route: &Route) -> Option<Topic> {
        let (group, consumer) = (route.group.as_ref()?, route.consumer.as_ref()?);
        subscriptions::topic(&self.memory, &group.0, &consumer.0).map(Topic)
    }
}

/// Whether a rule refuses a request, so that no limit is asked.
pub(crate) fn spares_limits(judgement: &Judgement<'_>) -> bool {
    judgement.ruling.as_ref().is_some_and(|ruling| matches!(ruling.effect, Effect::Answer(_)))
}

/// How many messages the answer to a pull brings.
fn delivered(answer: &[u8]) -> u64 {
    let answer = Node::parse(answer).ok();
    let messages = answer.as_ref().and_then(|answer| answer.member("messages")?.elements());
    messages.map_or(0, |messages| u64::try_from(messages.len()).unwrap_or(u64::MAX))
}

/// Envoy's shared data, for one thread.
#[derive(Debug, Default)]
struct Memory(RefCell<HashMap<String, (Vec<u8>, u32)>>);

impl SharedMemory for Memory {
    fn get(&self, key: &str) -> (Vec<u8>, Option<u32>) {
        match self.0.borrow().get(key) {
            Some((value, version)) => (value.clone(), Some(*version)),
            None => (Vec::new(), None),
        }
    }

    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        let mut values = self.0.borrow_mut();
        let held = values.get(key).map(|(_, held)| *held);
        if held != version {
            return false;
        }
        values.insert(key.to_owned(), (value.to_vec(), held.map_or(1, |held| held.wrapping_add(1))));
        true
    }
}
