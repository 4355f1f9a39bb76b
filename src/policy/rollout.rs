//! The roll-out: a second set of rules, brought in by stages. Who is on which side at which stage.

use crate::hash::Hash;
use crate::operation::{Group, Millis, Tenant};

use super::{Mode, Pattern, RuleSet};

/// A share of all consumers is counted in hundredths of a percent.
pub const WHOLE: u16 = 10_000;

/// A candidate and how it is brought in.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Tells one candidate from another: a hash of the candidate as it stands in the document. What is known of a
    /// roll-out's progress belongs to this.
    pub id: u64,
    /// The rules that are brought in.
    pub candidate: RuleSet,
    /// The stages in their order; never empty.
    pub stages: Vec<Stage>,
    /// What is watched at every stage.
    pub health: Health,
    /// What happens when the candidate's consumers fare ill.
    pub on_unhealthy: OnUnhealthy,
}

/// One stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Whom it adds.
    pub who: Who,
    /// Whether the candidate decides for them, or is only tried beside the rules in force.
    pub mode: Mode,
    /// How long it lasts at least. None in a last stage that lasts as long as the document.
    pub hold: Option<Millis>,
}

/// The consumers that a stage adds.
#[derive(Clone, Debug, PartialEq)]
pub enum Who {
    /// A share, in hundredths of a percent, of all pairs of tenant and group.
    Share(u16),
    /// All of these tenants.
    Tenants(Vec<Pattern>),
}

/// When the candidate's consumers are healthy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Health {
    /// The least share of acks that must succeed: answered as a success, with no receipt refused.
    pub ack_success: f64,
    /// What 99 of 100 acks may take at most.
    pub p99: Millis,
    /// How far back is looked.
    pub window: Millis,
    /// How many acks it takes for a judgement.
    pub min_samples: u64,
}

impl Default for Health {
    /// The policy document's own defaults, version 1.
    fn default() -> Self {
        Health { ack_success: 0.9995, p99: Millis(320), window: Millis(30 * 60_000), min_samples: 1_000 }
    }
}

/// What happens when the candidate's consumers fare ill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnhealthy {
    /// The candidate is taken back from everybody, for good.
    Rollback,
    /// The stage lasts until they are well again.
    Hold,
}

/// Which rules a request is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those in force.
    Current,
    /// Those in force; what the candidate would do is counted.
    Tried,
    /// The candidate's.
    Candidate,
}

impl Side {
    /// The name in logs and at the command line.
    pub fn name(self) -> &'static str {
        match self {
            Side::Current => "current",
            Side::Tried => "tried",
            Side::Candidate => "candidate",
        }
    }
}

impl Rollout {
    /// The side of a consumer at the stage of this index. Whom a stage added stays on that side in all later ones.
    pub fn side(&self, stage: usize, tenant: &Tenant, group: Option<&Group>) -> Side {
        let share = Hash::default()
            .with_text(&self.candidate.version)
            .with_text(&tenant.0)
            .with_text(group.map_or("", |group| &group.0))
            .finish()
            % u64::from(WHOLE);
        let mut side = Side::Current;
        for stage in self.stages.iter().take(stage.saturating_add(1)) {
            if stage.who.includes(share, tenant) {
                match stage.mode {
                    Mode::Enforce => return Side::Candidate,
                    Mode::Shadow => side = Side::Tried,
                }
            }
        }
        side
    }

    /// Whether the candidate decides for anybody at the stage of this index.
    pub fn decides_at(&self, stage: usize) -> bool {
        self.stages.iter().take(stage.saturating_add(1)).any(|stage| stage.mode == Mode::Enforce)
    }
}

impl Who {
    fn includes(&self, share: u64, tenant: &Tenant) -> bool {
        match self {
            Who::Share(limit) => share < u64::from(*limit),
            Who::Tenants(patterns) => patterns.iter().any(|pattern| pattern.fits(tenant.0.as_bytes())),
        }
    }
}
