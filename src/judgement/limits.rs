//! The limits' part in a judgement: they are asked last, so that nothing is charged for what a rule refuses.
//!
//! The limits that are enforced are asked as one: all agree, or none is charged. Each that is in shadow is asked by
//! itself, of what the others let through. Where the whole document only watches, the same is done, and what would have
//! been refused goes on.

use std::net::Ipv6Addr;
use std::rc::Rc;

use crate::http::Reply;
use crate::limit::bill::{Charge, Facts};
use crate::limit::{Limiter, Paid, Payment};
use crate::operation::{Kind, Topic};
use crate::policy::limit::{Cost, Limit, Reach};
use crate::policy::verdict::{Outcome, Quota, Refusal, Throttle};
use crate::policy::{Mode, Policy};
use crate::shared_memory::SharedMemory;
use crate::telemetry::{Counter, Scope, announce};

use super::{Decision, Effect, Guarded, Judgement, answer};

/// What the limits say of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// The limit that refuses it.
    pub refused: Option<Refused>,
    /// The limits in shadow that were asked.
    pub tried: Vec<Tried>,
    /// What was charged.
    pub charges: Vec<Charge>,
    /// How each of `charges` was paid.
    paid: Vec<Paid>,
}

/// The limit that refuses a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Whether it is refused, or would be: that of the document.
    pub mode: Mode,
    /// Why.
    pub refusal: Refusal,
    /// What the client is told: the value of the header `x-ackguard`.
    pub told: String,
    /// The answer to it.
    pub effect: Effect,
}

/// A limit in shadow that was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The limit.
    pub limit: Rc<Limit>,
    /// What would have been told to the client, had it refused.
    pub refused: Option<String>,
}

impl Limits {
    /// Puts back what was paid for a request that goes on no further. `now` is in Unix nanoseconds.
    pub fn refund(&mut self, limiter: &mut Limiter, memory: &impl SharedMemory, now: impl FnOnce() -> u64) {
        if self.charges.is_empty() {
            return;
        }
        limiter.refund(memory, &self.charges, &self.paid, now());
        self.charges.clear();
        self.paid.clear();
    }
}

impl Judgement<'_> {
    /// What of the request decides which buckets it is charged to, and how much.
    pub fn facts<'f>(&'f self, guarded: &'f Guarded) -> Facts<'f> {
        let read = self.read.as_ref().ok().and_then(|operation| operation.topic.as_ref());
        let topic: Option<&Topic> = read.or(guarded.route.topic.as_ref());
        Facts {
            kind: self.kind,
            tenant: &guarded.tenant,
            topic,
            group: guarded.route.group.as_ref(),
            client: &guarded.client,
            messages: self.messages,
            bytes: self.bytes,
        }
    }

    /// Asks the local limits of `policy`, unless a rule refuses the request. `now` is in Unix nanoseconds; it is asked
    /// for where a limit is.
    pub fn ask_limits(
        &mut self,
        policy: &Policy,
        guarded: &Guarded,
        limiter: &mut Limiter,
        memory: &impl SharedMemory,
        now: impl FnOnce() -> u64,
    ) {
        let is_answered = self.ruling.as_ref().is_some_and(|ruling| matches!(ruling.effect, Effect::Answer(_)));
        if is_answered || !policy.limited().has(self.kind) {
            return;
        }
        let facts = self.facts(guarded);
        let of = |mode: Mode| {
            let limits = policy.limits().iter().filter(move |limit| limit.over == mode);
            limits.filter_map(|limit| Charge::of(limit, &facts)).collect::<Vec<_>>()
        };
        let (enforced, shadowed) = (of(Mode::Enforce), of(Mode::Shadow));
        if enforced.is_empty() && shadowed.is_empty() {
            return;
        }
        let now = now();
        let mut limits = Limits::default();
        match limiter.ask(memory, &enforced, now) {
            Payment::Paid(paid) => {
                (limits.charges, limits.paid) = (enforced, paid);
                for charge in shadowed {
                    let limit = charge.limit.clone();
                    let refused = match limiter.ask(memory, std::slice::from_ref(&charge), now) {
                        Payment::Paid(paid) => {
                            limits.charges.push(charge);
                            limits.paid.extend(paid);
                            None
                        }
                        Payment::Refused { throttle, .. } => Some(told(self, &refusal(policy, &limit, throttle))),
                    };
                    limits.tried.push(Tried { limit, refused });
                }
            }
            Payment::Refused { index, throttle } => {
                limits.refused = enforced
                    .get(index)
                    .map(|charge| self.refused(guarded, policy.current.mode, refusal(policy, &charge.limit, throttle)));
            }
        }
        self.limits = limits;
    }

    /// A refusal with its answer.
    pub fn refused(&self, guarded: &Guarded, mode: Mode, refusal: Refusal) -> Refused {
        let told = told(self, &refusal);
        let reply: Reply = answer(guarded, &refusal, Some(&told));
        Refused { mode, refusal, told, effect: Effect::Answer(reply) }
    }

    /// What a pull is charged to when its messages are there.
    pub fn owes(&self) -> Vec<Charge> {
        let owed = |charge: &&Charge| self.kind == Kind::Pull && charge.limit.cost != Cost::Requests;
        self.limits.charges.iter().filter(owed).cloned().collect()
    }

    /// What the limits count.
    pub(super) fn limit_counters(&self) -> Vec<Counter> {
        let (dialect, operation) = (self.dialect, self.kind);
        let mut counters = Vec::new();
        if let Some(refused) = &self.limits.refused
            && let Refusal::Throttled { limit, .. } = &refused.refusal
        {
            counters.push(Counter::Limited { limit: limit.clone(), mode: refused.mode });
        }
        for Tried { limit, refused } in &self.limits.tried {
            let decision = if refused.is_some() { Decision::WouldReject } else { Decision::Pass };
            counters.push(Counter::ShadowRequests { scope: Scope::Limit, dialect, operation, decision });
            if refused.is_some() {
                counters.push(Counter::Limited { limit: limit.name.clone(), mode: Mode::Shadow });
            }
        }
        counters
    }

    /// What is logged of the limits: each refusal that would have been and was not.
    pub(super) fn limit_log(&self) -> impl Iterator<Item = String> {
        let kind = self.kind.name();
        let watched = self.limits.refused.iter().filter(|refused| refused.mode == Mode::Shadow);
        let watched = watched.map(move |refused| format!("ackguard: shadow: {kind}: {}", refused.told));
        let scope = Scope::Limit.name();
        let tried = self.limits.tried.iter().filter_map(|tried| tried.refused.as_ref());
        watched.chain(tried.map(move |told| format!("ackguard: shadow {scope}: {kind}: {told}")))
    }
}

/// The address that a request comes from, without its port: Envoy's `source.address`, which its own settings tell from
/// `x-forwarded-for`. Of an IPv6 address the first 64 bits, such as `2001:db8::/64`: one client has the others to itself.
/// Empty where it is not known.
pub(super) fn client(property: &mut impl FnMut(&[String]) -> Option<Vec<u8>>) -> String {
    let address = property(&["source".to_owned(), "address".to_owned()]).unwrap_or_default();
    let address = String::from_utf8_lossy(&address);
    let host = address.rsplit_once(':').map_or(&*address, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    match host.parse().map(|address: Ipv6Addr| (address.to_ipv4_mapped(), address.segments())) {
        Ok((Some(mapped), _)) => mapped.to_string(),
        Ok((None, [first, second, third, fourth, ..])) => {
            format!("{}/64", Ipv6Addr::new(first, second, third, fourth, 0, 0, 0, 0))
        }
        Err(_) => host.to_owned(),
    }
}

fn refusal(policy: &Policy, limit: &Limit, throttle: Throttle) -> Refusal {
    let quota = match &limit.reach {
        Reach::Local { rate, .. } => Some(Quota { rate: *rate, unit: limit.cost }),
        Reach::Fleet(_) => None,
    };
    Refusal::Throttled { limit: limit.name.clone(), quota, throttle, policy: policy.current.version.clone() }
}

/// The value of `x-ackguard` for a refusal that has nothing to do with the body.
pub(super) fn told(judgement: &Judgement<'_>, refusal: &Refusal) -> String {
    let Refusal::Throttled { policy, .. } = refusal else { return String::new() };
    let outcome = Outcome::Reject(refusal.clone());
    announce(&outcome, judgement.dialect, (&[], &crate::dialect::Layout::Unread), ("", policy)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_its_address_or_the_network_that_it_has_to_itself() {
        for (address, expected) in [
            ("10.1.2.3:4711", "10.1.2.3"),
            ("[2001:db8::7]:4711", "2001:db8::/64"),
            ("[2001:db8::ffff:0:0:9]:1", "2001:db8::/64"),
            ("[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::/64"),
            ("[::ffff:10.1.2.3]:1", "10.1.2.3"),
            ("[::1]:1", "::/64"),
            ("", ""),
            ("/run/gateway.sock", "/run/gateway.sock"),
            ("@abstract", "@abstract"),
        ] {
            let mut property = |path: &[String]| {
                assert_eq!(path, ["source", "address"]);
                Some(address.as_bytes().to_vec())
            };
            assert_eq!(client(&mut property), expected, "{address}");
        }
        assert_eq!(client(&mut |_| None), "");
    }
}
