//! Roll-outs that bring nothing in, or bring it in unseen.

use crate::json::{Node, Place};
use crate::policy::rollout::{Rollout, Stage, WHOLE, Who};
use crate::policy::units::write_duration;
use crate::policy::{Mode, Policy};

use super::{Advice, Concern};

pub(super) fn advise(document: &Node<'_>, policy: &Policy) -> Vec<Advice> {
    let (Some(rollout), Some(node)) = (&policy.rollout, document.member("rollout")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut add = |path: String, place: Place, concern| found.push(Advice { path, place, concern });
    let candidate = node.member("candidate").and_then(|node| node.place);
    let candidate_path = || "rollout.candidate".to_owned();
    let (current, brought_in) = (&policy.current, &rollout.candidate);
    if brought_in.mode == Mode::Shadow {
        add(candidate_path(), candidate, Concern::ShadowRollout);
    }
    if current.mode == brought_in.mode && current.rules == brought_in.rules {
        add(candidate_path(), candidate, Concern::IdleCandidate);
    }
    let health = node.member("health");
    if rollout.health.min_samples == 0 {
        let samples = health.and_then(|health| health.member("min_samples"));
        add("rollout.health.min_samples".to_owned(), samples.and_then(|node| node.place), Concern::NoSamples);
    }
    let nodes = node.member("stages").and_then(Node::elements).unwrap_or_default();
    let place = |index: usize| nodes.get(index).and_then(|node| node.place);
    for (index, stage) in rollout.stages.iter().enumerate() {
        let path = format!("rollout.stages[{index}]");
        if let Some(by) = reached_by(rollout, index) {
            add(path.clone(), place(index), Concern::IdleStage { by });
        }
        let window = rollout.health.window;
        if let Some(hold) = stage.hold.filter(|hold| *hold < window && index + 1 < rollout.stages.len()) {
            let concern = Concern::ShortHold { hold: write_duration(hold), window: write_duration(window) };
            add(path, place(index), concern);
        }
    }
    let whole = |stage: &Stage| stage.mode == Mode::Enforce && stage.who == Who::Share(WHOLE);
    if let Some(last) = rollout.stages.len().checked_sub(1).filter(|_| !rollout.stages.iter().any(whole)) {
        add(format!("rollout.stages[{last}]"), place(last), Concern::PartialRollout);
    }
    found
}

/// The first earlier stage that adds everybody whom the stage at `index` adds, and does as much for them.
fn reached_by(rollout: &Rollout, index: usize) -> Option<usize> {
    let Stage { who: Who::Share(share), mode, .. } = rollout.stages.get(index)? else {
        return None;
    };
    rollout.stages.iter().take(index).position(|earlier| {
        let as_much = earlier.mode == Mode::Enforce || *mode == Mode::Shadow;
        as_much && matches!(&earlier.who, Who::Share(reached) if reached >= share)
    })
}
