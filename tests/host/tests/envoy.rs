//! The double is worth what it has in common with Envoy: each kind of traffic through both, with the same policy. Where
//! they decide alike, send the same to the broker and to the client, and count the same, the calls are those that a real
//! Envoy gets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use e2e::gateway::{Gateway, MODES, Setup};
use e2e::message::Message;
use e2e::upstream::{Answer, empty_object};
use host_double::plugin::{self, Plugin};
use host_double::traffic::{self, Exchange, Policy, Traffic};
use stack::HostMode;

/// What Envoy adds, or words in its own way, before or behind the filter.
const ENVOYS: [&str; 10] = [
    "connection",
    "content-length",
    "date",
    "host",
    "server",
    "transfer-encoding",
    "x-dingtalk-mq-request-id",
    "x-dingtalk-mq-version",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-upstream-service-time",
];

/// How often each kind is sent: once to begin with, and once when its kind has been seen.
const TIMES: usize = 2;

/// The host modes differ in what goes on before a body is judged, which these have all cases of; the others are played in
/// one.
const IN_BOTH_MODES: [Policy; 2] = [Policy::Shipped, Policy::Shadow];

static KINDS: LazyLock<Vec<Traffic>> = LazyLock::new(traffic::all);

#[tokio::test]
async fn the_double_and_envoy_make_the_same_of_every_kind_of_traffic() {
    for mode in MODES {
        let is_played = |policy: &Policy| mode == HostMode::Held || IN_BOTH_MODES.contains(policy);
        // The fleet's limit asks a service, for which the double answers itself.
        for policy in Policy::ALL.into_iter().filter(|policy| *policy != Policy::Fleet && is_played(policy)) {
            let setup = Setup::new(mode).policy(|document| policy.edit(document)).script(broker);
            let gateway = setup.start().await;
            let mut plugin = Plugin::start(mode, &policy.document(mode));
            for traffic in KINDS.iter().filter(|traffic| traffic.policy == policy && comes_at_once(traffic)) {
                for _ in 0..TIMES {
                    compare(traffic, &mut plugin, &gateway).await;
                }
            }
            assert_eq!(plugin.counters(), counters(&gateway).await, "{policy:?}, {mode:?}: counters");
            gateway.finish().await;
        }
    }
}

/// Whether the answer comes in one piece. How a long one is cut is the network's choice, and of a long one not all is read.
fn comes_at_once(traffic: &Traffic) -> bool {
    traffic.exchange.answer.body().len() < 16 << 10
}

async fn compare(traffic: &Traffic, plugin: &mut Plugin, gateway: &Gateway) {
    let what = format!("{}, {:?}", traffic.name, gateway.mode);
    for exchange in traffic.exchanges() {
        let played = plugin.play(exchange);
        let response = gateway.guarded(&exchange.request.http1()).await;
        assert_eq!(played.response.header(":status"), Some(response.head.status().to_string()), "{what}");
        // How long a client is to wait is told by either one's clock.
        let text = if response.head.status() == 429 { without_numbers } else { lossy };
        assert_eq!(text(&played.response.body), text(&response.body), "{what}: the answer");
        assert_eq!(headers(&played.response, text), sent(&response, text), "{what}: the answer's headers");
        let Some(upstream) = played.upstream else { continue };
        let received = gateway.upstream.take().await;
        assert!(upstream.body == received.body, "{what}: the broker got {received:?}");
        assert_eq!(headers(&upstream, lossy), sent(&received, lossy), "{what}: the broker's headers");
        let length = upstream.header("content-length");
        assert_eq!(length, received.header("content-length"), "{what}: the length that the broker was told");
    }
}

/// Answers a request as its kind of traffic has it, and whatever else the gateway's end asks for.
fn broker(request: &Message) -> Answer {
    let id = request.header("x-request-id");
    let exchange = KINDS.iter().flat_map(Traffic::exchanges).find(|exchange| Some(&exchange.request.id) == id.as_ref());
    let Some(Exchange { answer, .. }) = exchange else { return empty_object(request) };
    let headers = vec![("content-type", "application/json".to_owned())];
    Answer { headers, body: answer.body(), trailers: Vec::new() }
}

/// The headers of a message that the double has played, but for Envoy's own; each value as `text` has it.
fn headers(message: &plugin::Message, text: fn(&[u8]) -> String) -> BTreeSet<(String, String)> {
    let headers = message.headers.iter().filter(|(name, _)| !name.starts_with(':') && !ENVOYS.contains(&name.as_str()));
    headers.map(|(name, value)| (name.clone(), text(value))).collect()
}

/// The same of one that Envoy has sent.
fn sent(message: &Message, text: fn(&[u8]) -> String) -> BTreeSet<(String, String)> {
    let headers = message.head.headers.sorted_without(&ENVOYS).0;
    headers.iter().map(|(name, value)| (lossy(name), text(value))).collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn without_numbers(bytes: &[u8]) -> String {
    lossy(bytes).split(|letter: char| letter.is_ascii_digit()).collect()
}

/// The filter's counters in Envoy.
async fn counters(gateway: &Gateway) -> BTreeMap<String, u64> {
    let all = gateway.envoy.stats("^wasmcustom\\.ackguard_.*_total").await.unwrap_or_else(|error| panic!("{error}"));
    all.into_iter().map(|(name, value)| (name.trim_start_matches("wasmcustom.").to_owned(), value)).collect()
}
