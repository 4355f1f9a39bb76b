//! The fleet-wide limits' part in a judgement. A service far away counts for them, so the request waits for its answer.

use std::rc::Rc;

use crate::limit::fleet::{Answer, Call, Demand, Over};
use crate::operation::Millis;
use crate::policy::limit::{Limit, Reach};
use crate::policy::verdict::{Quota, Refusal, Throttle};
use crate::policy::{Mode, Policy};

use super::limits::{Tried, told};
use super::{Effect, Guarded, Judgement};

/// How long a client is to wait where the service does not tell, or gives no answer.
const WAIT: Millis = Millis(1_000);

impl Judgement<'_> {
    /// The question for all limits of `policy` that a fleet shares, to be asked when the local ones have agreed. None
    /// where no such limit is for this request, or where it is refused without.
    pub fn fleet_call<'l>(&'l self, policy: &'l Policy, guarded: &'l Guarded) -> Option<Call> {
        let is_answered = self.ruling.as_ref().is_some_and(|ruling| matches!(ruling.effect, Effect::Answer(_)));
        if is_answered || self.limits.refused.is_some() || !policy.limited().has(self.kind) {
            return None;
        }
        let facts = self.facts(guarded);
        let demand = |limit: &'l Rc<Limit>| match &limit.reach {
            Reach::Fleet(service) if limit.operations.has(self.kind) => Some(Demand {
                limit,
                service,
                values: limit.key.iter().map(|key| facts.value(*key)).collect(),
                cost: facts.cost(limit.cost),
            }),
            _ => None,
        };
        Call::new(&policy.limits().iter().filter_map(demand).collect::<Vec<_>>())
    }

    /// Takes the service's answer to `call`, or what follows where it gives none.
    pub fn take_fleet_answer(&mut self, policy: &Policy, guarded: &Guarded, call: &Call, answer: &Answer) {
        if let Some(over) = answer.refusal() {
            let refusal = self.over(policy, guarded, over);
            self.limits.refused = Some(self.refused(guarded, policy.current.mode, refusal));
        }
        for limit in call.limits(Mode::Shadow) {
            let over = answer.over.iter().find(|over| over.limit.name == limit.name);
            let refused = over.map(|over| told(self, &self.over(policy, guarded, over)));
            self.limits.tried.push(Tried { limit: limit.clone(), refused });
        }
    }

    fn over(&self, policy: &Policy, guarded: &Guarded, over: &Over) -> Refusal {
        let limit = &over.limit;
        let cost = self.facts(guarded).cost(limit.cost);
        let throttle = match over.most {
            // It would never pass, however long the client waited.
            Some(burst) if cost > burst => Throttle::TooCostly { cost, burst },
            _ => Throttle::Wait { wait: over.wait.unwrap_or(WAIT), left: over.remaining },
        };
        let quota = over.rate.map(|rate| Quota { rate, unit: limit.cost });
        Refusal::Throttled { limit: limit.name.clone(), quota, throttle, policy: policy.current.version.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::RequestHead;
    use crate::judgement::{Entry, enter, judge};
    use crate::limit::Limiter;
    use crate::policy::rollout::Side;
    use crate::shared_memory::memory::Memory;
    use crate::telemetry::{Counter, Decision};

    const NOW: u64 = 1_800_000_000_000_000_000;
    const BODY: &[u8] = br#"{"messages":[{"body":"a"},{"body":"b"},{"body":"c"}]}"#;

    fn policy(mode: &str) -> Policy {
        without_answer(mode, "allow")
    }

    /// A policy in a mode, whose enforced limit does this without an answer.
    fn without_answer(mode: &str, on_error: &str) -> Policy {
        let document = format!(
            r#"{{"apiVersion": "ackguard/v1", "version": "t1", "mode": "{mode}", "tenant": [{{"header": "app"}}],
                 "traffic": [{{"match": {{"path": "/tmq/*"}}, "dialect": "tmq"}}],
                 "limits": [
                   {{"name": "here", "operations": ["publish"], "rate": "1/h", "burst": 1}},
                   {{"name": "tried-here", "operations": ["publish"], "rate": "1/h", "burst": 1, "over": "shadow"}},
                   {{"name": "tried", "operations": ["publish"], "over": "shadow",
                     "global": {{"cluster": "c", "domain": "d", "on_error": "reject"}}}},
                   {{"name": "held", "operations": ["publish"], "key": ["topic", "tenant"], "cost": "messages",
                     "global": {{"cluster": "c", "domain": "d", "on_error": "{on_error}"}}}}]}}"#
        );
        Policy::parse(document.as_bytes()).unwrap()
    }

    fn guarded(policy: &Policy, path: &str) -> Guarded {
        let headers = [(":method", "POST"), (":path", path), ("app", "app-1")];
        let head = RequestHead::new(headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into());
        match enter(policy, &head, |_| None) {
            Entry::Guarded(guarded) => guarded,
            other => panic!("{path}: {other:?}"),
        }
    }

    fn publish(policy: &Policy) -> Guarded {
        guarded(policy, "/tmq/v1/topics/orders/messages")
    }

    fn judged<'p>(policy: &'p Policy, guarded: &Guarded) -> Judgement<'p> {
        judge(policy, guarded, Side::Current, Ok(BODY), || None)
    }

    fn asked<'p>(policy: &'p Policy, guarded: &Guarded, limiter: &mut Limiter, memory: &Memory) -> Judgement<'p> {
        let mut judgement = judged(policy, guarded);
        judgement.ask_limits(policy, guarded, limiter, memory, || NOW);
        judgement
    }

    fn over(policy: &Policy, limit: &str, most: Option<u64>) -> Over {
        let limit = policy.limits().iter().find(|held| &*held.name == limit).expect("a limit").clone();
        Over { limit, wait: Some(Millis(2_500)), remaining: 2, most, rate: None }
    }

    fn answer(over: Vec<Over>) -> Answer {
        Answer { over, headers: Vec::new() }
    }

    #[test]
    fn one_call_asks_for_all_limits_when_the_local_ones_agree() {
        let policy = policy("enforce");
        let (guarded, mut limiter, memory) = (publish(&policy), Limiter::default(), Memory::default());
        let call = asked(&policy, &guarded, &mut limiter, &memory).fleet_call(&policy, &guarded).expect("a call");
        let names = [Mode::Enforce, Mode::Shadow]
            .map(|mode| call.limits(mode).map(|limit| limit.name.to_string()).collect::<Vec<_>>());
        assert_eq!(names, [["held"], ["tried"]]);
        let text = String::from_utf8_lossy(&call.message);
        let order = ["tried", "held", "topic", "orders", "tenant", "app-1"].map(|part| text.find(part).expect(part));
        assert!(order.is_sorted(), "{text:?}");
        let refused = asked(&policy, &guarded, &mut limiter, &memory);
        assert_eq!((refused.decision(), refused.fleet_call(&policy, &guarded)), (Decision::Reject, None));
    }

    #[test]
    fn a_refusal_gives_the_local_limits_their_tokens_back() {
        let policy = policy("enforce");
        let (guarded, mut limiter, memory) = (publish(&policy), Limiter::default(), Memory::default());
        for _ in 0..3 {
            let mut judgement = asked(&policy, &guarded, &mut limiter, &memory);
            let call = judgement.fleet_call(&policy, &guarded).expect("there is a token");
            judgement.take_fleet_answer(&policy, &guarded, &call, &answer(vec![over(&policy, "held", None)]));
            let Effect::Answer(reply) = judgement.effect() else { panic!("{judgement:?}") };
            assert_eq!((reply.status, reply.body.contains(r#""retryAfterMs":2500"#)), (429, true), "{reply:?}");
            judgement.limits.refund(&mut limiter, &memory, || NOW);
        }
    }

    #[test]
    fn who_asks_for_more_than_the_limit_ever_lets_through_is_not_told_to_wait() {
        let policy = policy("enforce");
        let guarded = publish(&policy);
        for (most, status) in [(2, 413), (3, 429)] {
            let mut judgement = judged(&policy, &guarded);
            let call = judgement.fleet_call(&policy, &guarded).expect("a call");
            let over = answer(vec![over(&policy, "held", Some(most))]);
            judgement.take_fleet_answer(&policy, &guarded, &call, &over);
            let Effect::Answer(reply) = judgement.effect() else { panic!("{judgement:?}") };
            assert_eq!(reply.status, status, "3 messages, {most} at most");
        }
    }

    #[test]
    fn a_limit_in_shadow_is_counted_and_refuses_nothing() {
        let policy = policy("enforce");
        let guarded = publish(&policy);
        let limited = Counter::Limited { limit: "tried".into(), mode: Mode::Shadow };
        for (told, counted) in [(vec![over(&policy, "tried", None)], true), (Vec::new(), false)] {
            let mut judgement = judged(&policy, &guarded);
            let call = judgement.fleet_call(&policy, &guarded).expect("a call");
            judgement.take_fleet_answer(&policy, &guarded, &call, &answer(told));
            assert_eq!((judgement.decision(), judgement.effect()), (Decision::Pass, &Effect::Pass));
            assert_eq!(judgement.counters().contains(&limited), counted);
            assert_eq!(judgement.log().len(), usize::from(counted));
        }
    }

    #[test]
    fn a_document_in_shadow_counts_what_would_be_refused() {
        let decisions = ["enforce", "shadow"].map(|mode| {
            let policy = without_answer(mode, "reject");
            let guarded = publish(&policy);
            let (mut answered, mut unanswered) = (judged(&policy, &guarded), judged(&policy, &guarded));
            let call = answered.fleet_call(&policy, &guarded).expect("asked in shadow too");
            answered.take_fleet_answer(&policy, &guarded, &call, &answer(vec![over(&policy, "held", None)]));
            unanswered.take_fleet_answer(&policy, &guarded, &call, &call.without_answer());
            let passes = |judgement: &Judgement<'_>| *judgement.effect() == Effect::Pass;
            [answered, unanswered].map(|judgement| (judgement.decision(), passes(&judgement)))
        });
        assert_eq!(decisions, [[(Decision::Reject, false); 2], [(Decision::WouldReject, true); 2]]);
    }

    #[test]
    fn a_limit_in_shadow_counts_what_enforcing_it_would_refuse_where_there_is_no_answer() {
        let policy = policy("enforce");
        let guarded = publish(&policy);
        let mut judgement = judged(&policy, &guarded);
        let call = judgement.fleet_call(&policy, &guarded).expect("a call");
        judgement.take_fleet_answer(&policy, &guarded, &call, &call.without_answer());
        assert_eq!(judgement.effect(), &Effect::Pass, "the one that is enforced allows");
        let limited = Counter::Limited { limit: "tried".into(), mode: Mode::Shadow };
        assert!(judgement.counters().contains(&limited), "{:?}", judgement.counters());
    }
}
