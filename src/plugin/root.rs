//! The root context: one for each worker and policy. It compiles the policy, makes the exchanges, gives idle tokens back,
//! and takes its part in a roll-out.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::hash::Hash;
use crate::policy::{Faults, Mode, Policy, RuleSet};
use crate::rollout::{Part, Standing};
use crate::shared_memory::SharedMemory as _;
use crate::telemetry::{Counter, Gauge};

use super::ack::with_pending;
use super::census;
use super::exchange::Exchange;
use super::fleet;
use super::host::Host;
use super::limits::with_limiter;
use super::shared::Shared;

/// Where the policy in force stands, so that a new one is told once and not by each worker: its hash, its mode and its
/// version.
const IN_FORCE: &str = "ackguard/in-force";

/// How often a worker shares what it saw of a roll-out, and looks whether it is to go on. So long it takes at most until
/// consumers that fare ill are noticed; from then on every worker's next request is on the other side.
const ROLLOUT_TICK: Duration = Duration::from_millis(200);

/// How often a worker looks for tokens in its hand that nobody uses.
const LIMITS_TICK: Duration = Duration::from_millis(100);

thread_local! {
    /// The number of the root context that this virtual machine was given last.
    static NEWEST: Cell<u64> = const { Cell::new(0) };
}

/// The root context. It has no policy until the host configured it; until then, everything passes.
pub(super) struct Root {
    host: Host,
    policy: Option<Rc<Policy>>,
    part: Part,
    /// Which of the virtual machine's contexts this is. One that was replaced lives, and ticks, as long as a request
    /// that it began; it takes no part in a roll-out any more.
    number: u64,
}

impl Root {
    pub(super) fn new(host: Host) -> Self {
        Root { host, policy: None, part: Part::new(0), number: 0 }
    }

    fn accept(&mut self, configuration: &[u8], policy: Policy) {
        self.number = NEWEST.get() + 1;
        NEWEST.set(self.number);
        self.put_in_force(configuration, &policy);
        census::clear(self.host, &policy);
        if policy.rollout.is_some() {
            self.part = Part::new(self.host.now());
        } else {
            self.tell_rollout(None);
        }
        if !policy.limits().is_empty() {
            self.host.tick_every(LIMITS_TICK);
        } else if policy.rollout.is_some() || census::is_needed(&policy) {
            self.host.tick_every(ROLLOUT_TICK);
        }
        self.policy = Some(Rc::new(policy));
    }

    /// Tells of a policy that comes into force. Each worker is handed it, the first one tells.
    fn put_in_force(&self, configuration: &[u8], policy: &Policy) {
        let RuleSet { version, mode, .. } = &policy.current;
        let hash = Hash::default().with(configuration).finish().to_le_bytes();
        let record = [&hash[..], &[u8::from(*mode == Mode::Shadow)], version.as_bytes()].concat();
        let (held, held_version) = self.host.get(IN_FORCE);
        if held != record && self.host.set(IN_FORCE, &record, held_version) {
            self.host.count(Counter::Reloads { accepted: true });
            self.host.log_info(&format!("ackguard: policy {version} accepted"));
            if let Some(before) = info(&held) {
                self.host.gauge(before, 0);
            }
        }
        let Some(info) = info(&record) else { return };
        self.host.gauge(info.clone(), 1);
        // A worker that was told of yet another policy meanwhile may have taken this one's gauge down before it was up.
        if self.host.get(IN_FORCE).0.get(8..) != record.get(8..) {
            self.host.gauge(info, 0);
        }
    }

    fn refuse(&self, faults: &Faults) {
        self.host.count(Counter::Reloads { accepted: false });
        let count = faults.count();
        let noun = if count == 1 { "fault" } else { "faults" };
        self.host.log_error(&format!("ackguard: policy refused, {count} {noun}"));
        for fault in faults.to_string().lines() {
            self.host.log_error(&format!("ackguard: {fault}"));
        }
    }

    /// Sets the gauges of a roll-out, each to 0 where there is none.
    fn tell_rollout(&self, standing: Option<&Standing>) {
        let of = |value: fn(&Standing) -> u64| standing.map_or(0, value);
        for (gauge, value) in [
            (Gauge::RolloutState, of(|standing| u64::from(standing.progress.state.number()) + 1)),
            (Gauge::RolloutStage, of(|standing| standing.progress.served().map_or(0, |stage| stage as u64 + 1))),
            (Gauge::RolloutElapsed, of(|standing| standing.progress.elapsed / 1_000)),
            (Gauge::RolloutCandidate, of(|standing| standing.progress.id & u64::from(u32::MAX))),
            (Gauge::RolloutAcks, of(|standing| u64::from(standing.acks.total))),
            (Gauge::RolloutAcksFailed, of(|standing| u64::from(standing.acks.failed))),
            (Gauge::RolloutAcksSlow, of(|standing| u64::from(standing.acks.slow))),
        ] {
            self.host.gauge(gauge, value);
        }
    }

    fn tell(&self, policy: &Policy, standing: &Standing) {
        let Standing { progress, acks, transition } = standing;
        self.tell_rollout(Some(standing));
        let (Some(transition), Some(rollout)) = (transition, &policy.rollout) else { return };
        self.host.count(Counter::Transitions(*transition));
        let line = format!(
            "ackguard: rollout of {}: {}, stage {} of {}; acks {}, failed {}, slow {}",
            rollout.candidate.version,
            transition.name(),
            u64::from(progress.stage) + 1,
            rollout.stages.len(),
            acks.total,
            acks.failed,
            acks.slow
        );
        if transition.is_alarming() { self.host.log_error(&line) } else { self.host.log_info(&line) }
    }
}

/// The gauge of the policy that a record tells of.
fn info(record: &[u8]) -> Option<Gauge> {
    let (mode, version) = record.get(8..)?.split_first()?;
    let mode = if *mode == 0 { Mode::Enforce } else { Mode::Shadow };
    Some(Gauge::Policy { version: String::from_utf8_lossy(version).into(), mode })
}

impl Context for Root {}

impl RootContext for Root {
    /// Takes a policy, or refuses it and logs every fault. Whether it does is a pure function of the configuration:
    /// Envoy asks a canary first and then every worker, and they must agree.
    fn on_configure(&mut self, _size: usize) -> bool {
        let configuration = self.host.configuration();
        match Policy::parse(&configuration) {
            Ok(policy) => {
                self.accept(&configuration, policy);
                true
            }
            Err(faults) => {
                self.refuse(&faults);
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.take_part();
        // Also where it was replaced: its requests may wait still, and the new one need not tick.
        fleet::sweep(self.host);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Shared(Exchange::shared(self.host, id, self.policy.clone(), self.part))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Root {
    /// Gives back what this worker has borrowed and does not use, and takes its part in the census and in a roll-out.
    fn take_part(&mut self) {
        let Some(policy) = self.policy.clone().filter(|_| self.number == NEWEST.get()) else { return };
        with_limiter(self.host, |limiter| {
            if !limiter.is_idle() {
                limiter.sweep(&self.host, self.host.now_nanos());
            }
        });
        census::take(self.host, &policy);
        let Some(rollout) = &policy.rollout else { return };
        let now = self.host.now();
        let standing = with_pending(|pending| self.part.tick(&self.host, rollout, pending, now));
        if let Some(standing) = standing {
            self.tell(&policy, &standing);
        }
    }
}
