//! The law of what is binary: a rate limit service's answers, and the slots of shared memory.

use ackguard::dialect::Dialect;
use ackguard::http::RequestHead;
use ackguard::judgement::{Effect, Entry, enter, judge};
use ackguard::lease::{Ask, Grant, Holder, Reservation, held, reserve, update};
use ackguard::limit::Limiter;
use ackguard::limit::fleet::{MAX_HEADER_BYTES, MAX_HEADERS};
use ackguard::operation::{Group, LeaseChange, Millis, Receipt};
use ackguard::policy::Policy;
use ackguard::policy::rollout::Side;
use ackguard::shared_memory::SharedMemory;
use ackguard::telemetry::HEADER;

use crate::request::answer;

/// The time of each law, in Unix milliseconds.
const NOW: u64 = 1_790_000_000_000;
/// The most bytes of a slot of leases.
const LEASE_SLOT: usize = 128 * 1024;

thread_local! {
    static POLICY: Policy = policy();
}

fn policy() -> Policy {
    let document = br#"{"apiVersion":"ackguard/v1","traffic":[{"match":{"path":"/tmq/*"},"dialect":"tmq"}],
        "tenant":[{"header":"app"}],"limits":[
            {"name":"here","operations":["publish"],"key":["tenant"],"rate":"9/s"},
            {"name":"enforced","operations":["publish"],"cost":"messages","global":{"cluster":"c","domain":"d"}},
            {"name":"tried","operations":["publish"],"over":"shadow","global":{"cluster":"c","domain":"d"}}]}"#;
    Policy::parse(document).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Any bytes are an answer of a service, or none; and any bytes are a slot.
///
/// What a service tells the client is bounded and none of the gateway's own headers, and a refusal is JSON. Whatever stands
/// in a slot, it is read and written again without harm.
pub fn binary(input: &[u8]) {
    POLICY.with(|policy| service(policy, input));
    leases(input);
}

fn service(policy: &Policy, input: &[u8]) {
    let headers = [(":method", "POST"), (":path", "/tmq/v1/topics/t/messages"), ("app", "a")];
    let head = RequestHead::new(headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into());
    let Entry::Guarded(guarded) = enter(policy, &head, |_| None) else { panic!("a publish is guarded") };
    let mut judgement = judge(policy, &guarded, Side::Current, Ok(br#"{"messages":[{},{}]}"#), || None);
    let mut limiter = Limiter::default();
    judgement.ask_limits(policy, &guarded, &mut limiter, &Held { bytes: input, most: usize::MAX }, || NOW * 1_000_000);
    let paid = judgement.limits.charges.len();
    judgement.limits.refund(&mut limiter, &Held { bytes: input, most: usize::MAX }, || NOW * 1_000_000);
    limiter.sweep(&Held { bytes: input, most: usize::MAX }, (NOW + 500) * 1_000_000);
    assert!(paid <= 1 && limiter.is_idle());
    let Some(call) = judgement.fleet_call(policy, &guarded) else {
        assert!(judgement.is_refused(), "by what the slot says");
        return;
    };
    let Ok(told) = call.read(input) else { return };
    assert!(told.headers.len() <= MAX_HEADERS);
    let mut size = 0;
    for header in &told.headers {
        size += header.name.len() + header.value.len();
        assert!(!header.name.starts_with(HEADER) && !header.name.starts_with(':'), "{header:?}");
        assert!(!header.value.contains(['\r', '\n', '\0']), "{header:?}");
    }
    assert!(size <= MAX_HEADER_BYTES);
    judgement.take_fleet_answer(policy, &guarded, &call, &told);
    if let Effect::Answer(reply) = judgement.effect() {
        answer(reply);
    }
    assert_eq!(judgement.is_refused(), told.refusal().is_some());
}

fn leases(input: &[u8]) {
    let holder = Holder::new(Dialect::Tmq, &Group("g".to_owned()));
    let memory = Held { bytes: input, most: LEASE_SLOT };
    let before = held(&memory, &holder, NOW);
    let ask = Ask { messages: 7, least: 1, bound: 9, wait: Millis(1_000) };
    let reservation: Option<Reservation> = match reserve(&memory, &holder, ask, NOW) {
        Grant::Granted { messages, reservation } => {
            assert!(messages >= 1 && messages.saturating_add(before) <= ask.bound);
            Some(reservation)
        }
        Grant::Full { .. } | Grant::Untracked => None,
    };
    let begun = LeaseChange::Begun { receipt: Receipt::of("r"), ack_timeout: Millis(9) };
    update(&memory, &holder, reservation, &[begun], NOW);
}

/// Shared memory in which the same bytes stand everywhere, and what is written is no longer than so much.
struct Held<'a> {
    bytes: &'a [u8],
    most: usize,
}

impl SharedMemory for Held<'_> {
    fn get(&self, _: &str) -> (Vec<u8>, Option<u32>) {
        (self.bytes.to_vec(), Some(1))
    }

    fn set(&self, _: &str, value: &[u8], _: Option<u32>) -> bool {
        assert!(value.len() <= self.most.max(self.bytes.len()), "{} bytes", value.len());
        true
    }
}
