//! What always holds of the limits, with simulated workers and clocks.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// Time passes, in microseconds.
    Wait(u64),
    /// A worker asks so often for one token, and for all that it has borrowed just before that lapses. Just after,
    /// another asks for one token after the other until there is none.
    Lapse { worker: usize, times: u64, other: usize },
    /// A worker asks so often in a row.
    Ask { worker: usize, cost: u64, times: u64 },
    /// A worker's tick.
    Sweep(usize),
    /// A worker is trapped: its memory is gone.
    Trap(usize),
}

fn steps(workers: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop_oneof![0..2_000_u64, 0..80_000_u64, 0..3_000_000_u64].prop_map(Step::Wait),
        8 => (0..workers, 1..20_u64, 1..12_u64).prop_map(|(worker, cost, times)| Step::Ask { worker, cost, times }),
        1 => (0..workers, 1..200_u64, 0..workers).prop_map(|(worker, times, other)| Step::Lapse { worker, times, other }),
        2 => (0..workers).prop_map(Step::Sweep),
        1 => (0..workers).prop_map(Step::Trap),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_window_sees_more_than_rate_and_burst(
        rate in prop_oneof![1..50_u64, 50..100_000_u64],
        burst in 1..3_000_u64,
        workers in 1..5_usize,
        steps in steps(4),
    ) {
        let memory = Memory::default();
        let limit = limit("all", rate, burst);
        let mut limiters = vec![Limiter::default(); workers];
        let (mut now, mut passed) = (START, Passed::default());
        for step in steps {
            match step {
                Step::Wait(micros) => now += micros * 1_000,
                Step::Lapse { worker, times, other } => {
                    let (one, limiter) = (charge(&limit, "a", 1), &mut limiters[worker % workers]);
                    let mut ask = |limiter: &mut Limiter, times: u64, now: u64| {
                        let answers = (0..times).map(|_| limiter.ask(&memory, std::slice::from_ref(&one), now));
                        passed.0.push((now, answers.filter(|answer| matches!(answer, Payment::Paid(_))).count() as u64));
                    };
                    ask(limiter, times, now);
                    now = (now / SECOND + 2) * SECOND - 1;
                    let borrowed = in_hand(limiter, &one, now);
                    ask(limiter, borrowed, now);
                    now += 2;
                    passed.0.push((now, drain(&mut limiters[other % workers], &memory, &one, now)));
                }
                Step::Ask { worker, cost, times } => for _ in 0..times {
                    let answer = limiters[worker % workers].ask(&memory, &[charge(&limit, "a", cost)], now);
                    if let Payment::Paid(_) = answer {
                        passed.0.push((now, cost));
                    }
                },
                Step::Sweep(worker) => limiters[worker % workers].sweep(&memory, now),
                Step::Trap(worker) => limiters[worker % workers] = Limiter::default(),
            }
        }
        prop_assert!(passed.most_over(rate, burst) <= 0);
    }

    #[test]
    fn all_limits_agree_or_none_is_charged(
        // Large enough for loans, and for some to be used up before the others.
        bursts in prop::collection::vec(320..900_u64, 1..4),
        asks in prop::collection::vec((0..2_usize, 1..30_u64, 0..1_000_u64), 1..100),
    ) {
        let (memory, rate) = (Memory::default(), 1_000);
        let limits: Vec<Limit> =
            bursts.iter().enumerate().map(|(index, burst)| limit(&format!("l{index}"), rate, *burst)).collect();
        let charges = |cost: u64| limits.iter().map(|limit| charge(limit, "a", cost)).collect::<Vec<_>>();
        let mut limiters = vec![Limiter::default(); 2];
        let (mut now, mut passed) = (START, Passed::default());
        // So much at first that no bucket is full again before the end, where what comes in would be lost.
        let asks = std::iter::once((0, 300, 0)).chain(asks);
        for (worker, cost, micros) in asks {
            now += micros * 1_000;
            match limiters[worker].ask(&memory, &charges(cost), now) {
                Payment::Paid(paid) => {
                    prop_assert_eq!(paid.len(), limits.len());
                    passed.0.push((now, cost));
                }
                Payment::Refused { throttle: Throttle::TooCostly { .. }, .. } => prop_assert!(false),
                Payment::Refused { .. } => {}
            }
        }
        let least = bursts.iter().min().copied().unwrap_or_default();
        prop_assert!(passed.most_over(rate, least) <= 0);
        // Nothing of what was refused is missing, and nothing of what passed is left.
        now += 100 * MILLISECOND;
        limiters.iter_mut().for_each(|limiter| limiter.sweep(&memory, now));
        for limit in &limits {
            let burst = limit.terms().map_or(0, |terms| terms.burst());
            let left = burst + (now - START) * rate / SECOND - passed.sum();
            let passes = |cost: u64| {
                let answer = Limiter::default().ask(&memory, &[charge(limit, "a", cost)], now);
                matches!(answer, Payment::Paid(_))
            };
            prop_assert_eq!((passes(left + 1), left == 0 || passes(left)), (false, true), "{} left", left);
        }
    }

    #[test]
    fn a_clock_that_was_set_gives_a_burst_at_most_and_never_stops_the_bucket(back in 1..400_000_u64, rate in 10..1_000_u64) {
        let memory = Memory::default();
        let limit = limit("all", rate, 50);
        let mut limiter = Limiter::default();
        let drain = |limiter: &mut Limiter, now: u64| drain(limiter, &memory, &charge(&limit, "a", 1), now);
        prop_assert_eq!(drain(&mut limiter, START), 50);
        let set_back = START - back * MILLISECOND;
        prop_assert_eq!(drain(&mut limiter, set_back), 0);
        // Within the second that a worker may be out of step, time goes on once that has passed.
        let later = set_back + 2 * SECOND;
        let came_in = drain(&mut limiter, later);
        prop_assert!(came_in >= rate.min(50) && came_in <= 50, "{came_in}");
        prop_assert!(drain(&mut limiter, later + 3_600 * SECOND) <= 50);
    }
}

/// What happens to the keys of one slot.
#[derive(Clone, Debug)]
enum Crowded {
    /// Time passes, in microseconds.
    Wait(u64),
    /// A worker asks for a key so often in a row.
    Ask { worker: usize, key: usize, cost: u64, times: u64 },
    /// A worker asks for three quarters of each key's burst.
    Crowd(usize),
    /// All workers ask for one token of a key after the other until there is none.
    Drain(usize),
}

fn crowded() -> impl Strategy<Value = Crowded> {
    // A few keys are busy.
    let key = || prop_oneof![0..3_usize, 0..40_usize];
    prop_oneof![
        4 => prop_oneof![0..400_u64, 0..80_000_u64, 0..900_000_u64].prop_map(Crowded::Wait),
        6 => (0..3_usize, key(), 1..10_u64, 1..40_u64)
            .prop_map(|(worker, key, cost, times)| Crowded::Ask { worker, key, cost, times }),
        1 => (0..3_usize).prop_map(Crowded::Crowd),
        2 => key().prop_map(Crowded::Drain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn however_many_keys_there_are_each_is_held_to_its_limit(
        (rate, burst) in prop_oneof![Just((20, 10)), (500..20_000_u64, 100..800_u64)],
        steps in prop::collection::vec(crowded(), 1..400),
    ) {
        // Long names, so that few buckets fit into a slot and each is forgotten again and again.
        let tenant = |index: usize| format!("{index:05}{}", "x".repeat(235));
        let memory = Memory::default();
        ledger::salt(&memory, START);
        let limit = limit("each", rate, burst);
        let tenants = of_one_slot(&limit, &tenant, 40);
        let charge = |index: usize, cost: u64| charge(&limit, &tenants[index], cost);
        let mut limiters = vec![Limiter::default(); 3];
        let mut now = START;
        let mut passed: Vec<Passed> = (0..40).map(|_| Passed::default()).collect();
        for step in steps {
            match step {
                Crowded::Wait(micros) => now += micros * 1_000,
                Crowded::Ask { worker, key, cost, times } => for _ in 0..times {
                    if let Payment::Paid(_) = limiters[worker].ask(&memory, &[charge(key, cost)], now) {
                        passed[key].0.push((now, cost));
                    }
                },
                Crowded::Crowd(worker) => for (key, passed) in passed.iter_mut().enumerate() {
                    for _ in 0..3 {
                        if let Payment::Paid(_) = limiters[worker].ask(&memory, &[charge(key, burst / 4)], now) {
                            passed.0.push((now, burst / 4));
                        }
                    }
                },
                Crowded::Drain(key) => for limiter in &mut limiters {
                    passed[key].0.push((now, drain(limiter, &memory, &charge(key, 1), now)));
                },
            }
        }
        for passed in &passed {
            prop_assert!(passed.most_over(rate, burst) <= 0);
        }
        let values = memory.values.borrow();
        prop_assert!(values.len() <= 2, "a slot and the salt");
        prop_assert!(values.values().all(|(slot, _)| slot.len() <= 4_096));
    }

    #[test]
    fn full_demand_gets_nearly_all_of_the_rate(
        rate in 100..5_000_u64,
        burst in 20..2_000_u64,
        workers in 1..5_usize,
        busy in 1..5_usize,
        cost in 1..4_u64,
    ) {
        let memory = Memory::default();
        let limit = limit("all", rate, burst);
        let mut limiters = vec![Limiter::default(); workers];
        let (mut passed, seconds) = (Passed::default(), 2);
        // Demand comes unevenly: the busy workers ask all the time, the others once in a while.
        for tick in 0..seconds * 1_000 {
            let now = START + tick * MILLISECOND;
            for (worker, limiter) in limiters.iter_mut().enumerate() {
                if worker >= busy && tick % 400 != 0 {
                    continue;
                }
                while let Payment::Paid(_) = limiter.ask(&memory, &[charge(&limit, "a", cost)], now) {
                    passed.0.push((now, cost));
                }
            }
            if tick % 200 == 0 {
                limiters.iter_mut().for_each(|limiter| limiter.sweep(&memory, now));
            }
        }
        let wanted = rate * seconds;
        prop_assert!(passed.sum() * 100 >= wanted * 98, "{} of {wanted}", passed.sum());
        prop_assert!(passed.sum() <= wanted + burst);
    }
}
