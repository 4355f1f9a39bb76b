//! The fleet-wide limits' part in a judgement. A service far away counts for them, so the request waits for its answer:
//! what the local limits have said meanwhile is [`Kept`].

use crate::limit::bill::Charge;
use crate::limit::fleet::{Answer, Call, Demand, Over};
use crate::limit::{Paid, Terms, Trouble};
use crate::operation::Millis;
use crate::policy::Policy;
use crate::policy::limit::{Limit, Reach};
use crate::policy::verdict::{Quota, Refusal, Throttle};

use super::limits::{Limits, Tried, told};
use super::{Effect, Guarded, Judgement};

/// How long a client is to wait where the service does not tell, or gives no answer.
const WAIT: Millis = Millis(1_000);

/// What the local limits have said of a request that waits, without the policy's own limits in it. It belongs to the
/// policy that it was made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    charges: Vec<KeptCharge>,
    paid: Vec<Paid>,
    tried: Vec<(usize, Option<String>)>,
    trouble: Trouble,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KeptCharge {
    /// The index of the limit in the policy.
    limit: usize,
    terms: Terms,
    key: Vec<u8>,
    cost: u64,
}

impl<'p> Judgement<'p> {
    /// The question for all limits of `policy` that a fleet shares, to be asked when the local ones have agreed. None
    /// where no such limit is for this request, or where it is refused without.
    pub fn fleet_call<'l>(&'l self, policy: &'l Policy, guarded: &'l Guarded) -> Option<Call> {
        let is_answered = self.ruling.as_ref().is_some_and(|ruling| matches!(ruling.effect, Effect::Answer(_)));
        if is_answered || self.limits.refused.is_some() || !policy.limited().has(self.kind) {
            return None;
        }
        let facts = self.facts(guarded);
        let demand = |limit: &'l Limit| match &limit.reach {
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

    /// Takes out what the limits have said so far.
    pub fn keep_limits(&mut self, policy: &Policy) -> Kept {
        let Limits { tried, charges, paid, trouble, .. } = std::mem::take(&mut self.limits);
        let index = |limit: &Limit| policy.limits().iter().position(|other| other.name == limit.name);
        let charge = |charge: Charge<'_>| {
            Some(KeptCharge { limit: index(charge.limit)?, terms: charge.terms, key: charge.key, cost: charge.cost })
        };
        Kept {
            charges: charges.into_iter().filter_map(charge).collect(),
            paid,
            tried: tried.into_iter().filter_map(|tried| Some((index(tried.limit)?, tried.refused))).collect(),
            trouble,
        }
    }

    /// Puts back what [`Judgement::keep_limits`] took out.
    pub fn restore_limits(&mut self, policy: &'p Policy, kept: Kept) {
        let limit = |index: usize| policy.limits().get(index);
        let charge = |kept: KeptCharge| {
            Some(Charge { limit: limit(kept.limit)?, terms: kept.terms, key: kept.key, cost: kept.cost })
        };
        self.limits = Limits {
            refused: None,
            tried: kept
                .tried
                .into_iter()
                .filter_map(|(index, refused)| Some(Tried { limit: limit(index)?, refused }))
                .collect(),
            charges: kept.charges.into_iter().filter_map(charge).collect(),
            paid: kept.paid,
            trouble: kept.trouble,
        };
    }

    /// Takes the service's answer to `call`.
    pub fn take_fleet_answer(&mut self, policy: &'p Policy, guarded: &Guarded, call: &Call, answer: &Answer) {
        if let Some(over) = answer.refusal()
            && let Some(limit) = named(policy, &over.limit)
        {
            let refusal = self.over(policy, guarded, limit, over);
            self.limits.refused = Some(self.refused(guarded, policy.current.mode, refusal));
        }
        for limit in call.shadowed().filter_map(|name| named(policy, name)) {
            let over = answer.over.iter().find(|over| over.limit == limit.name);
            let refused = over.map(|over| told(self, &self.over(policy, guarded, limit, over)));
            self.limits.tried.push(Tried { limit, refused });
        }
    }

    /// Refuses the request, because the service gave no answer to `call` and the limits say that nothing goes on without.
    pub fn refuse_without_answer(&mut self, policy: &Policy, guarded: &Guarded, call: &Call) {
        let Some(limit) = call.enforced().next() else { return };
        let refusal = Refusal::Throttled {
            limit: limit.clone(),
            quota: None,
            throttle: Throttle::Wait { wait: WAIT, left: 0 },
            policy: policy.current.version.clone(),
        };
        self.limits.refused = Some(self.refused(guarded, policy.current.mode, refusal));
    }

    fn over(&self, policy: &Policy, guarded: &Guarded, limit: &Limit, over: &Over) -> Refusal {
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

fn named<'p>(policy: &'p Policy, name: &str) -> Option<&'p Limit> {
    policy.limits().iter().find(|limit| &*limit.name == name)
}
