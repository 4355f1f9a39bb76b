//! The parts of the core by the clock. `make bench-core` runs all,
//! `cargo bench --profile native --package native-bench --bench core -- bucket` those with this word in their names.

use std::borrow::Cow;

use ackguard::dialect::{AnswerReader, Dialect, Layout, Reading, Route, Tally};
use ackguard::http::RequestHead;
use ackguard::lease::{self, Ask, Grant, Holder, Tracked};
use ackguard::limit::bill::{Charge, Facts};
use ackguard::limit::{Limiter, Paid, Payment};
use ackguard::operation::{Field, Group, Kind, LeaseChange, Millis, Operation, Receipt, Tenant, Topic};
use ackguard::policy::verdict::{Action, Change, NewValue, Outcome, Verdict};
use ackguard::policy::{Caller, Policy, decide};
use ackguard::shared_memory::Unshared;
use divan::{Bencher, black_box};
use native_bench::inputs::{self, Request};
use native_bench::worker::START;

fn main() {
    divan::main();
}

/// How an operation is read: its head, and then its body as far as a policy asks for it.
mod read {
    use super::*;

    fn bench(bencher: Bencher<'_, '_>, request: &Request, read: fn(&Route, &[u8])) {
        let head = request.head();
        bencher.bench_local(|| {
            let route = routed(black_box(&head));
            read(&route, black_box(&request.body));
        });
    }

    fn settings(route: &Route, body: &[u8]) {
        black_box(reading(route, body));
    }

    fn messages(route: &Route, body: &[u8]) {
        let count = Dialect::Tmq.messages(route, body).expect("a list");
        assert_eq!(black_box(count), inputs::BATCH as u64);
    }

    #[divan::bench]
    fn ack(bencher: Bencher<'_, '_>) {
        bench(bencher, &inputs::ack(), settings);
    }

    #[divan::bench]
    fn ack_counted(bencher: Bencher<'_, '_>) {
        bench(bencher, &inputs::ack(), messages);
    }

    #[divan::bench]
    fn heartbeat(bencher: Bencher<'_, '_>) {
        bench(bencher, &inputs::heartbeat(), settings);
    }

    #[divan::bench]
    fn pull(bencher: Bencher<'_, '_>) {
        bench(bencher, &inputs::pull(), settings);
    }

    #[divan::bench]
    fn subscribe(bencher: Bencher<'_, '_>) {
        bench(bencher, &inputs::subscribe(inputs::SOUND), settings);
    }

    #[divan::bench]
    fn publish(bencher: Bencher<'_, '_>) {
        bench(bencher, &inputs::publish(), settings);
    }

    #[divan::bench]
    fn publish_counted(bencher: Bencher<'_, '_>) {
        bench(bencher, &inputs::publish(), messages);
    }

    #[divan::bench]
    fn answer_of_16_messages(bencher: Bencher<'_, '_>) {
        let answer = inputs::pulled();
        bencher.bench_local(|| {
            let mut reader: AnswerReader = Dialect::Tmq.answer_reader();
            reader
                .push(black_box(&answer), &mut |change| {
                    black_box(change);
                })
                .expect("JSON");
            reader.end().expect("whole");
            let tally: Tally = reader.tally();
            assert_eq!(tally.delivered, inputs::BATCH as u64);
        });
    }

    /// The same answer by serde_json, of which it borrows what the filter asks for: whole, since it reads no pieces.
    #[divan::bench]
    fn answer_of_16_messages_by_serde_json(bencher: Bencher<'_, '_>) {
        #[derive(serde::Deserialize)]
        struct Answer<'a> {
            #[serde(borrow)]
            messages: Vec<Message<'a>>,
        }

        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Message<'a> {
            #[serde(borrow)]
            receipt: Cow<'a, str>,
            delivered_at: i64,
            ack_deadline: i64,
            reconsume_times: i64,
            max_reconsume_times: i64,
        }

        let answer = inputs::pulled();
        bencher.bench_local(|| {
            let answer: Answer<'_> = serde_json::from_slice(black_box(&answer)).expect("JSON");
            for message in &answer.messages {
                black_box((Receipt::of(&message.receipt), message.ack_deadline - message.delivered_at));
                black_box((message.reconsume_times, message.max_reconsume_times));
            }
            assert_eq!(answer.messages.len(), inputs::BATCH);
        });
    }
}

/// The rule for a caller, which is the last one, and its verdict.
#[divan::bench(args = [10, 1_000, 10_000])]
fn decide_with_rules(bencher: Bencher<'_, '_>, rules: usize) {
    let policy = inputs::policy(&inputs::rules(rules));
    let operation = subscription(inputs::UNSOUND).operation;
    let (tenant, group) = (Tenant(inputs::TENANT.to_owned()), Group(inputs::GROUP.to_owned()));
    let caller =
        Caller { tenant: &tenant, topic: operation.topic.as_ref(), group: Some(&group), dialect: Dialect::Tmq };
    bencher.bench_local(|| {
        let verdict = decided(&policy, black_box(&caller), black_box(&operation));
        assert!(matches!(verdict.outcome, Outcome::Edit(_)));
        verdict
    });
}

/// A value replaced, and a member added.
#[divan::bench]
fn write_an_edit(bencher: Bencher<'_, '_>) {
    let body = inputs::subscribe(inputs::UNSOUND).body;
    let layout: Layout = subscription(inputs::UNSOUND).layout;
    let changes = [
        Change { field: Field::AckTimeout, action: Action::Clamp, to: NewValue::Millis(Millis(10_000)) },
        Change { field: Field::DeadLetter, action: Action::Inject, to: NewValue::Name("orders.dlq".to_owned()) },
    ];
    bencher.bench_local(|| Dialect::Tmq.write(black_box(&body), &layout, &changes).expect("its own layout"));
}

/// What a request costs that one limit counts.
mod bucket {
    use super::*;

    /// As many tenants as fill every slot of a limit with some 20 buckets.
    const TENANTS: usize = 10_000;

    struct Gateway {
        memory: Unshared,
        limiter: Limiter,
        charges: [Charge; 1],
    }

    fn charge(policy: &Policy, tenant: &str) -> Charge {
        let tenant = Tenant(tenant.to_owned());
        let facts =
            Facts { kind: Kind::Publish, tenant: &tenant, topic: None, group: None, client: "", messages: 1, bytes: 0 };
        let limit = policy.limits().first().expect("a limit");
        Charge::of(limit, &facts).expect("it is for publishes")
    }

    /// A gateway whose buckets are in use. Its worker has asked before, for another tenant.
    fn gateway() -> Gateway {
        let policy = inputs::policy(&inputs::limit(1_000_000, 1_000_000));
        let memory = Unshared::default();
        let mut limiter = Limiter::default();
        for tenant in 0..TENANTS {
            assert_eq!(ask(&mut limiter, &memory, &[charge(&policy, &format!("service-{tenant}"))]), Paid::Bucket);
        }
        Gateway { memory, limiter, charges: [charge(&policy, inputs::TENANT)] }
    }

    fn ask(limiter: &mut Limiter, memory: &Unshared, charges: &[Charge]) -> Paid {
        match limiter.ask(memory, charges, START) {
            Payment::Paid(paid) => *paid.first().expect("one for each charge"),
            Payment::Refused { throttle, .. } => panic!("{throttle:?}"),
        }
    }

    #[divan::bench]
    fn from_hand(bencher: Bencher<'_, '_>) {
        let Gateway { memory, charges, .. } = gateway();
        let mut limiter = Limiter::default();
        // The first time there is nothing to lend; each loan is twice as large as the one before.
        while ask(&mut limiter, &memory, &charges) == Paid::Bucket {}
        while ask(&mut limiter, &memory, &charges) == Paid::Loan {}
        bencher.with_inputs(|| limiter.clone()).bench_local_refs(|limiter| {
            assert_eq!(ask(limiter, &memory, black_box(&charges)), Paid::Loan);
        });
    }

    #[divan::bench]
    fn through_shared_memory(bencher: Bencher<'_, '_>) {
        let Gateway { memory, limiter, charges } = gateway();
        bencher.with_inputs(|| limiter.clone()).bench_local_refs(|limiter| {
            assert_eq!(ask(limiter, &memory, black_box(&charges)), Paid::Bucket);
        });
    }
}

/// A pull's reservation, the 16 leases that its answer brings, and the ack that ends them, in a slot of so many leases.
#[divan::bench(args = [0, 1_000])]
fn lease_slot(bencher: Bencher<'_, '_>, held: u64) {
    const NOW: u64 = START / 1_000_000;
    let memory = Unshared::default();
    let holder = Holder::new(Dialect::Tmq, &Group(inputs::GROUP.to_owned()));
    let begun = |receipt| LeaseChange::Begun { receipt, ack_timeout: Millis(10_000) };
    let others: Vec<_> = (0..held).map(|index| begun(Receipt::of(&format!("other-{index}")))).collect();
    assert_eq!(lease::update(&memory, &holder, None, &others, NOW), Tracked::Whole);
    let receipts: Vec<_> = (0..inputs::BATCH).map(|index| Receipt::of(&format!("receipt-{index}"))).collect();
    let pulled: Vec<_> = receipts.iter().map(|receipt| begun(*receipt)).collect();
    let acked: Vec<_> = receipts.iter().map(|receipt| LeaseChange::Ended { receipt: *receipt }).collect();
    let ask = Ask { messages: 16, least: 1, bound: 10_000, wait: Millis(1_000) };
    bencher.bench_local(|| {
        let Grant::Granted { reservation, .. } = lease::reserve(&memory, &holder, ask, NOW) else {
            panic!("there is room for as many again");
        };
        assert_eq!(lease::update(&memory, &holder, Some(reservation), black_box(&pulled), NOW), Tracked::Whole);
        assert_eq!(lease::update(&memory, &holder, None, black_box(&acked), NOW), Tracked::Whole);
    });
}

/// A document with so many rules beside its defaults.
#[divan::bench(args = [1, 1_000, 10_000])]
fn parse_policy(bencher: Bencher<'_, '_>, rules: usize) {
    let document = inputs::document(&inputs::rules(rules));
    bencher.bench_local(|| Policy::parse(black_box(document.as_bytes())).expect("a sound document"));
}

fn routed(head: &RequestHead) -> Route {
    Dialect::Tmq.route(head).expect("an operation of the protocol")
}

fn reading(route: &Route, body: &[u8]) -> Reading {
    Dialect::Tmq.read(route, body).expect("a body of the protocol")
}

fn subscription(settings: &str) -> Reading {
    let request = inputs::subscribe(settings);
    let mut reading = reading(&routed(&request.head()), &request.body);
    reading.operation.topic = Some(Topic(inputs::TOPIC.to_owned()));
    reading
}

fn decided(policy: &Policy, caller: &Caller<'_>, operation: &Operation) -> Verdict {
    let found = policy.current.rules.lookup(caller);
    assert_eq!(&*found.rule.name, "last");
    decide(&policy.current.version, found.rule, operation)
}
