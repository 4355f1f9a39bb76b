//! The fleet-wide limits' question to Envoy's RateLimitService: one call, and an end to the wait for it in any case.
//!
//! ```text
//! ask ─▶ Asking ─ the host's answer ───────────────────────▶ ended
//!   │          └─ the root's tick ─▶ sweep ─▶ the exchange ─▶ ended, without an answer
//!   └─▶ no call: the breaker is open, or the host makes none
//! ```
//!
//! The host ends a call by its time-out, with an answer to the exchange that asked. A deadline of the filter's own stands
//! behind that: a request that waits for an answer that never comes would wait for ever.
//!
//! A call is never cancelled. The SDK remembers each until the host ends it, so cancelled ones would pile up in its
//! memory; one whose exchange is gone ends by its time-out, and nobody hears of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::circuit_breaker::{CircuitBreaker, Condition, Permit, Settings};
use crate::limit::fleet::{Answer, Call, METHOD, SERVICE, target};
use crate::telemetry::{Counter, FleetResult};

use super::exchange::Exchange;
use super::host::Host;

/// How much longer than the call's time-out an exchange waits, in milliseconds: the host's answer comes first where it
/// comes at all.
const GRACE: u64 = 100;
/// Five calls in a row without an answer, and none is made for five seconds, by each worker for itself.
const BREAKER: Settings = Settings { trip_after: 5, open_for: 5_000 };
/// How many requests of a worker wait for the service at most. What comes above that is not asked: a service that hangs
/// would hold them all.
const MAX_WAITING: usize = 4_096;
/// gRPC's status of a call whose time is over, where the service says so itself.
const DEADLINE_EXCEEDED: u32 = 4;

thread_local! {
    /// The exchanges of this virtual machine that wait, by their contexts' ids.
    static WAITING: RefCell<HashMap<u32, Wait>> = RefCell::new(HashMap::new());
    /// The breaker of the cluster that was asked last. A policy names one, and it outlives a policy that names the same.
    static CLUSTER: RefCell<Option<(Rc<str>, CircuitBreaker)>> = const { RefCell::new(None) };
}

/// Who waits, and until when.
struct Wait {
    exchange: Weak<RefCell<Exchange>>,
    since: u64,
    /// How long, in milliseconds.
    most: u64,
}

/// A call under way.
pub(super) struct Asking {
    host: Host,
    call: Call,
    token: u32,
    permit: Permit,
    since: u64,
    _place: Place,
}

/// An exchange's place among those that wait.
struct Place(u32);

/// Makes `call` for an exchange, whose context has the id `id`.
///
/// # Errors
/// The same call, where none is made.
pub(super) fn ask(host: Host, id: u32, exchange: &Weak<RefCell<Exchange>>, call: Call) -> Result<Asking, Call> {
    let now = host.now();
    let has_room = WAITING.with_borrow(|waiting| waiting.len() < MAX_WAITING);
    let Some(permit) = has_room.then(|| permit(&call.cluster, now)).flatten() else {
        host.count(Counter::FleetCalls(FleetResult::Open));
        return Err(call);
    };
    let timeout = timeout(&call);
    let made = target(&call.cluster)
        .and_then(|target| host.call(&target, SERVICE, METHOD, &call.message, Duration::from_millis(timeout)));
    let Some(token) = made else {
        unanswered(host, &call, permit, FleetResult::Error);
        return Err(call);
    };
    let wait = Wait { exchange: exchange.clone(), since: now, most: timeout.saturating_add(GRACE) };
    WAITING.with_borrow_mut(|waiting| waiting.insert(id, wait));
    Ok(Asking { host, call, token, permit, since: now, _place: Place(id) })
}

/// Lets each exchange go on whose wait is over. The root calls it at each of its ticks, as the last thing: the host's calls
/// are for the exchange from then on.
pub(super) fn sweep(host: Host) {
    if WAITING.with_borrow(HashMap::is_empty) {
        return;
    }
    let now = host.now();
    let due: Vec<(u32, Weak<RefCell<Exchange>>)> = WAITING.with_borrow_mut(|waiting| {
        let due = waiting.iter_mut().filter_map(|(id, wait)| {
            // A clock that has stepped back begins the wait anew.
            wait.since = wait.since.min(now);
            (now - wait.since >= wait.most).then(|| (*id, wait.exchange.clone()))
        });
        due.collect()
    });
    for (id, exchange) in due {
        match exchange.upgrade() {
            Some(exchange) if host.act_for(id) => exchange.borrow_mut().unanswered(),
            _ => forget(id),
        }
    }
}

impl Asking {
    /// Whether this is the answer to it.
    pub(super) fn is(&self, token: u32) -> bool {
        self.token == token
    }

    /// Takes the host's answer: a gRPC status and, where that is 0, a message of so many bytes. None where the host gives
    /// none. Returns the call and the service's answer, or what follows where that tells nothing.
    pub(super) fn ended(self, answer: Option<(u32, usize)>) -> (Call, Answer) {
        let Asking { host, call, permit, since, .. } = self;
        let answer = match answer {
            Some((0, size)) => call.read(&host.call_response(size)).map_err(|_| FleetResult::Error),
            None | Some((DEADLINE_EXCEEDED, _)) => Err(FleetResult::Timeout),
            Some(_) if is_over(&call, host.now().saturating_sub(since)) => Err(FleetResult::Timeout),
            Some(_) => Err(FleetResult::Error),
        };
        match answer {
            Ok(answer) => {
                settle(host, &call, permit, true);
                let result = if answer.over.is_empty() { FleetResult::Ok } else { FleetResult::OverLimit };
                host.count(Counter::FleetCalls(result));
                (call, answer)
            }
            Err(result) => {
                unanswered(host, &call, permit, result);
                let answer = call.without_answer();
                (call, answer)
            }
        }
    }

    /// Gives up on a call whose client has left. Where that was after half of its time or more it tells of the service: one
    /// that hangs is found out also where the clients are less patient than the call.
    pub(super) fn abandoned(self) {
        let Asking { host, call, permit, since, .. } = self;
        host.count(Counter::FleetCalls(FleetResult::Left));
        if host.now().saturating_sub(since) >= timeout(&call) / 2 {
            settle(host, &call, permit, false);
        }
    }
}

/// Whether a call that failed after so many milliseconds did so because its time was over. Envoy ends it as if the service
/// were unavailable, by a timer that may be some per cent early against the clock that is read here.
fn is_over(call: &Call, millis: u64) -> bool {
    millis >= timeout(call) * 7 / 8
}

/// A call's time-out in milliseconds; 0 would mean none to Envoy.
fn timeout(call: &Call) -> u64 {
    u64::try_from(call.timeout.0).unwrap_or(1).max(1)
}

impl Drop for Place {
    fn drop(&mut self) {
        forget(self.0);
    }
}

fn forget(id: u32) {
    WAITING.with_borrow_mut(|waiting| waiting.remove(&id));
}

fn unanswered(host: Host, call: &Call, permit: Permit, result: FleetResult) {
    host.count(Counter::FleetCalls(result));
    settle(host, call, permit, false);
}

fn settle(host: Host, call: &Call, permit: Permit, success: bool) {
    CLUSTER.with_borrow_mut(|slot| {
        // A call that was made under an earlier policy says nothing of another one's cluster.
        if let Some((_, breaker)) = slot.as_mut().filter(|(name, _)| *name == call.cluster) {
            breaker.settle(permit, success, host.now());
        }
    });
}

/// What this worker's breaker says of the service behind a cluster.
pub(super) fn condition(cluster: &str, now: u64) -> Condition {
    CLUSTER.with_borrow(|slot| {
        let held = slot.as_ref().filter(|(name, _)| **name == *cluster);
        held.map_or(Condition::Closed, |(_, breaker)| breaker.condition(now))
    })
}

/// Asks the breaker of `cluster` for a call.
fn permit(cluster: &Rc<str>, now: u64) -> Option<Permit> {
    CLUSTER.with_borrow_mut(|slot| {
        let held = slot.take().filter(|(name, _)| name == cluster);
        let (_, breaker) = slot.insert(held.unwrap_or_else(|| (cluster.clone(), CircuitBreaker::new(BREAKER))));
        breaker.permit(now)
    })
}
