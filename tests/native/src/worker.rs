//! One worker of a gateway: what the plugin does for a request and its answer, in its order, without the host's calls.
//! Whoever changes that order there changes it here, so that what is counted stays what a gateway does.

use std::hint::black_box;

use ackguard::body;
use ackguard::dialect::{AnswerReader, Dialect, Route, Tally};
use ackguard::http::RequestHead;
use ackguard::judgement::{Awaited, Effect, Entry, Guarded, counts_leases, enter, judge, side};
use ackguard::lease::{self, Holder};
use ackguard::limit::Limiter;
use ackguard::limit::bill::Charge;
use ackguard::operation::{Kind, LeaseChange, Operation, Tenant, Topic};
use ackguard::policy::rollout::Side;
use ackguard::policy::{Caller, Policy};
use ackguard::shared_memory::Unshared;
use ackguard::subscriptions;
use ackguard::telemetry::{Counter, Decision, Details, HEADER, Labels};

use crate::inputs::Request;

/// When the first request comes, in Unix nanoseconds.
pub const START: u64 = 1_790_000_000_000_000_000;
/// The time from one request to the next, in nanoseconds.
const STEP: u64 = 100_000;
/// How many bytes of an answer Envoy hands over at once.
const PIECE: usize = 16 * 1024;

/// What became of a request, and what its answer told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// What was decided; none where no dialect reads it.
    pub decision: Option<Decision>,
    /// The leases that its answer told of.
    pub leases: usize,
}

/// One worker, which is alone in its gateway.
#[derive(Debug)]
pub struct Worker {
    policy: Policy,
    memory: Unshared,
    limiter: Limiter,
    labels: Labels,
    now: u64,
}

impl Worker {
    /// A worker that has served nothing yet.
    pub fn new(policy: Policy) -> Worker {
        Worker {
            policy,
            memory: Unshared::default(),
            limiter: Limiter::default(),
            labels: Labels::default(),
            now: START,
        }
    }

    /// Serves a request and the answer that the broker would give.
    pub fn serve(&mut self, request: &Request, answer: &[u8]) -> Served {
        self.now += STEP;
        let head = request.head();
        for name in head.names().filter(|name| name.starts_with(HEADER)) {
            black_box(name);
        }
        match enter(&self.policy, &head, |_| None) {
            Entry::Foreign => Served { decision: None, leases: 0 },
            Entry::Free { dialect, route } => self.pass(&head, dialect, route.as_ref(), answer),
            Entry::Guarded(guarded) => self.judge(&head, &guarded, &request.body, answer),
        }
    }

    fn pass(&mut self, head: &RequestHead, dialect: Dialect, route: Option<&Route>, answer: &[u8]) -> Served {
        let policy = &self.policy;
        let tenant = policy.tenant(head, |_| None);
        let (operation, decision) = (route.map(|route| route.kind), Decision::Pass);
        black_box(Counter::Requests { dialect, operation, decision });
        let topic = route.and_then(|route| route.topic.as_ref()).map(|topic| topic.0.as_str());
        let group = route.and_then(|route| route.group.as_ref()).map(|group| group.0.as_str());
        let mut details = Details::of(dialect, operation, decision)
            .with("tenant", Some(&tenant.0))
            .with("group", group)
            .with("topic", topic)
            .with("policy", Some(&policy.current.version));
        details.told(|text| _ = black_box(text.len()));
        let mut leases = 0;
        if let Some(route) = route {
            let awaited = self.settling(dialect, route, &tenant, None);
            leases = self.learn((dialect, route.kind), details, awaited, &[], answer);
        }
        Served { decision: Some(decision), leases }
    }

    fn judge(&mut self, head: &RequestHead, guarded: &Guarded, body: &[u8], answer: &[u8]) -> Served {
        let now = self.now;
        let Worker { policy, memory, limiter, labels, .. } = self;
        let Guarded { dialect, route, tenant, .. } = guarded;
        let side = side(policy, None, tenant, route.group.as_ref());
        let body = body::readable(head, guarded, body);
        let bytes = *body.as_ref().unwrap_or(&&[][..]);
        let mut judgement = judge(policy, guarded, side, body, || remembered(memory, route));
        judgement.ask_limits(policy, guarded, limiter, memory, || now);
        judgement.ask_in_flight(guarded, bytes, memory, || now / 1_000_000);
        if judgement.is_refused() {
            judgement.limits.refund(limiter, memory, || now);
        }
        for counter in judgement.counters() {
            black_box(counter.bounded(|label, value| labels.admit(memory, label, value)));
        }
        if judgement.violates() {
            let counter = Counter::TenantViolations { tenant: tenant.0.as_str().into() };
            black_box(counter.bounded(|label, value| labels.admit(memory, label, value)));
        }
        black_box(judgement.log());
        let mut details = judgement.details(policy, guarded);
        details.told(|text| _ = black_box(text.len()));
        let decision = judgement.decision();
        if matches!(black_box(judgement.effect()), Effect::Answer(_)) {
            return Served { decision: Some(decision), leases: 0 };
        }
        let told = judgement.ruling.as_ref().and_then(|ruling| ruling.told.clone());
        black_box(told);
        let owed = judgement.owes();
        let awaited = judgement.in_flight.awaited.take();
        let read = judgement.read.ok();
        if let Some(operation) = read.as_ref().filter(|_| policy.asks_topic()) {
            subscribed(memory, *dialect, operation, answer);
        }
        let topic = read.as_ref().and_then(|operation| operation.topic.as_ref());
        let awaited = awaited.or_else(|| self.settling(*dialect, route, tenant, topic));
        let leases = self.learn((*dialect, route.kind), details, awaited, &owed, answer);
        Served { decision: Some(decision), leases }
    }

    /// The leases that the answer to an ack, a reject or a heartbeat ends or moves, where they are counted.
    fn settling(&self, dialect: Dialect, route: &Route, tenant: &Tenant, topic: Option<&Topic>) -> Option<Awaited> {
        let policy = &self.policy;
        if !policy.bounds_leases() || !matches!(route.kind, Kind::Ack | Kind::Reject | Kind::Extend) {
            return None;
        }
        let group = route.group.as_ref()?;
        let asked = || if policy.asks_topic() { remembered(&self.memory, route) } else { None };
        let topic = topic.cloned().or_else(asked);
        let caller = Caller { tenant, topic: topic.as_ref(), group: Some(group), dialect };
        let awaited = || Awaited { holder: Holder::new(dialect, group), reservation: None };
        counts_leases(policy, Side::Current, &caller).then(awaited)
    }

    /// Learns what an answer says of messages and leases; returns of how many.
    fn learn(
        &mut self,
        (dialect, kind): (Dialect, Kind),
        mut details: Details,
        awaited: Option<Awaited>,
        owed: &[Charge],
        answer: &[u8],
    ) -> usize {
        if awaited.is_none() && !matches!(kind, Kind::Pull | Kind::Ack) {
            return 0;
        }
        let mut reader = dialect.answer_reader();
        let mut changes = Vec::new();
        let mut leases = 0;
        for piece in answer.chunks(PIECE) {
            let told = &mut |change: LeaseChange| {
                leases += 1;
                details.take(change.receipt());
                if awaited.is_some() {
                    changes.push(change);
                }
            };
            assert!(reader.push(piece, told).is_ok(), "an answer is JSON");
        }
        let tally = whole(&reader);
        if let Some(Awaited { holder, reservation }) = awaited {
            let reservation = reservation.map(|(reservation, _)| reservation);
            black_box(lease::update(&self.memory, &holder, reservation, &changes, self.now / 1_000_000));
        }
        if details.has_receipts() {
            details.told(|text| _ = black_box(text.len()));
        }
        let size = u64::try_from(answer.len()).unwrap_or(u64::MAX);
        for charge in owed.iter().filter_map(|charge| charge.due(tally.delivered, size)) {
            self.limiter.charge(&self.memory, &charge, self.now);
        }
        leases
    }
}

fn whole(reader: &AnswerReader) -> Tally {
    assert!(reader.end().is_ok(), "an answer is whole");
    reader.tally()
}

/// The topic that the consumer of a route subscribed to.
fn remembered(memory: &Unshared, route: &Route) -> Option<Topic> {
    let (group, consumer) = (route.group.as_ref()?, route.consumer.as_ref()?);
    subscriptions::topic(memory, &group.0, &consumer.0).map(Topic)
}

/// Remembers the consumer that the answer to a subscription names.
fn subscribed(memory: &Unshared, dialect: Dialect, operation: &Operation, answer: &[u8]) {
    if let Operation { kind: Kind::Subscribe, group: Some(group), topic: Some(topic), .. } = operation
        && let Some(consumer) = dialect.subscribed(answer)
    {
        black_box(subscriptions::remember(memory, &group.0, &consumer.0, &topic.0));
    }
}
