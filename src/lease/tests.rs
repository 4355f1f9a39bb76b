//! The table, and a model of a broker that must never hold more of a group than the bound.

use std::collections::HashMap;

use proptest::prelude::*;

use super::slot::SLOT_BYTES;
use super::*;
use crate::operation::Receipt;
use crate::shared_memory::memory::Memory;

const NOW: u64 = 1_800_000_000_000;

fn holder(group: &str) -> Holder {
    Holder::new(Dialect::Tmq, &Group(group.to_owned()))
}

fn ask(messages: u32, bound: u32) -> Ask {
    Ask { messages, least: 1, bound, wait: Millis(0) }
}

fn begun(receipt: &str, ack_timeout: i64) -> LeaseChange {
    LeaseChange::Begun { receipt: Receipt::of(receipt), ack_timeout: Millis(ack_timeout) }
}

fn ended(receipt: &str) -> LeaseChange {
    LeaseChange::Ended { receipt: Receipt::of(receipt) }
}

fn granted(memory: &Memory, holder: &Holder, ask: Ask, now: u64) -> (u32, Reservation) {
    match reserve(memory, holder, ask, now) {
        Grant::Granted { messages, reservation } => (messages, reservation),
        grant => panic!("{grant:?}"),
    }
}

#[test]
fn a_pull_is_cut_to_what_is_left_and_throttled_where_nothing_is() {
    let (memory, group) = (Memory::default(), holder("g"));
    let (messages, first) = granted(&memory, &group, ask(16, 20), NOW);
    assert_eq!(messages, 16);
    let (messages, second) = granted(&memory, &group, ask(16, 20), NOW);
    assert_eq!(messages, 4);
    assert_eq!(reserve(&memory, &group, ask(1, 20), NOW), Grant::Full { retry_after: Millis(1_000) });
    // The first brought three of its sixteen, the second nothing.
    let leases = ["a", "b", "c"].map(|receipt| begun(receipt, 300));
    assert_eq!(update(&memory, &group, Some(first), &leases, NOW), Tracked::Whole);
    assert_eq!(update(&memory, &group, Some(second), &[], NOW), Tracked::Whole);
    assert_eq!(held(&memory, &group, NOW), 3);
    assert_eq!(reserve(&memory, &group, ask(1, 3), NOW), Grant::Full { retry_after: Millis(300) });
    // One that cannot be cut needs all of what it asks for.
    let whole = Ask { least: 16, ..ask(16, 18) };
    assert!(matches!(reserve(&memory, &group, whole, NOW), Grant::Full { .. }));
    // Another group has a count of its own.
    assert_eq!(granted(&memory, &holder("h"), ask(16, 20), NOW).0, 16);
}

#[test]
fn a_lease_is_over_by_ack_and_by_expiry_and_goes_on_by_an_extension() {
    let (memory, group) = (Memory::default(), holder("g"));
    let leases = ["a", "b", "c"].map(|receipt| begun(receipt, 1_000));
    update(&memory, &group, None, &leases, NOW);
    update(&memory, &group, None, &[ended("a"), ended("unknown")], NOW);
    assert_eq!(held(&memory, &group, NOW), 2);
    let extended = LeaseChange::Extended { receipt: Receipt::of("b"), deadline: NOW + 5_000 };
    update(&memory, &group, None, &[extended], NOW + 999);
    assert_eq!(held(&memory, &group, NOW + 999), 2);
    assert_eq!(held(&memory, &group, NOW + 1_000), 1);
    assert_eq!(held(&memory, &group, NOW + 4_999), 1);
    assert_eq!(held(&memory, &group, NOW + 5_000), 0);
}

#[test]
fn a_lease_without_time_is_none_and_one_that_is_told_of_twice_is_one() {
    let (memory, group) = (Memory::default(), holder("g"));
    let leases = [begun("a", 0), begun("b", -1), begun("c", 1_000), begun("c", 1_000)];
    assert_eq!(update(&memory, &group, None, &leases, NOW), Tracked::Whole);
    assert_eq!(update(&memory, &group, None, &leases, NOW), Tracked::Whole);
    assert_eq!(held(&memory, &group, NOW), 1);
}

#[test]
fn a_reservation_that_nobody_takes_out_lapses_and_is_nobody_elses() {
    let (memory, group) = (Memory::default(), holder("g"));
    let waiting = Ask { messages: 5, least: 5, bound: 5, wait: Millis(10_000) };
    let (_, lapsed) = granted(&memory, &group, waiting, NOW);
    assert_eq!(held(&memory, &group, NOW + 69_999), 5);
    assert_eq!(held(&memory, &group, NOW + 70_000), 0);
    // The section was empty and began again.
    let (_, _) = granted(&memory, &group, ask(3, 5), NOW + 70_000);
    update(&memory, &group, Some(lapsed), &[], NOW + 70_000);
    assert_eq!(held(&memory, &group, NOW + 70_000), 3);
    // A wait that no broker takes is not waited for.
    let (memory, endless) = (Memory::default(), Ask { wait: Millis(i64::MAX), ..waiting });
    granted(&memory, &group, endless, NOW);
    assert_eq!(held(&memory, &group, NOW + 120_000), 0);
}

#[test]
fn a_clock_that_steps_back_keeps_the_time_to_go() {
    let (memory, group) = (Memory::default(), holder("g"));
    update(&memory, &group, None, &[begun("a", 30_000)], NOW);
    let back = NOW - 3_600_000;
    assert_eq!(held(&memory, &group, back), 1);
    update(&memory, &group, None, &[begun("b", 1_000)], back);
    assert_eq!(held(&memory, &group, back + 29_999), 1);
    assert_eq!(held(&memory, &group, back + 30_000), 0);
}

#[test]
fn a_clock_that_is_read_a_little_earlier_shortens_no_lease() {
    let (memory, group) = (Memory::default(), holder("g"));
    update(&memory, &group, None, &[begun("a", 30_000)], NOW);
    for round in 0..1_000 {
        let receipt = format!("r{round}");
        update(&memory, &group, None, &[begun(&receipt, 1)], NOW - 1);
        update(&memory, &group, None, &[begun(&receipt, 1)], NOW);
    }
    assert_eq!(held(&memory, &group, NOW + 29_999), 1);
}

#[test]
fn the_largest_bound_fits_a_slot_and_more_is_untracked() {
    let (memory, group) = (Memory::default(), holder("g"));
    for pull in 0..10 {
        let (messages, reservation) = granted(&memory, &group, ask(1_000, 10_000), NOW);
        assert_eq!(messages, 1_000);
        let leases: Vec<_> = (0..1_000).map(|index| begun(&format!("{pull}-{index}"), 30_000)).collect();
        assert_eq!(update(&memory, &group, Some(reservation), &leases, NOW), Tracked::Whole);
    }
    assert!(matches!(reserve(&memory, &group, ask(1, 10_000), NOW), Grant::Full { .. }));
    let neighbour = (0..).map(|index| holder(&format!("g{index}"))).find(|other| other.key == group.key).unwrap();
    assert_eq!(reserve(&memory, &neighbour, ask(2_000, 10_000), NOW), Grant::Untracked);
    assert_eq!(granted(&memory, &neighbour, ask(100, 10_000), NOW).0, 100);
    let leases: Vec<_> = (0..2_000).map(|index| begun(&index.to_string(), 30_000)).collect();
    assert_eq!(update(&memory, &neighbour, None, &leases, NOW), Tracked::Partly);
    let whole: Vec<_> = (0..20_000).map(|index| begun(&index.to_string(), 30_000)).collect();
    let alone = Memory::default();
    assert_eq!(update(&alone, &group, None, &whole, NOW), Tracked::Partly);
    for memory in [memory, alone] {
        assert!(memory.values.borrow().values().all(|(slot, _)| slot.len() <= SLOT_BYTES));
    }
}

#[test]
fn any_number_of_groups_takes_no_more_than_the_slots() {
    let memory = Memory::default();
    for group in 0..5_000 {
        let group = holder(&format!("group-{group}"));
        let (_, reservation) = granted(&memory, &group, ask(16, 1_000), NOW);
        update(&memory, &group, Some(reservation), &[begun("a", 30_000)], NOW);
    }
    let values = memory.values.borrow();
    assert!(values.len() as u64 <= SLOTS);
    assert!(values.values().all(|(slot, _)| slot.len() <= SLOT_BYTES));
}

#[test]
fn what_is_empty_leaves_no_trace_but_the_numbers() {
    let (memory, group) = (Memory::default(), holder("g"));
    let (_, reservation) = granted(&memory, &group, ask(16, 1_000), NOW);
    update(&memory, &group, Some(reservation), &[], NOW);
    assert_eq!(memory.values.borrow()[&group.key].0.len(), 25);
    // What changes nothing is not written.
    update(&memory, &group, Some(reservation), &[ended("a")], NOW);
    assert_eq!(memory.values.borrow()[&group.key].1, 2);
}

#[test]
fn a_census_counts_what_all_groups_hold_and_each_lease_that_expires_once() {
    let (memory, groups) = (Memory::default(), ["g", "h", "i"].map(holder));
    assert_eq!(census(&memory, NOW), Census::default());
    for group in &groups {
        granted(&memory, group, ask(16, 1_000), NOW);
        update(&memory, group, None, &[begun("a", 1_000), begun("b", 2_000), begun("c", 90_000)], NOW);
    }
    assert_eq!(census(&memory, NOW), Census { held: 9, expired: 0 }, "what is set aside is no lease");
    assert_eq!(census(&memory, NOW + 1_000), Census { held: 6, expired: 3 });
    // Whoever reads a slot drops what has expired, and it counts all the same.
    update(&memory, &groups[0], None, &[begun("d", 90_000)], NOW + 2_000);
    assert_eq!(census(&memory, NOW + 2_000), Census { held: 4, expired: 6 });
    // What is acknowledged has not expired.
    update(&memory, &groups[0], None, &[ended("c"), ended("d")], NOW + 3_000);
    assert_eq!(census(&memory, NOW + 3_000), Census { held: 2, expired: 6 });
    assert_eq!(census(&memory, NOW + 99_000), Census { held: 0, expired: 8 });
    // A worker that loses the race sees what the winner has counted at its next look.
    update(&memory, &groups[1], None, &[begun("e", 1_000)], NOW + 99_000);
    memory.rivals.set(1);
    assert_eq!(census(&memory, NOW + 100_000), Census { held: 0, expired: 8 });
    assert_eq!(census(&memory, NOW + 100_000), Census { held: 0, expired: 9 });
}

#[test]
fn an_extension_to_a_deadline_that_is_past_ends_the_lease_as_an_ack_does() {
    let (memory, group) = (Memory::default(), holder("g"));
    update(&memory, &group, None, &["a", "b", "c"].map(|receipt| begun(receipt, 30_000)), NOW);
    let extended = |receipt: &str, deadline| LeaseChange::Extended { receipt: Receipt::of(receipt), deadline };
    let changes = [extended("a", NOW + 10), extended("b", NOW + 11), extended("c", 0)];
    update(&memory, &group, None, &changes, NOW + 10);
    assert_eq!(census(&memory, NOW + 10), Census { held: 1, expired: 0 });
    assert_eq!(census(&memory, NOW + 11), Census { held: 0, expired: 1 });
}

#[test]
fn a_slot_of_another_form_is_as_good_as_empty() {
    let (memory, group) = (Memory::default(), holder("g"));
    update(&memory, &group, None, &[begun("a", 30_000)], NOW);
    let (mut bytes, version) = memory.get(&group.key);
    bytes[0] += 1;
    assert!(memory.set(&group.key, &bytes, version));
    assert_eq!(census(&memory, NOW), Census::default());
    assert_eq!(held(&memory, &group, NOW), 0);
    update(&memory, &group, None, &[begun("b", 30_000)], NOW);
    assert_eq!(census(&memory, NOW), Census { held: 1, expired: 0 });
}

#[test]
fn a_write_is_tried_again_and_given_up_in_the_end() {
    let (memory, group) = (Memory::default(), holder("g"));
    update(&memory, &group, None, &[begun("a", 30_000)], NOW);
    memory.rivals.set(31);
    assert_eq!(granted(&memory, &group, ask(4, 10), NOW).0, 4);
    memory.rivals.set(1_000);
    assert_eq!(reserve(&memory, &group, ask(4, 10), NOW), Grant::Untracked);
    assert_eq!(update(&memory, &group, None, &[ended("a")], NOW), Tracked::Partly);
}

proptest! {
    #[test]
    fn bytes_that_are_no_slot_hold_nothing_that_could_break(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (memory, group) = (Memory::default(), holder("g"));
        memory.values.borrow_mut().insert(group.key.clone(), (bytes, 1));
        reserve(&memory, &group, ask(16, 1_000), NOW);
        update(&memory, &group, None, &[begun("a", 30_000)], NOW);
        prop_assert!(held(&memory, &group, NOW) >= 1);
    }

    #[test]
    fn a_slot_that_is_only_counted_counts_as_one_that_is_built(
        groups in proptest::collection::vec((".{0,9}", 0..4_usize, proptest::collection::vec(1..3_000_i64, 0..20)), 0..4),
        read_at in NOW - 5_000..NOW + 4_000,
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let memory = Memory::default();
        let mut written = NOW;
        for (name, pulls, timeouts) in &groups {
            let group = Holder { name: name.clone(), key: key(0) };
            for _ in 0..*pulls {
                granted(&memory, &group, ask(7, 1_000), written);
            }
            let leases: Vec<_> = timeouts.iter().map(|timeout| begun(&format!("{name}{timeout}"), *timeout)).collect();
            update(&memory, &group, None, &leases, written);
            written += 300;
        }
        let (mut bytes, _) = memory.get(&key(0));
        if let Some((at, byte)) = damage.filter(|_| !bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let counted = Count::of(&bytes, read_at);
        let slot = Slot::read(&bytes, "a name that none of them has", read_at);
        let built = Count::of(&slot.write(read_at), read_at);
        prop_assert_eq!(counted.leases, built.leases);
        prop_assert_eq!(counted.expired_before.wrapping_add(counted.expired_since), built.expired_before);
        prop_assert_eq!(built.expired_since, 0);
    }

    #[test]
    fn a_group_never_holds_more_than_its_bound_and_nothing_leaks(
        bound in 1..20_u32,
        steps in proptest::collection::vec(step(), 1..120),
        by_ack in any::<bool>(),
    ) {
        let mut model = Model::new(bound);
        for step in steps {
            model.make(&step);
            let in_flight = model.broker.len() as u32;
            prop_assert!(in_flight <= bound, "{} in flight of {}", in_flight, bound);
            prop_assert!(held(&model.memory, &model.group, model.now) >= in_flight);
        }
        for pull in std::mem::take(&mut model.pulls) {
            model.answer(pull);
        }
        if by_ack {
            let all: Vec<_> = (1..=model.receipts).map(|receipt| ended(&format!("r{receipt}"))).collect();
            update(&model.memory, &model.group, None, &all, model.now);
            prop_assert_eq!(held(&model.memory, &model.group, model.now), 0);
        }
        prop_assert_eq!(held(&model.memory, &model.group, model.now + LONGEST), 0);
    }
}

/// The longest ack timeout of the model, in milliseconds.
const LONGEST: u64 = 5_000;

/// What happens next, on any worker: they share nothing but the memory.
#[derive(Clone, Debug)]
enum Step {
    /// A pull comes.
    Pull(u32),
    /// The broker delivers to one that is under way, at most so many.
    Deliver(prop::sample::Index, u32, i64),
    /// An answer has ended, of a pull that was delivered to or not.
    Answer(prop::sample::Index),
    /// The client goes away before anything was delivered.
    Abandon(prop::sample::Index),
    /// Messages are acknowledged or given back.
    End(prop::sample::Index, usize),
    /// More time for one.
    Extend(prop::sample::Index, u64),
    /// Time passes.
    Wait(u64),
    /// Other workers write the slot in between.
    Rivals(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let longest = LONGEST as i64;
    prop_oneof![
        4 => (1..10_u32).prop_map(Step::Pull),
        4 => (any::<prop::sample::Index>(), 0..10_u32, 1..=longest)
            .prop_map(|(pull, messages, timeout)| Step::Deliver(pull, messages, timeout)),
        3 => any::<prop::sample::Index>().prop_map(Step::Answer),
        1 => any::<prop::sample::Index>().prop_map(Step::Abandon),
        3 => (any::<prop::sample::Index>(), 1..5_usize).prop_map(|(first, count)| Step::End(first, count)),
        1 => (any::<prop::sample::Index>(), 0..LONGEST).prop_map(|(lease, left)| Step::Extend(lease, left)),
        2 => (0..400_u64).prop_map(Step::Wait),
        1 => (1..6_u32).prop_map(Step::Rivals),
    ]
}

struct Pull {
    reservation: Reservation,
    messages: u32,
    delivered: Option<Vec<LeaseChange>>,
}

/// Workers with their pulls under way, and a broker with its leases: receipt to deadline.
struct Model {
    memory: Memory,
    group: Holder,
    bound: u32,
    now: u64,
    receipts: u32,
    pulls: Vec<Pull>,
    broker: HashMap<String, u64>,
}

impl Model {
    fn new(bound: u32) -> Model {
        let (memory, group) = (Memory::default(), holder("g"));
        Model { memory, group, bound, now: NOW, receipts: 0, pulls: Vec::new(), broker: HashMap::new() }
    }

    fn make(&mut self, step: &Step) {
        match *step {
            Step::Pull(messages) => match reserve(&self.memory, &self.group, ask(messages, self.bound), self.now) {
                Grant::Granted { messages, reservation } => {
                    self.pulls.push(Pull { reservation, messages, delivered: None });
                }
                Grant::Full { .. } => assert_eq!(held(&self.memory, &self.group, self.now), self.bound),
                Grant::Untracked => panic!("there is room"),
            },
            Step::Deliver(index, messages, timeout) => {
                let waiting: Vec<_> = self.pulls.iter_mut().filter(|pull| pull.delivered.is_none()).collect();
                let count = waiting.len();
                let Some(pull) = waiting.into_iter().nth(index.index(count.max(1))) else { return };
                let mut delivered = Vec::new();
                for _ in 0..messages.min(pull.messages) {
                    self.receipts += 1;
                    let receipt = format!("r{}", self.receipts);
                    delivered.push(begun(&receipt, timeout));
                    self.broker.insert(receipt, self.now + timeout as u64);
                }
                pull.delivered = Some(delivered);
            }
            Step::Answer(index) if !self.pulls.is_empty() => {
                let pull = self.pulls.remove(index.index(self.pulls.len()));
                self.answer(pull);
            }
            Step::Abandon(index) => {
                let waiting = |pull: &&Pull| pull.delivered.is_none();
                let count = self.pulls.iter().filter(waiting).count().max(1);
                let Some(pull) = self.pulls.iter().filter(waiting).nth(index.index(count)) else { return };
                let reservation = pull.reservation;
                update(&self.memory, &self.group, Some(reservation), &[], self.now);
                self.pulls.retain(|pull| pull.reservation != reservation);
            }
            Step::End(first, count) => {
                let mut all: Vec<_> = self.known();
                let first = first.index(all.len().max(1));
                all.rotate_left(first);
                let receipts = all.into_iter().take(count);
                let end = |receipt: String| {
                    self.broker.remove(&receipt);
                    ended(&receipt)
                };
                let changes: Vec<_> = receipts.map(end).collect();
                update(&self.memory, &self.group, None, &changes, self.now);
            }
            Step::Extend(lease, left) => {
                let all = self.known();
                let Some(receipt) = all.get(lease.index(all.len().max(1))) else { return };
                let deadline = self.now + left;
                self.broker.insert(receipt.clone(), deadline);
                let changes = [LeaseChange::Extended { receipt: Receipt::of(receipt), deadline }];
                update(&self.memory, &self.group, None, &changes, self.now);
            }
            Step::Wait(millis) => self.now += millis,
            Step::Rivals(rivals) => self.memory.rivals.set(rivals),
            Step::Answer(_) => {}
        }
        let now = self.now;
        self.broker.retain(|_, deadline| *deadline > now);
    }

    /// The receipts that a client can know: those whose answer has come.
    fn known(&self) -> Vec<String> {
        let under_way = |receipt: &String| {
            let delivered = self.pulls.iter().filter_map(|pull| pull.delivered.as_ref()).flatten();
            delivered.into_iter().any(
                |change| matches!(change, LeaseChange::Begun { receipt: begun, .. } if *begun == Receipt::of(receipt)),
            )
        };
        let mut known: Vec<_> = self.broker.keys().filter(|receipt| !under_way(receipt)).cloned().collect();
        known.sort();
        known
    }

    fn answer(&mut self, pull: Pull) {
        let delivered = pull.delivered.unwrap_or_default();
        assert_eq!(update(&self.memory, &self.group, Some(pull.reservation), &delivered, self.now), Tracked::Whole);
    }
}
