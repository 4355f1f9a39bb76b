//! What buckets do, case by case.

use super::*;

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
