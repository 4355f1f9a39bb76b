//! A roll-out as it goes on: one decision for all workers, in shared memory.
//!
//! Every worker serves the stage that the shared record names, adds the acks that it saw to the shared samples, and
//! steps the record by time and health. A step is a compare-and-swap: of all workers one makes it, and tells it.
//!
//! The record belongs to a candidate and not to a policy, so a reload with the same candidate goes on where it was. A
//! newer policy with another candidate puts a record of its own in its place. While the workers come to the newer policy
//! one by one, those with the older one see that they are superseded, and leave the record alone.

mod progress;
mod samples;

#[cfg(test)]
mod tests;

pub use progress::{Progress, State, Transition};
pub use samples::{Acks, Health, Samples};

use crate::policy::rollout::Rollout;
use crate::shared_memory::SharedMemory;

const PROGRESS: &str = "ackguard/rollout/progress";
const SAMPLES: &str = "ackguard/rollout/samples";

/// How often a write is tried again when another worker wrote in between.
const ATTEMPTS: usize = 8;

/// The acks that one worker saw and has not shared yet. They are of one stage of one candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    of: Option<(u64, usize)>,
    acks: Acks,
}

impl Pending {
    /// Adds acks of a stage. Those of another stage, or of another candidate, are forgotten: they say nothing of this.
    pub fn add(&mut self, id: u64, stage: usize, acks: Acks) {
        if self.of != Some((id, stage)) {
            *self = Pending { of: Some((id, stage)), acks: Acks::default() };
        }
        self.acks.add(acks);
    }
}

/// What a tick found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// How far it has come.
    pub progress: Progress,
    /// The acks within the window.
    pub acks: Acks,
    /// The step that this worker made, where it made one that is worth telling.
    pub transition: Option<Transition>,
}

/// One policy's part in its roll-out, on one worker.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// When the policy was configured, in Unix milliseconds.
    configured: u64,
    /// What the shared record said last of this candidate.
    last: Option<Progress>,
}

impl Part {
    /// The part of a policy that was `configured` then, in Unix milliseconds.
    pub fn new(configured: u64) -> Part {
        Part { configured, last: None }
    }

    /// The index of the stage that is served now.
    pub fn stage(&self, memory: &impl SharedMemory, rollout: &Rollout) -> Option<usize> {
        let (bytes, _) = memory.get(PROGRESS);
        let shared = Progress::decode(&bytes).filter(|progress| progress.id == rollout.id);
        // Superseded, this policy serves its last requests as it did before.
        shared.or(self.last)?.served()
    }

    /// Shares what this worker saw, and steps the roll-out. `now` is in Unix milliseconds. None where there is nothing
    /// to step: it has just been put down as fresh, or a newer policy has taken its place.
    pub fn tick(
        &mut self,
        memory: &impl SharedMemory,
        rollout: &Rollout,
        pending: &mut Pending,
        now: u64,
    ) -> Option<Standing> {
        let (bytes, version) = memory.get(PROGRESS);
        let shared = Progress::decode(&bytes);
        let Some(mut progress) = shared.filter(|progress| progress.id == rollout.id) else {
            if shared.is_none_or(|other| other.yields_to(self.configured, now)) {
                // Whoever comes first puts it down; the step that tells of it comes after.
                memory.set(PROGRESS, &Progress::fresh(rollout.id, self.configured, now).encode(), version);
            }
            return None;
        };
        progress.take_part(self.configured);
        let acks = share(memory, rollout, &progress, pending, now);
        let before = progress;
        let transition = progress.step(rollout, acks.health(&rollout.health), now);
        let won = memory.set(PROGRESS, &progress.encode(), version);
        let (progress, transition) = if won { (progress, transition) } else { (before, None) };
        self.last = Some(progress);
        Some(Standing { progress, acks, transition })
    }
}

/// Adds what this worker saw of the stage to the shared samples. Returns all of the window.
fn share(memory: &impl SharedMemory, rollout: &Rollout, progress: &Progress, pending: &mut Pending, now: u64) -> Acks {
    let taken = std::mem::take(pending);
    let mine = taken.acks.total > 0 && taken.of == progress.served().map(|stage| (progress.id, stage));
    let window = rollout.health.window;
    let mut sum = Acks::default();
    for _ in 0..ATTEMPTS {
        let (bytes, version) = memory.get(SAMPLES);
        let mut samples = Samples::read(&bytes, progress.id, progress.stage);
        if mine {
            samples.add(taken.acks, window, now);
        }
        sum = samples.sum(window, now);
        if !mine || memory.set(SAMPLES, &samples.encode(), version) {
            return sum;
        }
    }
    *pending = taken;
    sum
}
