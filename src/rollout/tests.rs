//! A roll-out as several workers step it, on a clock that the tests hold.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Acks, Health, Part, Pending, Progress, Samples, Standing, State, Transition};
use crate::operation::Millis;
use crate::policy::rollout::{self, Rollout};
use crate::policy::tests::strategies::parse;
use crate::shared_memory::memory::Memory;

/// Between two ticks of a worker, in milliseconds.
const TICK: u64 = 200;
const START: u64 = 1_800_000_000_000;

fn rollout(version: &str, stages: Value, on_unhealthy: &str) -> Rollout {
    let document = json!({
        "apiVersion": "ackguard/v1", "traffic": [],
        "rollout": {
            "candidate": { "version": version }, "stages": stages, "on_unhealthy": on_unhealthy,
            "health": { "ack_success": 0.99, "p99": "300ms", "window": "30s", "min_samples": 100 },
        },
    });
    parse(&document).rollout.expect("a roll-out")
}

/// Two stages of ten seconds and one for ever.
fn staged(version: &str, on_unhealthy: &str) -> Rollout {
    let stages = json!([{ "percent": 5, "hold": "10s" }, { "tenants": ["a"], "hold": "10s" }, { "percent": 100 }]);
    rollout(version, stages, on_unhealthy)
}

/// Workers with one policy and one memory.
struct Workers<'m> {
    memory: &'m Memory,
    rollout: Rollout,
    parts: Vec<(Part, Pending)>,
    now: u64,
}

impl<'m> Workers<'m> {
    fn new(memory: &'m Memory, rollout: Rollout, count: usize, now: u64) -> Self {
        Workers { memory, rollout, parts: vec![(Part::new(now), Pending::default()); count], now }
    }

    /// Every worker sees `acks` of the candidate's consumers, and ticks; `times` over.
    fn tick(&mut self, times: u64, acks: Acks) -> Vec<Transition> {
        let mut made = Vec::new();
        for _ in 0..times {
            self.now += TICK;
            for index in 0..self.parts.len() {
                self.now += 1;
                made.extend(self.tick_one(index, acks).and_then(|standing| standing.transition));
            }
        }
        made
    }

    fn tick_one(&mut self, index: usize, acks: Acks) -> Option<Standing> {
        let (part, pending) = &mut self.parts[index];
        if let Some(stage) = part.stage(self.memory, &self.rollout) {
            pending.add(self.rollout.id, stage, acks);
        }
        part.tick(self.memory, &self.rollout, pending, self.now)
    }

    /// The stage that each worker serves.
    fn served(&self) -> Vec<Option<usize>> {
        self.parts.iter().map(|(part, _)| part.stage(self.memory, &self.rollout)).collect()
    }
}

fn good(total: u32) -> Acks {
    Acks { total, ..Acks::default() }
}

fn failed(total: u32, failed: u32) -> Acks {
    Acks { total, failed, slow: 0 }
}

/// Ticks that a stage of ten seconds lasts, with three workers.
const STAGE: u64 = 10_000 / (TICK + 3) + 1;

#[test]
fn a_healthy_roll_out_goes_through_its_stages_and_each_step_is_made_once() {
    let memory = Memory::default();
    let mut workers = Workers::new(&memory, staged("2", "rollback"), 3, START);
    assert_eq!(workers.served(), [None; 3]);
    assert_eq!(workers.tick(2, good(10)), [Transition::Started]);
    assert_eq!(workers.served(), [Some(0); 3]);
    assert_eq!(workers.tick(STAGE - 3, good(10)), []);
    assert_eq!(workers.tick(3, good(10)), [Transition::Advanced]);
    assert_eq!(workers.served(), [Some(1); 3]);
    assert_eq!(workers.tick(STAGE + 1, good(10)), [Transition::Advanced]);
    // The last stage holds for no time of its own, but its health is waited for.
    assert_eq!(workers.tick(STAGE, good(10)), [Transition::Completed]);
    assert_eq!(workers.tick(STAGE, good(10)), []);
    assert_eq!(workers.served(), [Some(2); 3]);
}

#[test]
fn too_few_acks_hold_a_stage_and_a_stage_that_decides_nothing_needs_none() {
    let memory = Memory::default();
    let mut workers = Workers::new(&memory, staged("2", "rollback"), 3, START);
    workers.tick(2, good(0));
    // 99 acks of each window of thirty seconds are one too few.
    assert_eq!(workers.tick(1, good(33)), []);
    assert_eq!(workers.tick(2 * STAGE, good(0)), []);
    assert_eq!(workers.served(), [Some(0); 3]);

    let memory = Memory::default();
    let stages = json!([{ "percent": 100, "mode": "shadow", "hold": "10s" }, { "percent": 100 }]);
    let mut workers = Workers::new(&memory, rollout("2", stages, "rollback"), 3, START);
    workers.tick(2, good(0));
    assert_eq!(workers.tick(STAGE + 1, good(0)), [Transition::Advanced]);
}

#[test]
fn an_unhealthy_candidate_is_taken_back_from_all_workers_by_the_first_that_sees_it() {
    for ill in [failed(100, 2), Acks { total: 100, failed: 0, slow: 2 }] {
        let memory = Memory::default();
        let mut workers = Workers::new(&memory, staged("2", "rollback"), 3, START);
        workers.tick(3, good(1));
        let standing = workers.tick_one(0, ill).expect("its own roll-out");
        assert_eq!(standing.transition, Some(Transition::RolledBack), "{ill:?}");
        assert_eq!(workers.served(), [None; 3]);
        // And never comes again by itself, not by a reload of the same candidate either.
        assert_eq!(workers.tick(4 * STAGE, good(100)), []);
        let mut reloaded = Workers::new(&memory, staged("2", "rollback"), 3, workers.now);
        assert_eq!(reloaded.tick(STAGE, good(100)), []);
        assert_eq!(reloaded.served(), [None; 3]);
    }
}

#[test]
fn one_failure_in_a_hundred_is_what_ninety_nine_percent_allow() {
    let wanted = rollout::Health { ack_success: 0.99, min_samples: 100, ..rollout::Health::default() };
    for (acks, health) in [
        (failed(99, 99), Health::Unknown),
        (failed(100, 1), Health::Well),
        (failed(100, 2), Health::Ill),
        (Acks { total: 100, failed: 0, slow: 1 }, Health::Well),
        (Acks { total: 100, failed: 0, slow: 2 }, Health::Ill),
        (Acks { total: 199, failed: 0, slow: 2 }, Health::Ill),
        (Acks { total: 200, failed: 2, slow: 2 }, Health::Well),
    ] {
        assert_eq!(acks.health(&wanted), health, "{acks:?}");
    }
    let none = rollout::Health { min_samples: 0, ..wanted };
    assert_eq!(Acks::default().health(&none), Health::Well);
}

#[test]
fn a_candidate_that_is_held_goes_on_when_it_is_well_again() {
    let memory = Memory::default();
    let mut workers = Workers::new(&memory, staged("2", "hold"), 3, START);
    workers.tick(3, good(1));
    assert_eq!(workers.tick(1, failed(100, 50)), [Transition::Held]);
    assert_eq!(workers.served(), [Some(0); 3]);
    assert_eq!(workers.tick(STAGE, good(1)), [], "the failures are in the window still");
    // Thirty seconds later they are not; the stage then lasts its ten seconds anew.
    let made = workers.tick(2 * STAGE + 5, good(2));
    assert_eq!(made, [Transition::Resumed]);
    assert_eq!(workers.tick(STAGE, good(2)), [Transition::Advanced]);
}

#[test]
fn a_reload_of_the_same_candidate_goes_on_and_another_one_begins_anew() {
    let memory = Memory::default();
    let mut workers = Workers::new(&memory, staged("2", "rollback"), 3, START);
    workers.tick(2, good(40));
    workers.tick(STAGE + 1, good(40));
    assert_eq!(workers.served(), [Some(1); 3]);
    let mut reloaded = Workers::new(&memory, staged("2", "rollback"), 3, workers.now);
    assert_eq!(reloaded.served(), [Some(1); 3], "from the first request on");
    assert_eq!(reloaded.tick(2, good(40)), []);

    let mut other = Workers::new(&memory, staged("3", "rollback"), 3, reloaded.now);
    assert_eq!(other.served(), [None; 3]);
    assert_eq!(other.tick(2, good(40)), [Transition::Started]);
    assert_eq!(other.served(), [Some(0); 3]);
    // The policy before serves its last requests as it did, and takes nothing back.
    reloaded.now = other.now;
    assert_eq!(reloaded.tick(3, good(40)), []);
    assert_eq!(reloaded.served(), [Some(1); 3]);
    assert_eq!(other.served(), [Some(0); 3]);
}

#[test]
fn fewer_stages_of_the_same_candidate_end_at_the_last_one() {
    let memory = Memory::default();
    let mut workers = Workers::new(&memory, staged("2", "rollback"), 1, START);
    workers.tick(2, good(100));
    workers.tick(STAGE + 2, good(100));
    assert_eq!(workers.served(), [Some(1)]);
    let shorter = rollout("2", json!([{ "percent": 5, "hold": "1h" }]), "rollback");
    let mut workers = Workers::new(&memory, shorter, 1, workers.now);
    workers.tick(1, good(100));
    assert_eq!(workers.served(), [Some(0)]);
}

#[test]
fn time_in_which_nobody_served_and_steps_of_the_clock_are_no_time_in_a_stage() {
    let rollout = staged("2", "rollback");
    let mut progress = Progress::fresh(rollout.id, START, START);
    progress.step(&rollout, Health::Well, START);
    // A night without Envoy, an hour back, an hour forward.
    for now in [START + 8 * 3_600_000, START + 7 * 3_600_000, START + 8 * 3_600_000] {
        assert_eq!(progress.step(&rollout, Health::Well, now), None);
    }
    assert_eq!(progress.elapsed, 0);
    assert_eq!(progress.stage, 0);
}

#[test]
fn a_newer_policy_takes_over_even_after_the_clock_was_set_back() {
    let memory = Memory::default();
    let mut workers = Workers::new(&memory, staged("2", "rollback"), 1, START);
    workers.tick(3, good(1));
    let mut other = Workers::new(&memory, staged("3", "rollback"), 1, START - 3_600_000);
    assert_eq!(other.tick(2, good(1)), [Transition::Started]);
}

#[test]
fn records_of_another_form_are_none() {
    let rollout = staged("2", "rollback");
    let progress = Progress::fresh(rollout.id, START, START);
    let bytes = progress.encode();
    assert_eq!(Progress::decode(&bytes), Some(progress));
    for wrong in [&bytes[..bytes.len() - 1], b"", &[2, 0, 0, 0], &[1, 9]] {
        assert_eq!(Progress::decode(wrong), None);
    }
    let mut samples = Samples::read(b"", 7, 1);
    samples.add(failed(9, 2), Millis(30_000), START);
    assert_eq!(Samples::read(&samples.encode(), 7, 1), samples);
    for (bytes, id, stage) in [(samples.encode(), 7, 2), (samples.encode(), 8, 1), (vec![1; 11], 7, 1)] {
        assert_eq!(Samples::read(&bytes, id, stage).sum(Millis(30_000), START), Acks::default());
    }
}

#[test]
fn an_ack_that_could_not_be_shared_is_shared_later() {
    let memory = Memory::default();
    let mut workers = Workers::new(&memory, staged("2", "rollback"), 1, START);
    workers.tick(3, good(1));
    memory.rivals.set(100);
    workers.tick(1, good(5));
    memory.rivals.set(0);
    let standing = workers.tick_one(0, good(1)).expect("its own roll-out");
    // One of the third tick of the first line, five that waited, and one more.
    assert_eq!(standing.acks, good(7));
}

proptest! {
    /// Whatever the workers see and whoever wins a race: at any moment all serve one stage, it goes one step at a time,
    /// and nobody is ever served a candidate that was taken back.
    #[test]
    fn all_workers_serve_one_stage(
        steps in proptest::collection::vec((0..4_usize, 0..200_u32, 0..6_u32, 0..3_000_u64, 0..4_u32), 1..200),
    ) {
        let memory = Memory::default();
        let mut workers = Workers::new(&memory, staged("2", "rollback"), 4, START);
        let mut reached = None;
        let mut back = false;
        for (worker, total, failures, passed, rivals) in steps {
            workers.now += passed;
            memory.rivals.set(rivals);
            let made = workers.tick_one(worker, failed(total, failures.min(total))).and_then(|it| it.transition);
            memory.rivals.set(0);
            let served = workers.served();
            prop_assert!(served.iter().all(|stage| *stage == served[0]), "{:?}", served);
            back |= made == Some(Transition::RolledBack);
            prop_assert!(!back || served[0].is_none());
            if let Some(stage) = served[0] {
                prop_assert!(Some(stage) == reached || stage == reached.map_or(0, |reached: usize| reached + 1));
                reached = Some(stage);
            }
        }
        let state = Progress::decode(&memory.values.borrow()["ackguard/rollout/progress"].0).map(|it| it.state);
        prop_assert_eq!(back, state == Some(State::RolledBack));
    }

    /// A window forgets what is older than it and nothing that is younger than all but one of its buckets.
    #[test]
    fn a_window_holds_what_came_within_it(ages in proptest::collection::vec(0..60_000_u64, 0..50)) {
        let window = Millis(30_000);
        let mut ages = ages;
        ages.sort_unstable_by(|one, other| other.cmp(one));
        let mut samples = Samples::read(b"", 1, 0);
        for age in &ages {
            samples.add(good(1), window, START - age);
        }
        let sum = samples.sum(window, START).total as usize;
        let younger = |than: u64| ages.iter().filter(|age| **age < than).count();
        prop_assert!((younger(29_000)..=younger(30_000)).contains(&sum), "{} of {:?}", sum, ages);
    }
}
