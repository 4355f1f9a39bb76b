//! The gauges. All workers share each, so whoever sets one must know the value of the whole Envoy.

use std::rc::Rc;

use crate::policy::Mode;

use super::label::Label;
use super::metric;

/// A gauge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Gauge {
    /// Whether a policy is in force.
    Policy {
        /// Its version.
        version: Rc<str>,
        /// Whether it only watches.
        mode: Mode,
    },
    /// The leases of all groups that are bounded.
    Leases,
    /// Whether the service behind a cluster is asked: see
    /// [`Condition::number`](crate::circuit_breaker::Condition::number).
    Breaker {
        /// The cluster.
        cluster: Rc<str>,
    },
    /// Where the roll-out stands: 0 where the policy has none, else one more than
    /// [`State::number`](crate::rollout::State::number).
    RolloutState,
    /// The stage that is served, from 1; 0 where nobody is on the candidate's side.
    RolloutStage,
    /// How long the stage has lasted, in seconds.
    RolloutElapsed,
    /// The low 32 bits of [`Rollout::id`](crate::policy::rollout::Rollout::id): more digits would not survive a reader
    /// that has only doubles.
    RolloutCandidate,
    /// The acks of the candidate's consumers within the window.
    RolloutAcks,
    /// Those that failed.
    RolloutAcksFailed,
    /// Those that took longer than the policy's `p99`.
    RolloutAcksSlow,
}

impl Gauge {
    /// The same gauge, with what `admit` makes of the value that comes from outside, if it has one.
    pub fn bounded(self, mut admit: impl FnMut(Label, &str) -> Rc<str>) -> Gauge {
        match self {
            Gauge::Policy { version, mode } => Gauge::Policy { version: admit(Label::Version, &version), mode },
            Gauge::Breaker { cluster } => Gauge::Breaker { cluster: admit(Label::Cluster, &cluster) },
            closed => closed,
        }
    }

    /// The name of its series.
    pub fn name(&self) -> String {
        match self {
            Gauge::Policy { version, mode } => metric::POLICY_INFO.series(&[version, mode.name()]),
            Gauge::Leases => metric::LEASES.series(&[]),
            Gauge::Breaker { cluster } => metric::BREAKER_STATE.series(&[cluster]),
            Gauge::RolloutState => metric::ROLLOUT_STATE.series(&[]),
            Gauge::RolloutStage => metric::ROLLOUT_STAGE.series(&[]),
            Gauge::RolloutElapsed => metric::ROLLOUT_STAGE_SECONDS.series(&[]),
            Gauge::RolloutCandidate => metric::ROLLOUT_CANDIDATE.series(&[]),
            Gauge::RolloutAcks => metric::ROLLOUT_ACKS.series(&[]),
            Gauge::RolloutAcksFailed => metric::ROLLOUT_ACKS_FAILED.series(&[]),
            Gauge::RolloutAcksSlow => metric::ROLLOUT_ACKS_SLOW.series(&[]),
        }
    }
}
