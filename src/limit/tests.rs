//! What always holds of the limits, with simulated workers and clocks.

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;

use super::bill::{Charge, Facts};
use super::{Limiter, Payment, Trouble, ledger};
use crate::operation::{Kind, Millis, Tenant};
use crate::policy::Mode;
use crate::policy::limit::{Cost, Key, Limit, Operations, Rate, Reach};
use crate::policy::verdict::Throttle;
use crate::shared_memory::SharedMemory;
use crate::shared_memory::memory::Memory;

/// A time to begin at: some day of 2026, in Unix nanoseconds.
const START: u64 = 1_790_000_000_123_456_789;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

fn limit(name: &str, tokens: u64, burst: u64) -> Limit {
    Limit {
        name: Rc::from(name),
        operations: Operations::ANY,
        key: vec![Key::Tenant],
        cost: Cost::Messages,
        over: Mode::Enforce,
        reach: Reach::Local { rate: Rate { tokens, period: Millis(1_000) }, burst },
    }
}

fn charge(limit: &Limit, tenant: &str, cost: u64) -> Charge {
    let tenant = Tenant(tenant.to_owned());
    let facts =
        Facts { kind: Kind::Publish, tenant: &tenant, topic: None, group: None, client: "", messages: cost, bytes: 0 };
    Charge::of(&Rc::new(limit.clone()), &facts).expect("a local limit for every operation")
}

/// Asks for one token after the other until there is none; how many there were.
fn drain(limiter: &mut Limiter, memory: &impl SharedMemory, charge: &Charge, now: u64) -> u64 {
    let mut count = 0;
    while let Payment::Paid(_) = limiter.ask(memory, std::slice::from_ref(charge), now) {
        count += charge.cost;
    }
    count
}

/// Shared memory that counts how often it is read.
#[derive(Default)]
struct Counted(Memory, Cell<u32>);

impl SharedMemory for Counted {
    fn get(&self, key: &str) -> (Vec<u8>, Option<u32>) {
        self.1.set(self.1.get() + 1);
        self.0.get(key)
    }
    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        self.0.set(key, value, version)
    }
}

/// How many tokens of a charge a worker has in hand.
fn in_hand(limiter: &Limiter, charge: &Charge, now: u64) -> u64 {
    let (mut limiter, memory) = (limiter.clone(), Counted::default());
    let mut count = 0;
    loop {
        limiter.ask(&memory, std::slice::from_ref(charge), now);
        if memory.1.get() > 0 {
            return count;
        }
        count += charge.cost;
    }
}

/// What was let through, and when.
#[derive(Default)]
struct Passed(Vec<(u64, u64)>);

impl Passed {
    /// The most tokens by which a window is over `rate · t + burst`; negative where each is under it. In exact numbers:
    /// both sides times the nanoseconds of a second.
    fn most_over(&self, rate: u64, burst: u64) -> i128 {
        let second = i128::from(SECOND);
        let mut worst = i128::MIN;
        for (index, (from, _)) in self.0.iter().enumerate() {
            let mut sum = 0;
            for (to, tokens) in &self.0[index..] {
                sum += i128::from(*tokens);
                let allowed = i128::from(to - from) * i128::from(rate) + i128::from(burst) * second;
                worst = worst.max(sum * second - allowed);
            }
        }
        worst
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|(_, tokens)| tokens).sum()
    }
}

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

/// So many tenants whose buckets stand in the same slot where the salt is [`START`].
fn of_one_slot(limit: &Limit, tenant: &dyn Fn(usize) -> String, count: usize) -> Vec<String> {
    let place = |index: usize| ledger::place(START, &limit.name, &charge(limit, &tenant(index), 1).key);
    (0..).filter(|index| place(*index) == place(0)).take(count).map(tenant).collect()
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

#[test]
fn a_loan_that_lapses_counts_as_used_at_that_moment() {
    let (memory, limit) = (Memory::default(), limit("all", 1_000, 1_000));
    let (one, epoch) = (charge(&limit, "a", 1), START / SECOND * SECOND);
    let (mut limiter, mut passed) = (Limiter::default(), Passed::default());
    let mut use_one = |limiter: &mut Limiter, now: u64| {
        assert!(matches!(limiter.ask(&memory, std::slice::from_ref(&one), now), Payment::Paid(_)));
        passed.0.push((now, 1));
    };
    let borrowed = epoch + 951 * MILLISECOND;
    while in_hand(&limiter, &one, borrowed) < 50 {
        use_one(&mut limiter, borrowed);
    }
    // It is in use all the time, so it does not go back.
    for count in 1..=11 {
        use_one(&mut limiter, borrowed + count * 90 * MILLISECOND);
    }
    let last = epoch + 2 * SECOND - MILLISECOND / 10;
    assert_eq!(in_hand(&limiter, &one, last), 39);
    for _ in 0..39 {
        use_one(&mut limiter, last);
    }
    let lapsed = epoch + 2 * SECOND + 1_000;
    passed.0.push((lapsed, drain(&mut Limiter::default(), &memory, &one, lapsed)));
    assert!(passed.most_over(1_000, 1_000) <= 0, "{} passed", passed.sum());
}

#[test]
fn a_full_bucket_gives_its_burst_and_then_a_token_each_time_that_one_comes_in() {
    for (tokens, period, burst) in [(1_000_000_000, 1_000, 70_000), (7, 1_000, 1_000), (7, 60_000, 3)] {
        let rate = Rate { tokens, period: Millis(period) };
        let limit = Limit { reach: Reach::Local { rate, burst }, ..limit("all", 1, 1) };
        let memory = Memory::default();
        let paid = |cost: u64, now: u64| {
            let answer = Limiter::default().ask(&memory, &[charge(&limit, "a", cost)], now);
            matches!(answer, Payment::Paid(_))
        };
        let token = (period.unsigned_abs() * MILLISECOND).div_ceil(tokens);
        assert_eq!((paid(burst - 1, START), paid(1, START), paid(1, START)), (true, true, false), "{rate:?}");
        for count in 1..=burst.min(20) {
            assert_eq!(
                [paid(1, START + count * token), paid(1, START + count * token)],
                [true, false],
                "{rate:?}, {count}"
            );
        }
    }
}

#[test]
fn a_hot_key_asks_shared_memory_seldom() {
    let memory = Counted::default();
    let limit = limit("all", 10_000, 20_000);
    let mut limiter = Limiter::default();
    for request in 0..10_000 {
        let now = START + request * 200_000;
        assert!(matches!(limiter.ask(&memory, &[charge(&limit, "a", 1)], now), Payment::Paid(_)));
    }
    // Half of the rate is asked for; a loan is what comes in within 50 ms, which is 500 tokens.
    assert!(memory.1.get() <= 40, "{} round trips", memory.1.get());
}

#[test]
fn who_is_refused_asks_shared_memory_no_more_until_there_may_be_something() {
    let memory = Memory::default();
    let limit = limit("all", 10, 1);
    let mut limiter = Limiter::default();
    let mut ask = |now: u64| limiter.ask(&memory, &[charge(&limit, "a", 1)], now);
    assert!(matches!(ask(START), Payment::Paid(_)));
    let wait = |throttle| Payment::Refused { index: 0, throttle };
    let in_ms = |wait: i64| Throttle::Wait { wait: Millis(wait), left: 0 };
    assert_eq!(ask(START), wait(in_ms(100)));
    memory.values.borrow_mut().clear();
    assert_eq!(ask(START + 40 * MILLISECOND), wait(in_ms(60)), "from memory of its own");
    assert!(matches!(ask(START + 100 * MILLISECOND), Payment::Paid(_)));
}

#[test]
fn what_is_put_back_is_there_at_once_for_its_worker_and_within_a_second_for_the_others() {
    let memory = Memory::default();
    let limit = limit("all", 1, 1);
    let limit =
        Limit { reach: Reach::Local { rate: Rate { tokens: 10, period: Millis(3_600_000) }, burst: 1 }, ..limit };
    let charges = [charge(&limit, "a", 1)];
    let mut limiters = [Limiter::default(), Limiter::default()];
    let waits = |answer: Payment, wait: i64| {
        assert_eq!(answer, Payment::Refused { index: 0, throttle: Throttle::Wait { wait: Millis(wait), left: 0 } });
    };
    let Payment::Paid(paid) = limiters[0].ask(&memory, &charges, START) else { panic!() };
    for limiter in &mut limiters {
        waits(limiter.ask(&memory, &charges, START), 360_000);
        // From memory, and still with the whole time.
        waits(limiter.ask(&Memory::default(), &charges, START + 999 * MILLISECOND), 359_001);
    }
    let now = START + SECOND;
    limiters[0].refund(&memory, &charges, &paid, now);
    let Payment::Paid(paid) = limiters[0].ask(&memory, &charges, now) else { panic!("it is there again") };
    limiters[0].refund(&memory, &charges, &paid, now);
    assert!(matches!(limiters[1].ask(&memory, &charges, now), Payment::Paid(_)));
}

#[test]
fn idle_tokens_go_back_to_the_bucket() {
    let memory = Memory::default();
    let limit = limit("all", 1_000, 200);
    let mut limiters = [Limiter::default(), Limiter::default()];
    let mut now = START;
    for _ in 0..40 {
        assert!(matches!(limiters[0].ask(&memory, &[charge(&limit, "a", 1)], now), Payment::Paid(_)));
        now += MILLISECOND;
    }
    // Long enough to be idle and to fill the bucket, but for what is lent.
    now += 300 * MILLISECOND;
    let whole = [charge(&limit, "a", 200)];
    assert!(matches!(limiters[1].ask(&memory, &whole, now), Payment::Refused { .. }), "some of it is lent");
    limiters[0].sweep(&memory, now);
    assert!(limiters[0].is_idle());
    now += 20 * MILLISECOND;
    limiters[1] = Limiter::default();
    assert!(matches!(limiters[1].ask(&memory, &whole, now), Payment::Paid(_)));
}

#[test]
fn a_changed_limit_finds_its_buckets_as_full_in_proportion_as_they_were() {
    let memory = Memory::default();
    let mut limiter = Limiter::default();
    let pass = |limiter: &mut Limiter, limit: &Limit, now: u64| drain(limiter, &memory, &charge(limit, "a", 1), now);
    let old = limit("all", 1, 100);
    for _ in 0..75 {
        limiter.ask(&memory, &[charge(&old, "a", 1)], START);
    }
    // A quarter is left, less what the worker had in hand under the old terms.
    let left = pass(&mut limiter, &limit("all", 7, 1_000), START);
    assert!((240..=250).contains(&left), "{left} of 250");
    assert_eq!(pass(&mut limiter, &limit("all", 1, 10), START), 0);
    assert_eq!(pass(&mut limiter, &limit("another", 1, 10), START), 10);
}

#[test]
fn two_workers_that_make_a_bucket_at_once_lose_nothing() {
    /// Before the first write to a key, another worker takes a token.
    struct Raced<'m> {
        memory: &'m Memory,
        at: &'m str,
        rival: Cell<Option<Limiter>>,
        limit: &'m Limit,
    }
    impl SharedMemory for Raced<'_> {
        fn get(&self, key: &str) -> (Vec<u8>, Option<u32>) {
            self.memory.get(key)
        }
        fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
            if key == self.at
                && let Some(mut rival) = self.rival.take()
            {
                let answer = rival.ask(self.memory, &[charge(self.limit, "a", 1)], START + 1);
                assert!(matches!(answer, Payment::Paid(_)));
            }
            self.memory.set(key, value, version)
        }
    }
    let limit = limit("all", 1, 2);
    let bucket = ledger::place(START, "all", &charge(&limit, "a", 1).key);
    for at in [ledger::SALT, &bucket] {
        let memory = Memory::default();
        let raced = Raced { memory: &memory, at, rival: Cell::new(Some(Limiter::default())), limit: &limit };
        let mut limiter = Limiter::default();
        let passed = 1 + drain(&mut limiter, &raced, &charge(&limit, "a", 1), START);
        assert_eq!((passed, raced.rival.take().is_some()), (2, false), "{at}");
    }
}

#[test]
fn a_bucket_that_too_many_write_at_once_lets_nothing_through_and_counts_it() {
    let (memory, limit) = (Memory::default(), limit("all", 1, 2));
    let mut limiter = Limiter::default();
    limiter.ask(&memory, &[charge(&limit, "a", 1)], START);
    memory.rivals.set(3);
    assert!(matches!(limiter.ask(&memory, &[charge(&limit, "a", 1)], START), Payment::Paid(_)), "three rivals");
    memory.rivals.set(1_000);
    let mut other = Limiter::default();
    assert!(matches!(other.ask(&memory, &[charge(&limit, "a", 1)], START + SECOND), Payment::Refused { .. }));
    assert_eq!(other.trouble(), Trouble { contended: 1, ..Trouble::default() });
    assert_eq!(other.trouble(), Trouble::default());
}

#[test]
fn what_does_not_reach_its_bucket_is_counted_and_is_no_refusal() {
    let (memory, limit) = (Memory::default(), limit("all", 1_000, 1_000));
    let charges = [charge(&limit, "a", 1)];
    let mut limiter = Limiter::default();
    let Payment::Paid(paid) = limiter.ask(&memory, &charges, START) else { panic!() };
    limiter.ask(&memory, &charges, START);
    assert!(in_hand(&limiter, &charges[0], START) > 0);
    memory.rivals.set(1_000);
    limiter.refund(&memory, &charges, &paid, START);
    limiter.charge(&memory, &charges[0], START);
    limiter.sweep(&memory, START + SECOND / 2);
    assert_eq!(limiter.trouble(), Trouble { lost: 3, ..Trouble::default() });
}

#[test]
fn what_is_charged_after_the_fact_makes_the_next_ones_wait() {
    let (memory, limit) = (Memory::default(), limit("all", 10, 10));
    let mut limiter = Limiter::default();
    assert!(matches!(limiter.ask(&memory, &[charge(&limit, "a", 1)], START), Payment::Paid(_)));
    limiter.charge(&memory, &charge(&limit, "a", 31), START);
    let refused = |now: u64| Limiter::default().ask(&memory, &[charge(&limit, "a", 1)], now);
    let Payment::Refused { throttle: Throttle::Wait { wait, left: 0 }, .. } = refused(START) else { panic!() };
    assert_eq!(wait, Millis(2_300));
    assert!(matches!(refused(START + 2_300 * MILLISECOND), Payment::Paid(_)));
}

#[test]
fn bytes_that_are_no_slot_are_an_empty_one() {
    let limit = limit("all", 1, 3);
    for bytes in [&b"\x02"[..], b"\x01", b"\x01abc", &[1; 17], &[1; 60], &[0xFF; 4_000]] {
        let memory = Memory::default();
        let mut limiter = Limiter::default();
        limiter.ask(&memory, &[charge(&limit, "a", 1)], START);
        let key = memory.values.borrow().keys().find(|key| *key != ledger::SALT).cloned().unwrap();
        memory.values.borrow_mut().insert(key, (bytes.to_vec(), 7));
        // Whatever it says, it is read without harm, and written whole again.
        Limiter::default().ask(&memory, &[charge(&limit, "a", 1)], START + 100_000 * SECOND);
    }
}

#[test]
fn what_a_slow_limit_forgets_does_not_weigh_on_a_quick_one() {
    // Their slots are the same.
    let (slow, quick) = (limit("slow", 1, 1), limit("quick-16", 10, 5));
    let slow = Limit { reach: Reach::Local { rate: Rate { tokens: 1, period: Millis(3_600_000) }, burst: 1 }, ..slow };
    let memory = Memory::default();
    let mut limiter = Limiter::default();
    for tenant in 0..60_000 {
        limiter.ask(&memory, &[charge(&slow, &format!("tenant-{tenant}"), 1)], START);
    }
    let slots = memory.values.borrow().len();
    assert!(limiter.trouble().evicted > 400);
    for tenant in 0..500 {
        let tenant = format!("tenant-{tenant}");
        assert!(matches!(limiter.ask(&memory, &[charge(&quick, &tenant, 1)], START), Payment::Paid(_)), "{tenant}");
    }
    assert_eq!(memory.values.borrow().len(), slots, "the same slots");
    // A newcomer of the slow limit finds nothing where another was forgotten.
    let refused = |limit: &Limit| {
        let ask = |tenant: usize| [charge(limit, &format!("new-{tenant}"), 1)];
        (0..100)
            .filter(|tenant| matches!(Limiter::default().ask(&memory, &ask(*tenant), START), Payment::Refused { .. }))
            .count()
    };
    assert_eq!((refused(&slow) > 90, refused(&quick)), (true, 0));
}

#[test]
fn nobody_can_choose_keys_of_one_slot() {
    let limit = limit("all", 1, 1);
    let tenants = of_one_slot(&limit, &|index| format!("tenant-{index}"), 60);
    let slots = |salt: u64| {
        let memory = Memory::default();
        // Each worker asks for some of them, the first at the time that becomes the salt.
        let mut limiters = vec![Limiter::default(); 4];
        for (index, tenant) in tenants.iter().enumerate() {
            let now = salt + index as u64;
            assert!(matches!(limiters[index % 4].ask(&memory, &[charge(&limit, tenant, 1)], now), Payment::Paid(_)));
        }
        assert_eq!(memory.get(ledger::SALT).0, salt.to_le_bytes());
        memory.values.borrow().len() - 1
    };
    assert_eq!(slots(START), 1);
    assert!(slots(START + 1) > 40);
}

#[test]
fn many_more_tenants_than_fit_take_no_more_memory_than_the_slots() {
    let (memory, limit) = (Memory::default(), limit("all", 10, 5));
    let mut limiter = Limiter::default();
    let mut evicted = 0;
    for tenant in 0..120_000 {
        let now = START + tenant * 1_000;
        limiter.ask(&memory, &[charge(&limit, &format!("tenant-{tenant}"), 1)], now);
        evicted += u64::from(limiter.trouble().evicted);
    }
    assert!(evicted > 10_000, "{evicted}");
    let values = memory.values.borrow();
    assert!(values.len() <= 1 + 512, "the salt, and the slots of one limit: {}", values.len());
    assert!(values.values().all(|(slot, _)| slot.len() <= 4_096));
    drop(values);
    limiter.sweep(&memory, START + 3_600 * SECOND);
    assert!(limiter.is_idle());
}
