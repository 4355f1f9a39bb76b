//! A gateway under load, whose policy and module are changed.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use e2e::gateway::{Gateway, Setup, WORKERS, shipped};
use e2e::message::Message;
use e2e::request::Request;
use e2e::upstream::Answer;
use http_body_util::Full;
use serde_json::{Value, json};
use stack::{Bootstrap, HostMode};
use tmq_load::steady::{Expected, Load, Traffic, cover};

/// Connections to each worker.
const CONNECTIONS: usize = 4;
/// From one request of a connection to its next: a load that the machine carries beside other tests.
const EVERY: Duration = Duration::from_millis(5);
/// Rules of each policy: enough that a policy which a change leaves behind shows in Envoy's memory.
const RULES: usize = 200;

/// A gateway and the load on it. Its policies differ by their version, a number, and the default ack timeout.
pub(super) struct Stand {
    pub(super) gateway: Gateway,
    pub(super) load: Load,
    /// The version in force.
    pub(super) version: u64,
    bootstrap: Bootstrap,
}

impl Stand {
    /// Starts a gateway with the policy 1, through which the consumer `c1` of the group `g` subscribes to the topic
    /// `stock` and never again, and the load.
    pub(super) async fn start() -> Self {
        let bootstrap = shipped("ecds.yaml").host_mode(HostMode::Streamed).edit_policy(|policy| {
            policy["rules"] = rules();
            policy["version"] = "1".into();
        });
        let setup = Setup::new(HostMode::Streamed).bootstrap(|_| bootstrap.clone()).script(consumer_c1);
        let gateway = setup.start().await;
        gateway.guarded(&Request::subscribe("g").body(r#"{"topic":"stock","deadLetterTopic":"d"}"#)).await;
        let connections = cover(&gateway.envoy, WORKERS as usize, CONNECTIONS).await.expect("every worker is reached");
        let traffic = Traffic { request: subscribe, expected: Expected::Version("x-ackguard"), every: EVERY };
        let load = Load::start(connections, traffic, 1);
        let stand = Stand { gateway, load, version: 1, bootstrap };
        stand.check_served("the first policy").await;
        stand
    }

    /// The stand's policy as `version`.
    pub(super) fn policy(&self, version: u64) -> Bootstrap {
        self.bootstrap.clone().edit_policy(|policy| policy["version"] = version.to_string().into())
    }

    pub(super) fn deliver(&self, bootstrap: &Bootstrap) {
        // The upstream keeps what it receives until it is told not to.
        self.gateway.upstream.forget();
        self.gateway.envoy.deliver(bootstrap).expect("a configuration with ECDS");
    }

    /// Brings the next version of the policy, and waits until every worker serves it.
    pub(super) async fn change_policy(&mut self) {
        self.version += 1;
        self.load.expect(self.version);
        self.deliver(&self.policy(self.version));
        self.load.served(self.version).await.expect("the new version on every worker");
    }

    /// Brings `module` with the next version of the policy, and waits until every worker serves it.
    pub(super) async fn change_module(&mut self, module: &Path) {
        self.bootstrap = self.bootstrap.clone().wasm(module);
        self.change_policy().await;
    }

    /// Checks that every worker serves the version in force, and that no request has failed.
    pub(super) async fn check_served(&self, when: &str) {
        self.load.served(self.version).await.expect(when);
        assert_eq!(self.load.faults(), (0, Vec::new()), "{when}: requests that failed");
    }

    /// Checks that a pull of the consumer that subscribed at the start is held to the rule for its topic, on every worker.
    async fn check_remembered(&self) {
        let pull = Request::consumer("g", "pull").body(r#"{"ackTimeout":0}"#);
        let told = format!("clamp; field=ackTimeout; from=0; to=17000; rule=stock; policy={}", self.version);
        for response in self.gateway.by_every_worker(&pull).await {
            assert_eq!((response.head.status(), response.header("x-ackguard")), (200, Some(told.clone())));
        }
    }

    /// Ends the load and the gateway, and checks that no request failed, that every worker was under load at all times,
    /// and that what the gateway remembers is what it learned at the start.
    pub(super) async fn finish(self) {
        self.load.another_round().await.expect("the load goes on");
        self.check_remembered().await;
        let Stand { gateway, load, version, .. } = self;
        let (summary, _connections) = load.stop().await;
        assert_eq!((summary.failed, summary.faults.as_slice()), (0, [].as_slice()));
        let answers = summary.answers;
        assert!(answers.len() == WORKERS as usize && answers.iter().all(|of| *of >= version), "{answers:?} by worker");
        gateway.upstream.forget();
        gateway.end().await;
    }
}

/// A rule by topic, and many that nobody in the load fits.
fn rules() -> Value {
    let team = |number| {
        let name = format!("team-{number}");
        json!({ "name": name, "match": { "tenant": name }, "dead_letter": { "topic": "{topic}.failed" } })
    };
    let stock = json!({ "name": "stock", "match": { "topic": "stock" }, "ack_timeout": { "default": "17s" } });
    std::iter::once(stock).chain((1..RULES).map(team)).collect()
}

/// What the load sends: an ack timeout of 0 for a topic that no rule names.
fn subscribe(_number: u64) -> hyper::Request<Full<Bytes>> {
    let body = r#"{"topic":"load","ackTimeout":0,"deadLetterTopic":"d"}"#;
    let request = hyper::Request::post("/tmq/v1/groups/load/consumers").header("host", "queue.test");
    request.body(Full::new(Bytes::from_static(body.as_bytes()))).expect("a request")
}

/// The answer to a subscribe names the consumer `c1`, as a broker's does.
fn consumer_c1(_request: &Message) -> Answer {
    let body = br#"{"consumerId":"c1","state":"Created"}"#.to_vec();
    Answer { headers: Vec::new(), body, trailers: Vec::new() }
}
