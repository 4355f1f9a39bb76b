//! The gauges. All workers share each, so whoever sets one must know the value of the whole Envoy.

/// A gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gauge {
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
    /// The statistic's name.
    pub fn name(self) -> &'static str {
        match self {
            Gauge::RolloutState => "ackguard_rollout_state",
            Gauge::RolloutStage => "ackguard_rollout_stage",
            Gauge::RolloutElapsed => "ackguard_rollout_stage_seconds",
            Gauge::RolloutCandidate => "ackguard_rollout_candidate",
            Gauge::RolloutAcks => "ackguard_rollout_acks",
            Gauge::RolloutAcksFailed => "ackguard_rollout_acks_failed",
            Gauge::RolloutAcksSlow => "ackguard_rollout_acks_slow",
        }
    }
}
