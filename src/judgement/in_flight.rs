//! The bound of a group's leases as part of a judgement: it is asked last, so that nothing is set aside for a pull that
//! a rule or a limit refuses.
//!
//! The rule that decides sets messages aside. What is only tried, or watched by its document, is held against what the
//! group holds at that time: it sets nothing aside, and so lets two pulls at once see the same room.

use crate::dialect::Dialect;
use crate::lease::{self, Ask, Grant, Holder, Reservation};
use crate::operation::{Demand, Field, Millis};
use crate::policy::limit::IN_FLIGHT;
use crate::policy::rollout::Side;
use crate::policy::verdict::{Action, Change, Finding, NewValue, Outcome, Refusal, Throttle, Violation};
use crate::policy::{Caller, Mode, Policy};
use crate::shared_memory::SharedMemory;
use crate::telemetry::{Counter, announce};

use super::{Effect, Guarded, Judgement, Ruling, answer, rules};

/// The leases that the answer to a pull will bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// Whose they will be.
    pub holder: Holder,
    /// What is set aside for them, and how many messages that are; none where the bound is only watched.
    pub reservation: Option<(Reservation, u32)>,
}

/// What the bounds of leases say of a pull.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InFlight {
    /// The leases to come, where they are counted.
    pub awaited: Option<Awaited>,
    /// Whether they should have been and are not.
    untracked: bool,
}

/// Whether the leases of a caller's group are counted: a rule bounds them that decides for it, or would.
pub fn counts_leases(policy: &Policy, side: Side, caller: &Caller<'_>) -> bool {
    let found = rules(policy, side).rules.lookup(caller);
    let candidate = match (&policy.rollout, side) {
        (Some(rollout), Side::Tried) => Some(rollout.candidate.rules.lookup(caller).rule),
        _ => None,
    };
    let mut rules = [Some(found.rule), found.tried, candidate].into_iter().flatten();
    rules.any(|rule| rule.guard.max_in_flight.is_some())
}

impl Judgement<'_> {
    /// Holds a pull to what its group may have in flight, unless it is refused already. `body` is the one that was
    /// judged; `now`, in Unix milliseconds, is asked for where there is a bound.
    pub fn ask_in_flight(
        &mut self,
        guarded: &Guarded,
        body: &[u8],
        memory: &impl SharedMemory,
        now: impl FnOnce() -> u64,
    ) {
        if matches!(self.effect(), Effect::Answer(_)) {
            return;
        }
        let demand = self.read.as_ref().ok().and_then(|operation| operation.demand.as_ref());
        let Some(Demand { messages: Ok(messages @ 1..), wait }) = demand else { return };
        let Some(group) = &guarded.route.group else { return };
        let mut rulings = self.ruling.iter().chain(self.trials.iter().map(|trial| &trial.ruling));
        if rulings.all(|ruling| ruling.rule.guard.max_in_flight.is_none()) {
            return;
        }
        let (asked, wait, now) = (*messages, *wait, now());
        let holder = Holder::new(self.dialect, group);
        let pull = Pull { guarded, body, asked, wait };

        let trials = self.trials.iter_mut().map(|trial| &mut trial.ruling);
        let watched = self.ruling.iter_mut().filter(|ruling| ruling.set.mode == Mode::Shadow).chain(trials);
        let mut held = None;
        for ruling in watched {
            let Some(bound) = ruling.rule.guard.max_in_flight else { continue };
            let held = *held.get_or_insert_with(|| lease::held(memory, &holder, now));
            pull.hold(ruling, bound.saturating_sub(held), lease::MAX_RETRY);
        }

        let mut reservation = None;
        if let Some(ruling) = self.ruling.as_mut().filter(|ruling| ruling.set.mode == Mode::Enforce)
            && let Some(bound) = ruling.rule.guard.max_in_flight
        {
            match lease::reserve(memory, &holder, pull.ask(bound), now) {
                Grant::Granted { messages, reservation: granted } => {
                    reservation = Some((granted, messages));
                    pull.hold(ruling, messages, lease::MAX_RETRY);
                }
                Grant::Full { retry_after } => {
                    pull.hold(ruling, 0, retry_after);
                    return;
                }
                Grant::Untracked => {
                    self.in_flight.untracked = true;
                    return;
                }
            }
        }
        self.in_flight.awaited = Some(Awaited { holder, reservation });
    }

    /// What the bounds of leases count.
    pub(super) fn in_flight_counters(&self) -> Vec<Counter> {
        let rulings = self.ruling.iter().map(|ruling| (ruling.set.mode, ruling));
        let trials = self.trials.iter().map(|trial| (Mode::Shadow, &trial.ruling));
        let throttled = rulings.chain(trials).filter_map(|(mode, ruling)| match &ruling.verdict.outcome {
            Outcome::Reject(Refusal::Throttled { limit, .. }) => Some(Counter::Limited { limit: limit.clone(), mode }),
            _ => None,
        });
        let bound = self.ruling.as_ref().and_then(|ruling| ruling.rule.guard.max_in_flight);
        let demand = self.read.as_ref().ok().and_then(|operation| operation.demand.as_ref());
        let undecidable = match (bound, demand) {
            (Some(_), Some(Demand { messages: Err(fault), .. })) => {
                Some(Counter::Undecidable { dialect: self.dialect, reason: fault.reason })
            }
            _ => None,
        };
        let untracked = self.in_flight.untracked.then_some(Counter::LeaseEvictions);
        throttled.chain(undecidable).chain(untracked).collect()
    }
}

/// A pull, as the rules see it one after the other.
struct Pull<'r> {
    guarded: &'r Guarded,
    body: &'r [u8],
    asked: u32,
    wait: Millis,
}

impl Pull<'_> {
    fn ask(&self, bound: u32) -> Ask {
        Ask { messages: self.asked, least: self.least(), bound, wait: self.wait }
    }

    /// The fewest messages that it can be cut to: there is no place for a number in a body that is not there.
    fn least(&self) -> u32 {
        if self.body.is_empty() { self.asked } else { 1 }
    }

    /// Makes a ruling say that there is room for `left` messages.
    fn hold(&self, ruling: &mut Ruling<'_>, left: u32, retry_after: Millis) {
        if left >= self.asked || matches!(ruling.verdict.outcome, Outcome::Reject(_)) {
            return;
        }
        if left < self.least() || self.cut(ruling, left).is_none() {
            self.throttle(ruling, retry_after);
        }
    }

    /// Lets it ask for fewer messages; none where its body cannot be edited.
    fn cut(&self, ruling: &mut Ruling<'_>, left: u32) -> Option<()> {
        let dialect: Dialect = self.guarded.dialect;
        let layout = dialect.read(&self.guarded.route, self.body).ok()?.layout;
        let action = match layout.value(Field::MaxInFlight) {
            Some(_) => Action::Clamp,
            None => Action::Default,
        };
        let mut changes = match &ruling.verdict.outcome {
            Outcome::Edit(changes) => changes.clone(),
            _ => Vec::new(),
        };
        changes.push(Change { field: Field::MaxInFlight, action, to: NewValue::Count(i64::from(left)) });
        ruling.effect = Effect::Edit(dialect.write(self.body, &layout, &changes)?);
        ruling.verdict.findings.push(finding(action));
        ruling.verdict.outcome = Outcome::Edit(changes);
        let names = (&*ruling.rule.name, ruling.set.version.as_str());
        ruling.told = announce(&ruling.verdict.outcome, dialect, (self.body, &layout), names);
        Some(())
    }

    /// Refuses it for now.
    fn throttle(&self, ruling: &mut Ruling<'_>, retry_after: Millis) {
        let refusal = Refusal::Throttled {
            limit: IN_FLIGHT.into(),
            quota: None,
            throttle: Throttle::Wait { wait: retry_after, left: 0 },
            policy: ruling.set.version.clone(),
        };
        ruling.verdict.findings.push(finding(Action::Reject));
        ruling.verdict.outcome = Outcome::Reject(refusal.clone());
        let names = (&*ruling.rule.name, ruling.set.version.as_str());
        let unread = (&[][..], &crate::dialect::Layout::Unread);
        ruling.told = announce(&ruling.verdict.outcome, self.guarded.dialect, unread, names);
        ruling.effect = Effect::Answer(answer(self.guarded, &refusal, ruling.told.as_deref()));
    }
}

fn finding(action: Action) -> Finding {
    Finding { field: Field::MaxInFlight, violation: Violation::Long, action }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::RequestHead;
    use crate::judgement::{Entry, enter, judge, side};
    use crate::operation::Topic;
    use crate::shared_memory::memory::Memory;
    use crate::telemetry::Decision;

    const NOW: u64 = 1_800_000_000_000;

    fn policy(members: &str) -> Policy {
        let document = format!(
            r#"{{"apiVersion": "ackguard/v1", "version": "t1", "tenant": [{{"header": "app"}}],
                 "traffic": [{{"match": {{"path": "/tmq/*"}}, "dialect": "tmq"}}], {members}}}"#
        );
        Policy::parse(document.as_bytes()).unwrap()
    }

    fn guarded(policy: &Policy) -> Guarded {
        let headers = [(":method", "POST"), (":path", "/tmq/v1/groups/g/consumers/c1:pull"), ("app", "app-1")];
        let head = RequestHead::new(headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into());
        match enter(policy, &head, |_| None) {
            Entry::Guarded(guarded) => guarded,
            other => panic!("{other:?}"),
        }
    }

    fn asked<'p>(policy: &'p Policy, memory: &Memory, stage: Option<usize>, body: &str) -> Judgement<'p> {
        let guarded = guarded(policy);
        let side = side(policy, stage, &guarded.tenant, guarded.route.group.as_ref());
        let topic = || Some(Topic("orders".to_owned()));
        let mut judgement = judge(policy, &guarded, side, Ok(body.as_bytes()), topic);
        judgement.ask_in_flight(&guarded, body.as_bytes(), memory, || NOW);
        judgement
    }

    fn sent(judgement: &Judgement<'_>) -> String {
        match judgement.effect() {
            Effect::Pass => "as it came".to_owned(),
            Effect::Edit(body) => String::from_utf8(body.clone()).unwrap(),
            Effect::Answer(reply) => format!("{} {}", reply.status, reply.body),
        }
    }

    #[test]
    fn the_rule_that_decides_sets_aside_and_what_is_only_tried_does_not() {
        let policy = policy(
            r#""defaults": {"max_in_flight": 8},
               "rules": [{"name": "tried", "match": {"group": "g"}, "mode": "shadow", "max_in_flight": 2}]"#,
        );
        let memory = Memory::default();
        let body = r#"{"maxMessages":6,"ackTimeout":1}"#;
        let first = asked(&policy, &memory, None, body);
        assert_eq!(sent(&first), r#"{"maxMessages":6,"ackTimeout":5000}"#);
        assert_eq!(first.trials[0].ruling.told.as_deref().map(|told| told.contains("from=6; to=2")), Some(true));
        let Some(Awaited { reservation: Some((_, 6)), .. }) = first.in_flight.awaited else { panic!("{first:?}") };
        let second = asked(&policy, &memory, None, body);
        assert_eq!(sent(&second), r#"{"maxMessages":2,"ackTimeout":5000}"#);
        let limited = |mode| Counter::Limited { limit: IN_FLIGHT.into(), mode };
        assert!(second.counters().contains(&limited(Mode::Shadow)), "{:?}", second.counters());
        let third = asked(&policy, &memory, None, body);
        assert!(sent(&third).starts_with("429 "), "{}", sent(&third));
        assert_eq!((third.decision(), third.in_flight.awaited.clone()), (Decision::Reject, None));
        assert!(third.counters().contains(&limited(Mode::Enforce)));
    }

    #[test]
    fn nothing_is_set_aside_for_a_pull_that_is_refused_or_asks_for_nothing() {
        let policy = policy(r#""defaults": {"max_in_flight": 8, "ack_timeout": {"short": "reject"}}"#);
        let memory = Memory::default();
        let refused = asked(&policy, &memory, None, r#"{"maxMessages":6,"ackTimeout":1}"#);
        assert!(sent(&refused).starts_with("400 "));
        for body in [r#"{"maxMessages":0}"#, r#"{"maxMessages":-1}"#] {
            assert_eq!(sent(&asked(&policy, &memory, None, body)), "as it came", "{body}");
        }
        assert!(memory.values.borrow().is_empty());
    }

    #[test]
    fn who_asks_for_no_number_gets_one_where_the_brokers_own_is_too_many() {
        let policy = policy(r#""defaults": {"max_in_flight": 20}"#);
        let memory = Memory::default();
        assert_eq!(sent(&asked(&policy, &memory, None, "{}")), "as it came");
        assert_eq!(sent(&asked(&policy, &memory, None, "")).get(..3), Some("429"), "there is nothing to edit");
        assert_eq!(sent(&asked(&policy, &memory, None, "{}")), r#"{"maxMessages":4}"#);
    }

    #[test]
    fn leases_are_counted_where_a_rule_that_decides_or_would_bounds_them() {
        let rules = |rule: &str| policy(&format!(r#""rules": [{{"name": "r", "match": {{"group": "g"}}, {rule}}}]"#));
        let candidate = r#""rollout": {"candidate": {"version": "t2", "defaults": {"max_in_flight": 5}},
            "stages": [{"percent": 100, "mode": "shadow"}]}"#;
        for (policy, group, counted) in [
            (policy(r#""defaults": {"max_in_flight": 5}"#), "g", true),
            (rules(r#""max_in_flight": 5"#), "g", true),
            (rules(r#""max_in_flight": 5"#), "h", false),
            (rules(r#""mode": "shadow", "max_in_flight": 5"#), "g", true),
            (rules(r#""auto_ack": "allow""#), "g", false),
            (policy(candidate), "g", true),
        ] {
            let (tenant, group) = (crate::operation::Tenant("a".to_owned()), crate::operation::Group(group.to_owned()));
            let caller = Caller { tenant: &tenant, topic: None, group: Some(&group), dialect: Dialect::Tmq };
            let side = side(&policy, policy.rollout.as_ref().map(|_| 0), &tenant, Some(&group));
            assert_eq!(counts_leases(&policy, side, &caller), counted, "{policy:?} {group:?}");
        }
    }
}
