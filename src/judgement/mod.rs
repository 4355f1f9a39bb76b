//! One request's whole way, without a host: from its head and body to what goes on to the broker or back to the client.
//!
//! ```text
//! head ─▶ enter ─▶ Foreign, Free: on, as it came
//!              └─▶ Guarded ─ body ─▶ judge ─▶ Judgement: a ruling, and what else was tried beside it
//! ```
//!
//! The plugin carries a judgement out; the command line shows it. What is only tried is ruled on in the same way as what
//! is carried out, so that shadow counts what enforce would do.

mod answer;
mod fleet;
mod in_flight;
mod limits;

#[cfg(test)]
mod tests;

pub use answer::answer;
pub use in_flight::{Awaited, InFlight, counts_leases};
pub use limits::{Limits, Refused, Tried};

use crate::dialect::{Dialect, Layout, Route};
use crate::http::{Reply, RequestHead};
use crate::operation::{Group, Kind, Operation, Settings, Tenant, Topic, Unreadable};
use crate::policy::limit::{Cost, Key, Limit};
use crate::policy::rollout::Side;
use crate::policy::verdict::{Outcome, Verdict};
use crate::policy::{Caller, Mode, Policy, Rule, RuleSet, decide, decide_unreadable};
use crate::telemetry::{Counter, Decision, Details, Scope, announce};

/// What a request's head tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// No dialect reads it.
    Foreign,
    /// A dialect reads it, and nothing that it may ask for is guarded.
    Free {
        /// The wire.
        dialect: Dialect,
        /// What is asked; none where the wire does not define it.
        route: Option<Route>,
    },
    /// Its body decides.
    Guarded(Guarded),
}

/// A request that a rule judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// The wire.
    pub dialect: Dialect,
    /// What is asked.
    pub route: Route,
    /// Who asks.
    pub tenant: Tenant,
    /// The gateway's id of the request.
    pub request_id: Option<String>,
    /// The address that it comes from, without its port, where a limit asks for it; of an IPv6 address its /64.
    pub client: String,
    /// Whether its body is read: for its settings, or because a limit counts what is in it.
    pub reads_body: bool,
    /// Whether a limit counts its messages.
    counts_messages: bool,
    /// The length that its head declares for the body.
    content_length: Option<u64>,
    /// Whether the client speaks gRPC.
    is_grpc: bool,
}

/// Reads a request's head. `property` reads a property of the connection, by its path.
pub fn enter<F>(policy: &Policy, head: &RequestHead, mut property: F) -> Entry
where
    F: FnMut(&[String]) -> Option<Vec<u8>>,
{
    let Some(dialect) = policy.dialect(head) else {
        return Entry::Foreign;
    };
    let Some(route) = dialect.route(head) else {
        return Entry::Free { dialect, route: None };
    };
    let is_limited = policy.limited().has(route.kind);
    if !is_limited && !route.reads_body && dialect.read(&route, &[]).is_ok() {
        // Nothing that a rule or a limit could judge: neither tenant nor rule is worth looking for.
        return Entry::Free { dialect, route: Some(route) };
    }
    let limited_by = |of: &dyn Fn(&Limit) -> bool| {
        is_limited && policy.limits().iter().any(|limit| limit.operations.has(route.kind) && of(limit))
    };
    // What a pull brings is counted when it is there.
    let counts = |cost: Cost| route.kind != Kind::Pull && limited_by(&|limit| limit.cost == cost);
    let content_length = head.content_length();
    let counts_messages = counts(Cost::Messages);
    let reads_body = route.reads_body || counts_messages || (content_length.is_none() && counts(Cost::Bytes));
    let asks_client = limited_by(&|limit| limit.key.contains(&Key::Client));
    let client = if asks_client { limits::client(&mut property) } else { String::new() };
    let tenant = policy.tenant(head, property);
    let request_id = head.get("x-request-id").map(|id| String::from_utf8_lossy(id).into_owned());
    let is_grpc = head.is_grpc();
    Entry::Guarded(Guarded {
        dialect,
        route,
        tenant,
        request_id,
        client,
        reads_body,
        counts_messages,
        content_length,
        is_grpc,
    })
}

/// Which rules a consumer is held to, where a roll-out is at the stage of this index.
pub fn side(policy: &Policy, stage: Option<usize>, tenant: &Tenant, group: Option<&Group>) -> Side {
    match (&policy.rollout, stage) {
        (Some(rollout), Some(stage)) => rollout.side(stage, tenant, group),
        _ => Side::Current,
    }
}

/// The rules of a side.
pub fn rules(policy: &Policy, side: Side) -> &RuleSet {
    match (&policy.rollout, side) {
        (Some(rollout), Side::Candidate) => &rollout.candidate,
        _ => &policy.current,
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It goes on as it came.
    Pass,
    /// It goes on with this body.
    Edit(Vec<u8>),
    /// It is answered.
    Answer(Reply),
}

/// What one rule makes of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling<'p> {
    /// The rules that it is of.
    pub set: &'p RuleSet,
    /// The rule.
    pub rule: &'p Rule,
    /// What it finds.
    pub verdict: Verdict,
    /// What follows from it.
    pub effect: Effect,
    /// What the client is told: the value of the header `x-ackguard`.
    pub told: Option<String>,
}

/// A ruling that changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial<'p> {
    /// Why it is only tried.
    pub scope: Scope,
    /// What would be done.
    pub ruling: Ruling<'p>,
}

/// The judgement on one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement<'p> {
    /// The wire.
    pub dialect: Dialect,
    /// What kind of operation it is.
    pub kind: Kind,
    /// What was read.
    pub read: Result<Operation, Unreadable>,
    /// Which rules it is held to.
    pub side: Side,
    /// The ruling; none where it asks for nothing that is guarded.
    pub ruling: Option<Ruling<'p>>,
    /// What was tried beside it.
    pub trials: Vec<Trial<'p>>,
    /// How many messages or receipts are in it, where a limit counts them.
    pub messages: u64,
    /// How many bytes its body has, as far as that is known.
    pub bytes: u64,
    /// What the limits say; nothing until they are asked.
    pub limits: Limits,
    /// What the bounds of leases say; nothing until they are asked.
    pub in_flight: InFlight,
}

/// Judges a request by its body, or by why there is none to be read. `topic` is asked where the request names none: it is
/// the one that its consumer subscribed to.
pub fn judge<'p>(
    policy: &'p Policy,
    guarded: &Guarded,
    side: Side,
    body: Result<&[u8], Unreadable>,
    topic: impl FnOnce() -> Option<Topic>,
) -> Judgement<'p> {
    let Guarded { dialect, route, tenant, .. } = guarded;
    let bytes = *body.as_ref().unwrap_or(&&[][..]);
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX).max(guarded.content_length.unwrap_or(0));
    let reading = body.and_then(|body| {
        let reading = dialect.read(route, body)?;
        let messages = if guarded.counts_messages { dialect.messages(route, body)? } else { 1 };
        Ok((reading.operation, reading.layout, messages))
    });
    let (mut read, layout, messages) = match reading {
        Ok((operation, layout, messages)) => (Ok(operation), layout, messages),
        Err(fault) => (Err(fault), Layout::Unread, 1),
    };
    let mut judgement = Judgement {
        dialect: *dialect,
        kind: route.kind,
        read: read.clone(),
        side,
        ruling: None,
        trials: Vec::new(),
        messages,
        bytes: size,
        limits: Limits::default(),
        in_flight: InFlight::default(),
    };
    let sets_nothing = read.as_ref().is_ok_and(|operation| operation.settings == Settings::NONE);
    let is_free = sets_nothing && !(route.kind == Kind::Pull && policy.bounds_leases());
    if is_free && !policy.limited().has(route.kind) {
        return judgement;
    }
    let named = read.as_ref().map_or(route.topic.as_ref(), |operation| operation.topic.as_ref());
    let topic = named.cloned().or_else(|| if policy.asks_topic() { topic() } else { None });
    if let Ok(operation) = &mut read {
        operation.topic = topic.clone();
    }
    if is_free {
        // For the limits alone.
        judgement.read = read;
        return judgement;
    }
    let caller = Caller { tenant, topic: topic.as_ref(), group: route.group.as_ref(), dialect: *dialect };
    let request = Request { guarded, read: &read, body: bytes, layout: &layout };
    let set = rules(policy, side);
    let found = set.rules.lookup(&caller);
    // A pull that sets nothing is judged by the rules alone that bound what it brings.
    let judges = |rule: &&Rule| !sets_nothing || rule.guard.max_in_flight.is_some();
    judgement.ruling = Some(found.rule).filter(judges).map(|rule| request.ruling(set, rule));
    if let Some(tried) = found.tried.filter(judges) {
        judgement.trials.push(Trial { scope: Scope::Rule, ruling: request.ruling(set, tried) });
    }
    if let (Some(rollout), Side::Tried) = (&policy.rollout, side) {
        let rule = Some(rollout.candidate.rules.lookup(&caller).rule).filter(judges);
        judgement
            .trials
            .extend(rule.map(|rule| Trial { scope: Scope::Rollout, ruling: request.ruling(&rollout.candidate, rule) }));
    }
    judgement.read = read;
    judgement
}

/// A request as the rules see it, one after the other.
struct Request<'r> {
    guarded: &'r Guarded,
    read: &'r Result<Operation, Unreadable>,
    body: &'r [u8],
    layout: &'r Layout,
}

impl Request<'_> {
    fn ruling<'p>(&self, set: &'p RuleSet, rule: &'p Rule) -> Ruling<'p> {
        let mut verdict = match self.read {
            Ok(operation) => decide(&set.version, rule, operation),
            Err(fault) => decide_unreadable(rule, fault.clone()),
        };
        let dialect = self.guarded.dialect;
        let mut edited = None;
        if let Outcome::Edit(changes) = &verdict.outcome {
            edited = dialect.write(self.body, self.layout, changes);
            if edited.is_none() {
                // The layout is that of this body; without a way to edit it, it is as good as unread.
                verdict = decide_unreadable(rule, Unreadable::out_of_reach("edited"));
            }
        }
        let told = announce(&verdict.outcome, dialect, (self.body, self.layout), (&rule.name, &set.version));
        let effect = match (&verdict.outcome, edited) {
            (Outcome::Reject(refusal), _) => Effect::Answer(answer(self.guarded, refusal, told.as_deref())),
            (_, Some(edited)) => Effect::Edit(edited),
            (_, None) => Effect::Pass,
        };
        Ruling { set, rule, verdict, effect, told }
    }
}

impl Judgement<'_> {
    /// What is done to the request: what the limits or the ruling say, unless the document or the whole set of rules only
    /// watches.
    pub fn effect(&self) -> &Effect {
        if let Some(refused) = self.limits.refused.as_ref().filter(|refused| refused.mode == Mode::Enforce) {
            return &refused.effect;
        }
        match &self.ruling {
            Some(ruling) if ruling.set.mode == Mode::Enforce => &ruling.effect,
            _ => &Effect::Pass,
        }
    }

    /// Whether the request is refused, or would be where the document or the whole set of rules only watches.
    pub fn is_refused(&self) -> bool {
        matches!(self.decision(), Decision::Reject | Decision::WouldReject)
    }

    /// What becomes of the request.
    pub fn decision(&self) -> Decision {
        match (&self.limits.refused, &self.ruling) {
            (Some(Refused { mode: Mode::Enforce, .. }), _) => Decision::Reject,
            (Some(Refused { mode: Mode::Shadow, .. }), _) => Decision::WouldReject,
            (None, Some(ruling)) => Decision::of(&ruling.verdict.outcome, ruling.set.mode),
            (None, None) => Decision::Pass,
        }
    }

    /// What is counted.
    pub fn counters(&self) -> Vec<Counter> {
        let (dialect, kind) = (self.dialect, self.kind);
        let mut counters = Vec::new();
        if let Err(fault) = &self.read {
            counters.push(Counter::Undecidable { dialect, reason: fault.reason });
        }
        let decision = self.decision();
        counters.push(Counter::Requests { dialect, operation: Some(kind), decision });
        if self.side == Side::Candidate && self.ruling.is_some() {
            counters.push(Counter::CandidateRequests { dialect, operation: kind, decision });
        }
        if let Some(ruling) = &self.ruling {
            let violation =
                |finding: &_| Counter::Violations { dialect, finding: *finding, rule: ruling.rule.name.clone() };
            counters.extend(ruling.verdict.findings.iter().map(violation));
        }
        for Trial { scope, ruling } in &self.trials {
            let (scope, decision) = (*scope, Decision::of(&ruling.verdict.outcome, Mode::Shadow));
            counters.push(Counter::ShadowRequests { scope, dialect, operation: kind, decision });
            let violation = |finding: &_| {
                let rule = ruling.rule.name.clone();
                Counter::ShadowViolations { scope, dialect, finding: *finding, rule }
            };
            counters.extend(ruling.verdict.findings.iter().map(violation));
        }
        counters.extend(self.limit_counters());
        counters.extend(self.in_flight_counters());
        counters
    }

    /// Whether it has a setting against the policy.
    pub fn violates(&self) -> bool {
        self.ruling.as_ref().is_some_and(|ruling| !ruling.verdict.findings.is_empty())
    }

    /// What access logs and spans are told of the request.
    pub fn details(&self, policy: &Policy, guarded: &Guarded) -> Details {
        let Guarded { dialect, route, tenant, .. } = guarded;
        let read = self.read.as_ref().ok().and_then(|operation| operation.topic.as_ref());
        let topic = read.or(route.topic.as_ref()).map(|topic| topic.0.as_str());
        let (rule, set) = match &self.ruling {
            Some(ruling) => (Some(&*ruling.rule.name), ruling.set),
            None => (None, rules(policy, self.side)),
        };
        Details::of(*dialect, Some(self.kind), self.decision())
            .with("tenant", Some(&tenant.0))
            .with("group", route.group.as_ref().map(|group| group.0.as_str()))
            .with("topic", topic)
            .with("rule", rule)
            .with("policy", Some(&set.version))
    }

    /// What is logged: each thing that would have been done and was not.
    pub fn log(&self) -> Vec<String> {
        let line = |scope: Option<Scope>, ruling: &Ruling<'_>| {
            let told = ruling.told.as_ref()?;
            let scope = scope.map(|scope| format!(" {}", scope.name())).unwrap_or_default();
            Some(format!("ackguard: shadow{scope}: {}: {told}", self.kind.name()))
        };
        let watched = self.ruling.iter().filter(|ruling| ruling.set.mode == Mode::Shadow);
        let trials = self.trials.iter().filter_map(|trial| line(Some(trial.scope), &trial.ruling));
        let rulings = watched.filter_map(|ruling| line(None, ruling));
        rulings.chain(trials).chain(self.limit_log()).collect()
    }
}
