//! Faults that are set on purpose: what a network or a tired broker does to an operation.

use std::time::Duration;

use axum::http::StatusCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};

use super::operation::Operation;
use crate::error::Error;
use crate::limits::MAX_FAULTS;

/// A fault as it is set, and as it is told.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fault {
    /// By which it is taken away; counted from 0 in the order in which faults were set.
    #[serde(default, skip_deserializing)]
    pub(crate) id: u64,
    pub(crate) operation: Target,
    /// How likely each request is to meet it, 0 to 1.
    #[serde(default = "certain")]
    pub(crate) probability: f64,
    #[serde(flatten)]
    pub(crate) kind: Kind,
    /// Whether the operation is done when the fault happens.
    #[serde(default)]
    pub(crate) stage: Stage,
    /// How many requests it happens to; all of them where it is absent.
    #[serde(default)]
    pub(crate) count: Option<u64>,
    /// How many it has happened to.
    #[serde(default, skip_deserializing)]
    pub(crate) fired: u64,
}

/// What a fault is set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Target {
    One(Operation),
    Every(Any),
}

/// Every operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Any {
    Any,
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The answer comes later.
    Latency {
        #[serde(rename = "latencyMs")]
        latency_ms: u64,
    },
    /// The answer is this status.
    Status {
        #[serde(default = "unavailable")]
        status: u16,
    },
    /// The connection breaks.
    Reset,
    /// There is no answer.
    Blackhole,
}

/// When a fault happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// Instead of the operation, or in front of it: a lost request.
    #[default]
    Before,
    /// After the operation was done: a lost response.
    After,
}

/// What a drawn fault has the port do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Latency(Duration),
    Status(StatusCode),
    Reset,
    Blackhole,
}

fn certain() -> f64 {
    1.0
}

fn unavailable() -> u16 {
    StatusCode::SERVICE_UNAVAILABLE.as_u16()
}

impl Fault {
    /// The longest latency that can be set, an hour.
    const MAX_LATENCY_MS: u64 = 60 * 60 * 1_000;

    fn check(&self) -> Result<(), Error> {
        if self.operation == Target::One(Operation::Unknown) {
            return Err(Error::invalid("operation", "a request that is no operation meets no fault"));
        }
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(Error::invalid("probability", format!("{} is not from 0 to 1", self.probability)));
        }
        match self.kind {
            Kind::Latency { latency_ms } if latency_ms > Self::MAX_LATENCY_MS => {
                Err(Error::invalid("latencyMs", format!("{latency_ms} is over {}", Self::MAX_LATENCY_MS)))
            }
            Kind::Status { status } if !(400..=599).contains(&status) => {
                Err(Error::invalid("status", format!("{status} is not an error status from 400 to 599")))
            }
            _ => Ok(()),
        }
    }

    fn effect(&self) -> Effect {
        match self.kind {
            Kind::Latency { latency_ms } => Effect::Latency(Duration::from_millis(latency_ms)),
            Kind::Status { status } => {
                Effect::Status(StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE))
            }
            Kind::Reset => Effect::Reset,
            Kind::Blackhole => Effect::Blackhole,
        }
    }

    fn meets(&self, operation: Operation, stage: Stage) -> bool {
        let target = match self.operation {
            Target::One(one) => one == operation,
            Target::Every(Any::Any) => true,
        };
        target && self.stage == stage && self.count.is_none_or(|count| self.fired < count)
    }
}

/// The faults that are set.
pub(crate) struct Faults {
    /// Whether there is any: most requests ask no further.
    some: AtomicBool,
    state: Mutex<State>,
}

struct State {
    set: Vec<Fault>,
    next_id: u64,
    rng: fastrand::Rng,
}

impl Faults {
    /// No faults. The same seed draws the same chances for the same requests.
    pub(crate) fn new(seed: u64) -> Self {
        let state = State { set: Vec::new(), next_id: 0, rng: fastrand::Rng::with_seed(seed) };
        Self { some: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// Sets further faults, all or none.
    pub(crate) fn add(&self, faults: Vec<Fault>) -> Result<(), Error> {
        for fault in &faults {
            fault.check()?;
        }
        let mut state = self.state.lock();
        if state.set.len() + faults.len() > MAX_FAULTS {
            return Err(Error::throttled("faults", MAX_FAULTS));
        }
        for fault in faults {
            let id = state.next_id;
            state.next_id += 1;
            state.set.push(Fault { id, ..fault });
        }
        self.some.store(!state.set.is_empty(), Ordering::Release);
        Ok(())
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.state.lock().set.clone()
    }

    /// Takes one away, if it is set.
    pub(crate) fn remove(&self, id: u64) {
        let mut state = self.state.lock();
        state.set.retain(|fault| fault.id != id);
        self.some.store(!state.set.is_empty(), Ordering::Release);
    }

    pub(crate) fn clear(&self) {
        let mut state = self.state.lock();
        state.set.clear();
        self.some.store(false, Ordering::Release);
    }

    /// What this request meets, in the order in which the faults were set; nothing after what ends it.
    pub(super) fn draw(&self, operation: Operation, stage: Stage) -> Vec<Effect> {
        if !self.some.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut state = self.state.lock();
        let State { set, rng, .. } = &mut *state;
        let mut effects = Vec::new();
        for fault in set.iter_mut().filter(|fault| fault.meets(operation, stage)) {
            if rng.f64() >= fault.probability {
                continue;
            }
            fault.fired += 1;
            effects.push(fault.effect());
            if !matches!(fault.kind, Kind::Latency { .. }) {
                break;
            }
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(json: &str) -> Faults {
        let faults = Faults::new(7);
        faults.add(vec![serde_json::from_str(json).unwrap()]).unwrap();
        faults
    }

    #[test]
    fn a_fault_happens_to_its_operation_as_often_as_it_says() {
        let faults = faults(r#"{"operation":"ack","kind":"status","status":429,"count":2}"#);
        let drawn = |operation| faults.draw(operation, Stage::Before);
        assert_eq!(drawn(Operation::Pull), []);
        assert_eq!(drawn(Operation::Ack), [Effect::Status(StatusCode::TOO_MANY_REQUESTS)]);
        assert_eq!(faults.draw(Operation::Ack, Stage::After), []);
        assert_eq!(drawn(Operation::Ack).len(), 1);
        assert_eq!(drawn(Operation::Ack), []);
        assert_eq!(faults.list()[0].fired, 2);
        faults.clear();
        assert_eq!(faults.list(), []);
    }

    #[test]
    fn a_fault_is_taken_away_by_its_id_alone() {
        let faults = faults(r#"{"operation":"ack","kind":"reset"}"#);
        faults.add(vec![serde_json::from_str(r#"{"id":0,"operation":"ack","kind":"blackhole"}"#).unwrap()]).unwrap();
        faults.remove(0);
        faults.remove(7);
        assert_eq!(faults.draw(Operation::Ack, Stage::Before), [Effect::Blackhole]);
        faults.add(vec![serde_json::from_str(r#"{"operation":"ack","kind":"reset"}"#).unwrap()]).unwrap();
        assert_eq!(faults.list().iter().map(|fault| fault.id).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn chances_are_kept_and_repeat_with_the_seed() {
        let json = r#"{"operation":"any","kind":"reset","probability":0.15}"#;
        let draw = |faults: &Faults| (0..2_000).map(|_| faults.draw(Operation::Ack, Stage::Before).len()).collect();
        let one: Vec<usize> = draw(&faults(json));
        let other: Vec<usize> = draw(&faults(json));
        assert_eq!(one, other);
        let hits: usize = one.iter().sum();
        assert!((240..360).contains(&hits), "{hits}");
    }

    #[test]
    fn latency_adds_up_and_goes_on_to_the_next_fault() {
        let faults = faults(r#"{"operation":"ack","kind":"latency","latencyMs":3000,"status":503}"#);
        faults.add(vec![serde_json::from_str(r#"{"operation":"any","kind":"blackhole"}"#).unwrap()]).unwrap();
        let expected = [Effect::Latency(Duration::from_secs(3)), Effect::Blackhole];
        assert_eq!(faults.draw(Operation::Ack, Stage::Before), expected);
    }

    #[test]
    fn a_fault_out_of_bounds_is_refused() {
        for (json, expected) in [
            (r#"{"operation":"unknown","kind":"reset"}"#, "operation"),
            (r#"{"operation":"ack","kind":"reset","probability":1.5}"#, "probability"),
            (r#"{"operation":"ack","kind":"status","status":200}"#, "status"),
            (r#"{"operation":"ack","kind":"latency","latencyMs":99999999}"#, "latencyMs"),
        ] {
            let refused = Faults::new(0).add(vec![serde_json::from_str(json).unwrap()]);
            assert!(matches!(&refused, Err(Error::Invalid { field, .. }) if field == expected), "{refused:?}");
        }
    }
}
