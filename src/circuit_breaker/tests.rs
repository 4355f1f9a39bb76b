use proptest::collection::vec;
use proptest::prelude::*;

use super::{CircuitBreaker, Condition, Permit, Settings, TELLS_FOR};

const SETTINGS: Settings = Settings { trip_after: 3, open_for: 1_000 };

fn failing(breaker: &mut CircuitBreaker, calls: u32, now: u64) {
    for _ in 0..calls {
        let permit = breaker.permit(now).expect("a closed breaker passes");
        breaker.settle(permit, false, now);
    }
}

#[test]
fn it_opens_after_so_many_failures_in_a_row() {
    let mut breaker = CircuitBreaker::new(SETTINGS);
    failing(&mut breaker, 2, 0);
    let permit = breaker.permit(0).unwrap();
    breaker.settle(permit, true, 0);
    failing(&mut breaker, 2, 0);
    assert!(breaker.permit(0).is_some(), "a success between them breaks the row");
    failing(&mut breaker, 1, 0);
    assert_eq!(breaker.permit(999), None);
}

#[test]
fn a_trial_decides_when_its_time_is_over() {
    for (success, then) in [(true, true), (false, false)] {
        let mut breaker = CircuitBreaker::new(SETTINGS);
        failing(&mut breaker, 3, 0);
        let trial = breaker.permit(1_000).expect("a trial");
        assert_eq!(breaker.permit(1_000), None, "one trial and no more");
        breaker.settle(trial, success, 1_100);
        assert_eq!(breaker.permit(1_100).is_some(), then);
        assert_eq!(breaker.permit(2_099).is_some(), then);
        assert!(breaker.permit(2_100).is_some());
    }
}

#[test]
fn what_it_says_of_itself_counts_for_a_minute() {
    let mut breaker = CircuitBreaker::new(SETTINGS);
    assert_eq!(breaker.condition(0), Condition::Closed);
    failing(&mut breaker, 3, 0);
    for (now, condition) in [
        (999, Condition::Open),
        (1_000, Condition::HalfOpen),
        (TELLS_FOR - 1, Condition::HalfOpen),
        (TELLS_FOR, Condition::Closed),
    ] {
        assert_eq!(breaker.condition(now), condition, "at {now}");
    }
    // It is asked again: what was true is true still.
    let trial = breaker.permit(TELLS_FOR).expect("a trial");
    assert_eq!(breaker.permit(TELLS_FOR), None, "one trial and no more");
    assert_eq!(breaker.condition(2 * TELLS_FOR - 1), Condition::HalfOpen);
    assert_eq!(breaker.condition(2 * TELLS_FOR), Condition::Closed, "of the trial nothing was heard");
    breaker.settle(trial, false, 2 * TELLS_FOR);
    assert_eq!(breaker.condition(2 * TELLS_FOR), Condition::Open);
    // A clock that is set back for long ends it too, instead of keeping it for as long.
    assert_eq!(breaker.condition(TELLS_FOR), Condition::Closed);
    assert_eq!(breaker.condition(2 * TELLS_FOR - 1), Condition::HalfOpen);
}

#[test]
fn a_trial_that_is_never_heard_of_makes_room_for_another() {
    let mut breaker = CircuitBreaker::new(SETTINGS);
    failing(&mut breaker, 3, 0);
    let lost = breaker.permit(1_000).expect("a trial");
    assert_eq!(breaker.permit(1_999), None);
    let trial = breaker.permit(2_000).expect("another");
    breaker.settle(lost, true, 2_001);
    assert_eq!(breaker.permit(2_001), None, "the lost one decides nothing any more");
    breaker.settle(trial, true, 2_002);
    assert!(breaker.permit(2_002).is_some());
}

#[test]
fn a_result_from_before_it_opened_neither_closes_it_nor_keeps_it_open() {
    let mut breaker = CircuitBreaker::new(SETTINGS);
    let (early, other) = (breaker.permit(0).unwrap(), breaker.permit(0).unwrap());
    failing(&mut breaker, 3, 0);
    breaker.settle(early, true, 500);
    assert_eq!(breaker.permit(500), None);
    breaker.settle(other, false, 900);
    assert!(breaker.permit(1_000).is_some(), "the time counts from when it opened");
}

#[test]
fn a_clock_that_steps_back_does_not_keep_it_open() {
    let mut breaker = CircuitBreaker::new(SETTINGS);
    failing(&mut breaker, 3, 1_000_000);
    assert!(breaker.permit(5).is_some());
}

/// What happens next: the clock goes on, a call is asked for, or one under way ends.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Call,
    End { which: usize, success: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..700_u64).prop_map(Step::Wait),
        Just(Step::Call),
        (any::<usize>(), prop::bool::weighted(0.4)).prop_map(|(which, success)| Step::End { which, success }),
    ]
}

proptest! {
    /// Between the failure that opened it and the end of its time nothing passes; then one trial passes in that time.
    #[test]
    fn a_service_that_only_fails_is_asked_once_in_each_time(steps in vec(step(), 1..200)) {
        let mut breaker = CircuitBreaker::new(SETTINGS);
        failing(&mut breaker, SETTINGS.trip_after, 0);
        let (mut now, mut asked) = (0, 0);
        let mut trials: Vec<Permit> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(time) => now += time,
                Step::Call => {
                    if let Some(permit) = breaker.permit(now) {
                        prop_assert!(now - asked >= SETTINGS.open_for, "asked at {asked} and at {now}");
                        asked = now;
                        trials.push(permit);
                    }
                }
                Step::End { .. } => trials.drain(..).for_each(|trial| breaker.settle(trial, false, now)),
            }
        }
    }

    /// However it went before: once its service succeeds again, it passes everything after one time more.
    #[test]
    fn it_closes_again_whatever_has_happened(steps in vec(step(), 0..200)) {
        let mut breaker = CircuitBreaker::new(SETTINGS);
        let mut now = 0;
        let mut under_way: Vec<Permit> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(time) => now += time,
                Step::Call => under_way.extend(breaker.permit(now)),
                Step::End { which, success } => {
                    if !under_way.is_empty() {
                        let permit = under_way.swap_remove(which % under_way.len());
                        breaker.settle(permit, success, now);
                    }
                }
            }
        }
        now += SETTINGS.open_for;
        let permit = breaker.permit(now);
        prop_assert!(permit.is_some());
        breaker.settle(permit.unwrap(), true, now);
        prop_assert!(breaker.permit(now).is_some() && breaker.permit(now).is_some());
    }
}
