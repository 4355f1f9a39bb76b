//! What is told of requests: to metrics and to the access log.

use std::net::{SocketAddr, TcpListener};

use e2e::client::Http1Client;
use e2e::gateway::{Setup, WORKERS, in_both_modes, shipped};
use e2e::message::Message;
use e2e::request::Request;
use e2e::upstream::Answer;
use serde_json::json;
use stack::{Envoy, Protocol, Workers, http_connection_manager, until};

/// What a histogram's series begin with in Envoy's statistics.
const DURATION: &str = "wasmcustom.ackguard_request_duration_ms;dialect=tmq;operation=";

fn answer(body: impl Into<Vec<u8>>) -> Answer {
    let headers = vec![("content-type", "application/json".to_owned())];
    Answer { headers, body: body.into(), trailers: Vec::new() }
}

/// A pull brings one message; of an ack's receipts one was late.
fn answers(request: &Message) -> Answer {
    answer(match request.head.path() {
        path if path.ends_with(":pull") => r#"{"messages":[{"receipt":"r","ackTimeout":30000,"reconsumeTimes":1}]}"#,
        path if path.ends_with(":ack") => {
            r#"{"failed":[{"receipt":"r","code":"ReceiptExpired"},{"receipt":"?","code":"InvalidArgument"}]}"#
        }
        _ => "{}",
    })
}

fn pull() -> Vec<u8> {
    Request::consumer("g", "pull").body(r#"{"maxMessages":5}"#)
}

fn ack() -> Vec<u8> {
    Request::consumer("g", "ack").body(r#"{"receipts":["r","?"]}"#)
}

#[tokio::test]
async fn what_is_counted_only_is_told_to_nobody() {
    for (telemetry, told, logged) in [("full", 1, r#""ackguard":{"dialect""#), ("counted", 0, r#""ackguard":-,"#)] {
        let setup = |setup: Setup| {
            let setup = setup.script(answers).policy(|policy| {
                policy["telemetry"] = telemetry.into();
                // The answers are read all the same.
                policy["defaults"]["max_in_flight"] = 100.into();
            });
            // Every request leaves a line, so that what stands in none can be waited for.
            setup.bootstrap(|bootstrap| {
                bootstrap.with(|document| {
                    let log = &mut http_connection_manager(document, "guarded")["access_log"][0];
                    log.as_object_mut().expect("an access log").remove("filter").expect("a filter");
                })
            })
        };
        in_both_modes(setup, async |gateway| {
            for request in [pull(), ack()] {
                assert_eq!(gateway.guarded(&request).await.head.status(), 200);
                gateway.upstream.take().await;
            }
            for operation in ["pull", "ack"] {
                let name = format!("ackguard_requests_total;dialect=tmq;operation={operation};decision=pass");
                assert_eq!(gateway.count(&name).await, 1, "{telemetry}");
            }
            for name in ["deliveries", "redeliveries", "late_acks"] {
                let count = gateway.count(&format!("ackguard_{name}_total;dialect=tmq")).await;
                assert_eq!(count, told, "{telemetry}: {name}");
            }
            assert_eq!(durations(&gateway.envoy).await.contains("operation=ack"), told == 1, "{telemetry}");
            let lines = async || (gateway.envoy.log().matches(logged).count() == 2).then_some(());
            until(logged, lines).await.unwrap_or_else(|error| panic!("{error}"));
        })
        .await;
    }
}

/// The names of the histogram's series.
async fn durations(envoy: &Envoy) -> String {
    envoy.admin_get("/stats?filter=ackguard_request_duration").await.unwrap_or_else(|error| panic!("{error}"))
}

/// Compressed, and no JSON at all; of the pulls one is cut where metrics stop reading.
fn unread(request: &Message) -> Answer {
    match request.head.path() {
        path if path.ends_with(":ack") => answer(b"\x1f\x8b\x08\x00".to_vec()),
        path if path.contains("/long/") => answer(format!(r#"{{"messages":[],"other":"{}"}}"#, "x".repeat(100_000))),
        _ => answer(format!("[{}", "1,".repeat(100))),
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_counted_and_one_that_is_only_cut_is_not() {
    in_both_modes(
        |setup| setup.script(unread),
        async |gateway| {
            let long = Request::new("POST", "/tmq/v1/groups/long/consumers/c-1:pull").body(r#"{"maxMessages":5}"#);
            for (request, count) in [(ack(), 1), (pull(), 2), (long, 2)] {
                assert_eq!(gateway.guarded(&request).await.head.status(), 200);
                gateway.upstream.take().await;
                assert_eq!(gateway.count("ackguard_unread_answers_total;dialect=tmq").await, count);
            }
        },
    )
    .await;
}

/// A message, and behind it more than a client takes in at once.
fn delivers_much(_: &Message) -> Answer {
    let much = "x".repeat(32 << 20);
    answer(format!(r#"{{"messages":[{{"receipt":"r","ackTimeout":30000}}],"other":"{much}"}}"#))
}

#[tokio::test]
async fn of_a_pull_whose_client_leaves_metrics_tell_what_it_was_sent_and_the_log_does_not() {
    in_both_modes(
        |setup| setup.script(delivers_much),
        async |gateway| {
            let mut client = Http1Client::open(gateway.envoy.guarded()).await;
            client.send(&pull()).await;
            gateway.upstream.take().await;
            let buffered = "http.guarded.downstream_cx_tx_bytes_buffered";
            gateway.envoy.stat_reaches(buffered, 1).await.expect("more than the client takes in");
            drop(client);
            let line = r#""operation":"pull""#;
            gateway.envoy.log_contains(line).await.expect("a line of the access log");
            let log = gateway.envoy.log();
            let line = log.lines().find(|found| found.contains(line)).expect("the line");
            assert!(line.contains(r#""flags":"DC""#) && !line.contains("receipts"), "{line}");
            let deliveries = "wasmcustom.ackguard_deliveries_total;dialect=tmq";
            gateway.envoy.stat_reaches(deliveries, 1).await.expect("the message before it left");
        },
    )
    .await;
}

/// Envoy gives up on a client that does not send its body, and on a broker that does not answer.
#[tokio::test]
async fn a_slow_client_is_no_time_out_of_the_broker() {
    // It accepts, and never answers.
    let broker = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = broker.local_addr().expect("a bound socket has an address");
    let bootstrap = shipped("static.yaml").without_health_checks().upstream(address, Protocol::Http1);
    let bootstrap = bootstrap.with(|document| {
        let manager = http_connection_manager(document, "guarded");
        manager["request_timeout"] = "1s".into();
        manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["timeout"] = "1s".into();
    });
    let envoy = Envoy::start(bootstrap, Workers(WORKERS)).await.unwrap_or_else(|failure| panic!("{failure}"));
    let publish = Request::publish("orders").body(json!({ "messages": [{ "body": "x" }] }).to_string());
    for (sent, status, timeout) in [(publish.len() - 1, 408, false), (publish.len(), 504, true)] {
        let mut client = Http1Client::open(envoy.guarded()).await;
        client.send(&publish[..sent]).await;
        let response = client.response().await;
        assert_eq!(response.head.status(), status, "{response:?}");
        let series = format!("{DURATION}publish;code={status};timeout={timeout}");
        let counted = async || durations(&envoy).await.contains(&series).then_some(());
        until(&series, counted).await.unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(!durations(&envoy).await.contains("code=408;timeout=true"));
}

/// The expression that docs/access-log.md gives, but for its share of what passes, which goes by the clock.
#[tokio::test]
async fn the_documented_filter_logs_what_was_edited_or_refused() {
    let path = stack::root().join("docs/access-log.md");
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let expression = page.lines().find(|line| line.contains("wasm.ackguard.decision' in filter_state ||"));
    let expression = expression.expect("an expression").replace("% 100 == 0", "% 100 == 100");
    let setup = |setup: Setup| {
        setup.script(answers).bootstrap(|bootstrap| {
            bootstrap.with(|document| {
                let filter = &mut http_connection_manager(document, "guarded")["access_log"][0]["filter"];
                filter["extension_filter"]["typed_config"]["expression"] = expression.clone().into();
            })
        })
    };
    in_both_modes(setup, async |gateway| {
        let subscribe = |body: &str| Request::new("POST", "/tmq/v1/groups/g/consumers").body(body);
        for (request, status) in [
            (ack(), 200),
            (subscribe(r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#), 200),
            (subscribe(r#"{"topic":"orders","autoAck":true,"deadLetterTopic":"d"}"#), 400),
        ] {
            let response = gateway.guarded(&request).await;
            assert_eq!(response.head.status(), status, "{response:?}");
            if status == 200 {
                gateway.upstream.take().await;
            }
        }
        for logged in [r#""decision":"edit""#, r#""decision":"reject""#] {
            gateway.envoy.log_contains(logged).await.unwrap_or_else(|error| panic!("{error}"));
        }
        // Of three requests in their order, the last one's line is there.
        assert!(!gateway.envoy.log().contains(r#""operation":"ack""#), "{}", gateway.envoy.log());
    })
    .await;
}
