//! What is played: each kind of traffic once, under the shipped policy or with one change of it.

mod wire;

use serde_json::{Value, json};
use stack::{Bootstrap, HostMode};

pub use wire::{Answer, Exchange, Request};

/// One kind of traffic.
pub struct Traffic {
    /// What it is.
    pub name: &'static str,
    /// Under which policy.
    pub policy: Policy,
    /// What comes before it each time, and is not counted.
    pub before: Option<Exchange>,
    /// What is counted.
    pub exchange: Exchange,
    /// What must become of it.
    pub expected: Expected,
}

/// The shipped policy, `envoy/static.yaml`, with one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// None.
    Shipped,
    /// `telemetry: counted`.
    Counted,
    /// `mode: shadow`.
    Shadow,
    /// A local limit by tenant that nobody reaches.
    WithinLimit,
    /// One that the second request is over.
    OverLimit,
    /// A local limit by the client's address that nobody reaches.
    ByClient,
    /// A limit of the fleet, by tenant.
    Fleet,
    /// A bound to what a group holds that nobody reaches.
    InFlight,
    /// A rule that asks for the topic, which a pull and an ack do not name.
    ByTopic,
}

/// What must become of an exchange, from its second time on.
pub enum Expected {
    /// The request goes on as it came, and nothing is told.
    Untouched,
    /// It goes on with this body, and the client is told so in `x-ackguard`.
    Edited(&'static str, &'static str),
    /// It is answered with this status and a body that begins so.
    Refused(u16, &'static str),
}

impl Traffic {
    fn of(name: &'static str, policy: Policy, exchange: Exchange) -> Self {
        Traffic { name, policy, before: None, exchange, expected: Expected::Untouched }
    }

    fn edited(self, body: &'static str, told: &'static str) -> Self {
        Traffic { expected: Expected::Edited(body, told), ..self }
    }

    fn refused(self, status: u16, body: &'static str) -> Self {
        Traffic { expected: Expected::Refused(status, body), ..self }
    }

    fn after(self, exchange: Exchange) -> Self {
        Traffic { before: Some(exchange), ..self }
    }

    /// What is played, in its order.
    pub fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.before.iter().chain([&self.exchange])
    }

    fn exchanges_mut(&mut self) -> impl Iterator<Item = &mut Exchange> {
        self.before.iter_mut().chain([&mut self.exchange])
    }
}

impl Policy {
    /// All that the kinds of traffic are played under.
    pub const ALL: [Policy; 9] = [
        Policy::Shipped,
        Policy::Counted,
        Policy::Shadow,
        Policy::WithinLimit,
        Policy::OverLimit,
        Policy::ByClient,
        Policy::Fleet,
        Policy::InFlight,
        Policy::ByTopic,
    ];

    /// Makes the change.
    pub fn edit(self, policy: &mut Value) {
        let limit = |key: &str| json!({ "name": "publish", "operations": ["publish"], "key": [key] });
        let mut limit_by = |key: &str, rate: &str, burst: u32| {
            let mut limit = limit(key);
            (limit["rate"], limit["burst"]) = (rate.into(), burst.into());
            policy["limits"] = json!([limit]);
        };
        match self {
            Policy::Shipped => {}
            Policy::Counted => policy["telemetry"] = "counted".into(),
            Policy::Shadow => policy["mode"] = "shadow".into(),
            Policy::WithinLimit => limit_by("tenant", "1000/s", 2_000),
            Policy::OverLimit => limit_by("tenant", "1/h", 1),
            Policy::ByClient => limit_by("client", "1000/s", 2_000),
            Policy::Fleet => {
                let mut limit = limit("tenant");
                limit["global"] = json!({ "cluster": "ratelimit", "domain": "mq" });
                policy["limits"] = json!([limit]);
            }
            Policy::InFlight => policy["defaults"]["max_in_flight"] = 1_000.into(),
            Policy::ByTopic => {
                policy["rules"] =
                    json!([{ "name": "orders", "match": { "topic": "orders*" }, "ack_timeout": { "min": "6s" } }]);
            }
        }
    }

    /// The whole policy.
    ///
    /// # Panics
    /// Where the shipped one cannot be read.
    #[must_use]
    pub fn document(self, mode: HostMode) -> Value {
        let shipped = Bootstrap::load("static.yaml").unwrap_or_else(|error| panic!("{error}"));
        shipped.host_mode(mode).edit_policy(|policy| self.edit(policy)).current_policy()
    }
}

/// All kinds.
#[must_use]
pub fn all() -> Vec<Traffic> {
    use Policy::{ByClient, ByTopic, Counted, Fleet, InFlight, OverLimit, Shadow, Shipped, WithinLimit};
    let mebibyte = || Answer::messages(256, 3_741);
    let pull = |answer| Exchange { request: Request::consumer("pull", wire::PULL), answer };
    let publish = || Exchange::post("/tmq/v1/topics/orders/messages", wire::PUBLISH, Answer::published());
    let subscribe = |body| Exchange::post("/tmq/v1/groups/workers/consumers", body, Answer::subscribed());
    let ack = || Exchange { request: Request::consumer("ack", &wire::receipts(5)), answer: Answer::acked(5) };
    let mut all = vec![
        Traffic::of("nothing that a dialect reads", Shipped, Exchange::foreign()),
        Traffic::of("an ack", Shipped, ack()),
        Traffic::of("a pull, 0 messages", Shipped, pull(Answer::messages(0, 0))),
        Traffic::of("a pull, 16 messages", Shipped, pull(Answer::messages(16, 20))),
        Traffic::of("a pull, 1 MiB in pieces of 64 KiB", Shipped, pull(mebibyte().in_pieces(64 << 10))),
        Traffic::of("a pull, 1 MiB in one piece", Shipped, pull(mebibyte())),
        Traffic::of("a publish", Shipped, publish()),
        Traffic::of("a subscribe, as it should be", Shipped, subscribe(wire::SUBSCRIBE)),
        Traffic::of("a subscribe with ackTimeout 0, edited", Shipped, subscribe(wire::SUBSCRIBE_ZERO))
            .edited(wire::SUBSCRIBE, wire::SUBSCRIBE_TOLD),
        Traffic::of("a subscribe with autoAck, refused", Shipped, subscribe(wire::SUBSCRIBE_AUTO_ACK))
            .refused(400, wire::AUTO_ACK_REFUSED),
        Traffic::of("an ack, `telemetry: counted`", Counted, ack()),
        Traffic::of("a pull, 16 messages, `telemetry: counted`", Counted, pull(Answer::messages(16, 20))),
        Traffic::of("a publish, `telemetry: counted`", Counted, publish()),
        Traffic::of("a subscribe with ackTimeout 0, `mode: shadow`", Shadow, subscribe(wire::SUBSCRIBE_ZERO)),
        Traffic::of("a publish within a tenant's limit, token in hand", WithinLimit, publish()),
        Traffic::of("a publish over a tenant's limit, refused", OverLimit, publish()).refused(429, wire::OVER_LIMIT),
        Traffic::of("a publish within a client's limit, token in hand", ByClient, publish()),
        Traffic::of("a publish within a limit of the fleet", Fleet, publish()),
        Traffic::of("a pull, 16 messages, with `max_in_flight`", InFlight, pull(Answer::messages(16, 20))),
        Traffic::of(
            "a pull, 1 MiB in pieces of 64 KiB, with `max_in_flight`",
            InFlight,
            pull(mebibyte().in_pieces(64 << 10)),
        ),
        Traffic::of("an ack, with `max_in_flight`", InFlight, ack()).after(pull(Answer::messages(16, 20))),
        Traffic::of("a subscribe where a rule asks for the topic", ByTopic, subscribe(wire::SUBSCRIBE)),
    ];
    let exchanges = all.iter_mut().flat_map(Traffic::exchanges_mut);
    for (number, exchange) in exchanges.enumerate() {
        exchange.request.id = format!("7bb2ad94-f94f-47e1-8d03-{number:012}");
    }
    all
}
