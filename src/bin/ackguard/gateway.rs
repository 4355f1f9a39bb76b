//! One gateway without Envoy: requests judged by the filter's own code, and what it remembers from one to the next.

use std::cell::RefCell;
use std::collections::HashMap;

use ackguard::body;
use ackguard::dialect::{Dialect, Route};
use ackguard::http::RequestHead;
use ackguard::judgement::{self, Entry, Guarded, Judgement};
use ackguard::operation::{Kind, Topic};
use ackguard::policy::Policy;
use ackguard::policy::verdict::Outcome;
use ackguard::shared_memory::SharedMemory;
use ackguard::subscriptions;
use ackguard::telemetry::Decision;

/// A gateway with a policy in force.
#[derive(Debug)]
pub(crate) struct Gateway<'p> {
    policy: &'p Policy,
    /// The index of the roll-out's stage.
    stage: Option<usize>,
    memory: Memory,
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
        Gateway { policy, stage, memory: Memory::default() }
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

    /// Learns from the answer to a request which topic its consumer reads.
    pub(crate) fn answered(&self, judged: &Judged<'_>, status: u16, answer: &[u8]) {
        let Judged::Guarded { guarded, judgement } = judged else { return };
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

/// What a judgement comes to, as the filter counts it.
pub(crate) fn decision(judgement: &Judgement<'_>) -> Decision {
    match &judgement.ruling {
        Some(ruling) => Decision::of(&ruling.verdict.outcome, ruling.set.mode),
        None => Decision::of(&Outcome::Pass, ackguard::policy::Mode::Enforce),
    }
}

/// Envoy's shared data, for one thread.
#[derive(Debug, Default)]
struct Memory(RefCell<HashMap<String, Vec<u8>>>);

impl SharedMemory for Memory {
    fn get(&self, key: &str) -> (Vec<u8>, Option<u32>) {
        (self.0.borrow().get(key).cloned().unwrap_or_default(), None)
    }

    fn set(&self, key: &str, value: &[u8], _version: Option<u32>) -> bool {
        self.0.borrow_mut().insert(key.to_owned(), value.to_vec());
        true
    }
}
