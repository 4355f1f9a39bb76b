//! One gateway without Envoy: requests judged by the filter's own code, and what it remembers from one to the next.

mod answers;

use ackguard::body;
use ackguard::dialect::{Dialect, Route};
use ackguard::http::RequestHead;
use ackguard::judgement::{self, Entry, Guarded, Judgement};
use ackguard::limit::Limiter;
use ackguard::operation::Topic;
use ackguard::policy::Policy;
use ackguard::policy::verdict::{Outcome, Refusal};
use ackguard::shared_memory::Unshared;
use ackguard::subscriptions;

/// How often a worker gives back what it has borrowed of a limit and not used, in nanoseconds.
const SWEEP: u64 = 100_000_000;

/// A gateway with a policy in force, and one worker.
#[derive(Debug)]
pub(crate) struct Gateway<'p> {
    policy: &'p Policy,
    /// The index of the roll-out's stage.
    stage: Option<usize>,
    memory: Unshared,
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
        Gateway { policy, stage, memory: Unshared::default(), limiter: Limiter::default(), now: 0, swept: 0 }
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

    /// Asks the limits, and the bound of what its group has in flight, for a judged request with this body. `now` is in
    /// Unix nanoseconds; the gateway's clock does not go back.
    pub(crate) fn limit(&mut self, judged: &mut Judged<'p>, bytes: &[u8], now: u64) {
        self.now = self.now.max(now);
        if self.now - self.swept >= SWEEP {
            self.swept = self.now;
            self.limiter.sweep(&self.memory, self.now);
        }
        if let Judged::Guarded { guarded, judgement } = judged {
            judgement.ask_limits(self.policy, guarded, &mut self.limiter, &self.memory, || self.now);
            judgement.ask_in_flight(guarded, bytes, &self.memory, || self.millis());
            if judgement.is_refused() {
                judgement.limits.refund(&mut self.limiter, &self.memory, || self.now);
            }
        }
    }

    fn remembered(&self, route: &Route) -> Option<Topic> {
        let (group, consumer) = (route.group.as_ref()?, route.consumer.as_ref()?);
        subscriptions::topic(&self.memory, &group.0, &consumer.0).map(Topic)
    }
}

/// Whether a rule refuses a request, so that no limit is asked.
pub(crate) fn spares_limits(judgement: &Judgement<'_>) -> bool {
    let outcome = judgement.ruling.as_ref().map(|ruling| &ruling.verdict.outcome);
    matches!(outcome, Some(Outcome::Reject(Refusal::Unreadable(_) | Refusal::Setting { .. })))
}
