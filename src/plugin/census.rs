//! The gauges that tell of the whole Envoy. Once a second one of the workers, whichever comes first, looks at what all of
//! them share, and sets them: so they are right whoever else lives or dies, and no request pays for them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::circuit_breaker::Condition;
use crate::lease;
use crate::policy::Policy;
use crate::policy::limit::Reach;
use crate::shared_memory::SharedMemory;
use crate::telemetry::{Counter, Gauge};

use super::fleet;
use super::host::Host;

/// When the last census was, in Unix milliseconds, and how many expired leases were counted by then.
const CENSUS: &str = "ackguard/census";
/// The worst that a worker said of its breaker lately: when, in Unix milliseconds, what, and of which cluster.
const BREAKER: &str = "ackguard/breaker";

/// How often, in milliseconds.
const PERIOD: u64 = 1_000;
/// How long what a worker says of its breaker stands, in milliseconds: it says so again each second.
const FRESH: u64 = 2 * PERIOD;

thread_local! {
    /// When this worker looks next whether a census is due.
    static NEXT: Cell<u64> = const { Cell::new(0) };
    /// Of which cluster's breaker this worker has told.
    static TOLD: RefCell<Option<Rc<str>>> = const { RefCell::new(None) };
}

/// Whether there is anything to tell under this policy.
pub(super) fn is_needed(policy: &Policy) -> bool {
    policy.bounds_leases() || cluster(policy).is_some()
}

/// Takes the census where it is due and no other worker has; each worker calls it at its ticks.
pub(super) fn take(host: Host, policy: &Policy) {
    if !is_needed(policy) {
        return;
    }
    let now = host.now();
    let next = NEXT.get();
    // A clock that has stepped back makes it due.
    if now < next && next - now <= PERIOD {
        return;
    }
    NEXT.set(now + PERIOD);
    if let Some(cluster) = cluster(policy) {
        report(&host, cluster, fleet::condition(cluster, now), now);
    }
    let (bytes, version) = host.get(CENSUS);
    let (last, counted) = (number(&bytes, 0), number(&bytes, 8));
    // The workers' ticks are not in step, so that one may come just before its period is over.
    if now.abs_diff(last) < PERIOD / 2 {
        return;
    }
    let leases = policy.bounds_leases().then(|| lease::census(&host, now));
    let expired = leases.map_or(counted, |leases| leases.expired);
    if !host.set(CENSUS, &[now.to_le_bytes(), expired.to_le_bytes()].concat(), version) {
        return;
    }
    if let Some(leases) = leases {
        host.gauge(Gauge::Leases, leases.held);
        host.count_more(Counter::LeasesExpired, expired.saturating_sub(counted));
    }
    if let Some(cluster) = cluster(policy) {
        let told: Rc<str> = cluster.into();
        host.gauge(Gauge::Breaker { cluster: told.clone() }, u64::from(worst(&host, cluster, now)));
        TOLD.set(Some(told));
    }
}

/// Sets what a policy before this one may have told, and this one does not, to 0. A worker that is handed the policy later
/// may tell it once more until then, and sets it to 0 itself.
pub(super) fn clear(host: Host, policy: &Policy) {
    if !policy.bounds_leases() {
        host.gauge(Gauge::Leases, 0);
    }
    if let Some(told) = TOLD.take().filter(|told| cluster(policy) != Some(told)) {
        host.clear(Gauge::Breaker { cluster: told });
    }
}

/// The cluster of the fleet's service, where a limit asks it.
fn cluster(policy: &Policy) -> Option<&str> {
    policy.limits().iter().find_map(|limit| match &limit.reach {
        Reach::Fleet(service) => Some(&*service.cluster),
        Reach::Local { .. } => None,
    })
}

/// Says what this worker's breaker says, where that is not that the service is well.
fn report(memory: &impl SharedMemory, cluster: &str, condition: Condition, now: u64) {
    if condition == Condition::Closed {
        return;
    }
    let (bytes, version) = memory.get(BREAKER);
    if told(&bytes, cluster, now) <= condition.number() {
        let record = [&now.to_le_bytes()[..], &[condition.number()], cluster.as_bytes()].concat();
        // Where another worker says so at the same time, that is enough.
        let _ = memory.set(BREAKER, &record, version);
    }
}

/// The worst condition that a worker told lately.
fn worst(memory: &impl SharedMemory, cluster: &str, now: u64) -> u8 {
    told(&memory.get(BREAKER).0, cluster, now)
}

/// What a record says of a cluster: nothing where it is old, or of another one.
fn told(record: &[u8], cluster: &str, now: u64) -> u8 {
    match record.get(8..) {
        Some([condition, of @ ..]) if of == cluster.as_bytes() && now.abs_diff(number(record, 0)) <= FRESH => {
            *condition
        }
        _ => Condition::Closed.number(),
    }
}

/// The number at a place in a record; 0 where there is none.
fn number(record: &[u8], at: usize) -> u64 {
    record.get(at..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared_memory::memory::Memory;

    const NOW: u64 = 1_800_000_000_000;
    const CLUSTER: &str = "ratelimit";

    fn memory(reports: &[(Condition, u64)]) -> Memory {
        let memory = Memory::default();
        for (condition, now) in reports {
            report(&memory, CLUSTER, *condition, *now);
        }
        memory
    }

    #[test]
    fn the_worst_that_a_worker_says_is_told() {
        use Condition::{Closed, HalfOpen, Open};
        for (reports, number) in [
            (&[][..], 0),
            (&[(Closed, NOW)][..], 0),
            (&[(HalfOpen, NOW), (Closed, NOW)], 1),
            (&[(Open, NOW), (HalfOpen, NOW)], 2),
            (&[(HalfOpen, NOW), (Open, NOW)], 2),
        ] {
            assert_eq!(worst(&memory(reports), CLUSTER, NOW), number, "{reports:?}");
        }
    }

    #[test]
    fn what_a_worker_says_stands_until_it_has_not_said_it_again_for_two_seconds() {
        let open = memory(&[(Condition::Open, NOW)]);
        assert_eq!(worst(&open, CLUSTER, NOW + FRESH), 2);
        assert_eq!(worst(&open, CLUSTER, NOW + FRESH + 1), 0);
        // A clock that is set back does not keep it.
        assert_eq!(worst(&open, CLUSTER, NOW - FRESH - 1), 0);
        // One worker is open still and the other tries: the first is told for as long as it says so.
        let again = [(Condition::Open, NOW), (Condition::HalfOpen, NOW + 500), (Condition::Open, NOW + 1_000)];
        assert_eq!(worst(&memory(&again), CLUSTER, NOW + 1_000 + FRESH), 2);
        // What is old makes room for what is better.
        let better = memory(&[(Condition::Open, NOW), (Condition::HalfOpen, NOW + FRESH + 1)]);
        assert_eq!(worst(&better, CLUSTER, NOW + FRESH + 1), 1);
    }

    #[test]
    fn what_is_said_of_one_cluster_is_nothing_of_another() {
        let memory = memory(&[(Condition::Open, NOW)]);
        assert_eq!(worst(&memory, "another", NOW), 0);
        report(&memory, "another", Condition::HalfOpen, NOW);
        assert_eq!((worst(&memory, CLUSTER, NOW), worst(&memory, "another", NOW)), (0, 1));
    }

    #[test]
    fn of_two_workers_that_say_so_at_once_one_is_enough_and_other_bytes_say_nothing() {
        let held = memory(&[(Condition::Open, NOW)]);
        held.rivals.set(1);
        report(&held, CLUSTER, Condition::Open, NOW + 1);
        assert_eq!(worst(&held, CLUSTER, NOW + 1), 2);
        for bytes in [&b"short"[..], &[0; 8], &[0; 9]] {
            assert_eq!(told(bytes, CLUSTER, 0), 0);
        }
    }
}
