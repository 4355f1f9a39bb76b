//! Operations whose bodies hold nothing to guard: they pass untouched, and nothing waits for their bodies.

use e2e::case::check_identical;
use e2e::client::Http1Client;
use e2e::gateway::in_both_modes;
use e2e::message::{Framing, Message};
use e2e::request::Request;
use e2e::upstream::Answer;

const MESSAGES: &str = "/tmq/v1/topics/orders/messages";

#[tokio::test]
async fn what_needs_no_reading_arrives_as_it_came() {
    let lifecycle = ["start", "pause", "resume", "stop", "close"];
    let lifecycle = lifecycle.map(|step| ("manage", Request::consumer("g", step).bodiless()));
    // Bodies that no reader would accept show that none reads them.
    let requests = [
        ("manage", Request::new("PUT", "/tmq/v1/topics/orders").body(r#"{"partitions":4}"#)),
        ("publish", Request::new("POST", MESSAGES).body(r#"{"messages":[{"body":"hi","encoding":"utf8"}]}"#)),
        ("publish", Request::new("POST", MESSAGES).body(b"\x00\xFFnot JSON")),
        ("publish", Request::new("POST", MESSAGES).header("content-encoding", "gzip").body(b"\x1f\x8b\x08\x00")),
        ("publish", Request::new("POST", MESSAGES).body("x".repeat(2 << 20))),
        ("ack", Request::consumer("g", "ack").body(r#"{"receipts":["r1"],"ackTimeout":0}"#)),
        ("reject", Request::consumer("g", "reject").body(r#"{"receipts":["r1"]"#)),
        ("manage", Request::new("GET", "/tmq/v1/groups/g/consumers/c1").bodiless()),
        ("manage", Request::new("GET", "/tmq/v1/topics/orders/route").bodiless()),
        ("manage", Request::new("POST", "/tmq/v1/transactions/t1:commit").bodiless()),
        ("manage", Request::new("POST", "/tmq/v1/transactions/t1:rollback").body("{}")),
    ];
    let requests: Vec<_> = requests.into_iter().chain(lifecycle).collect();
    in_both_modes(
        |setup| setup,
        async |gateway| {
            for (operation, request) in &requests {
                let response = gateway.guarded(request).await;
                assert_eq!((response.head.status(), response.header("x-ackguard")), (200, None), "{operation}");
                let received = gateway.upstream.take().await;
                check_identical(operation, &received, &gateway.reference(request).await);
            }
            for operation in ["publish", "ack", "reject", "manage"] {
                let expected = requests.iter().filter(|(kind, _)| *kind == operation).count() as u64;
                let name = format!("ackguard_requests_total;dialect=tmq;operation={operation};decision=pass");
                assert_eq!(gateway.count(&name).await, expected, "{operation}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_body_that_needs_no_reading_goes_on_before_it_is_whole() {
    let paths = [MESSAGES, "/tmq/v1/groups/g/consumers/c1:ack", "/tmq/v1/groups/g/consumers/c1:reject", "/other"];
    in_both_modes(
        |setup| setup,
        async |gateway| {
            for path in paths {
                let whole = Request::new("POST", path).body("the first part, and the second part");
                let (first, second) = whole.split_at(whole.len() - " and the second part".len());
                let mut client = Http1Client::open(gateway.envoy.guarded()).await;
                client.send(first).await;
                gateway.upstream.sees(b"the first part,").await;
                client.send(second).await;
                assert_eq!(client.response().await.head.status(), 200, "{path}");
                let received = gateway.upstream.take().await;
                assert_eq!((received.framing, received.text().len()), (Framing::Length, 35), "{path}");
            }
        },
    )
    .await;
}

/// A pull's answer that is larger than what Envoy may hold of a response.
fn large_answer(_request: &Message) -> Answer {
    Answer { headers: Vec::new(), body: "message ".repeat(400_000).into(), trailers: Vec::new() }
}

#[tokio::test]
async fn an_answer_of_any_size_passes() {
    in_both_modes(
        |setup| setup.script(large_answer),
        async |gateway| {
            let pull = Request::consumer("g", "pull");
            let subscribe = Request::subscribe("g");
            for request in [
                pull.body("{}"),
                pull.body(r#"{"ackTimeout":0}"#),
                subscribe.body(r#"{"topic":"orders"}"#),
                Request::new("GET", "/other").bodiless(),
            ] {
                let response = gateway.guarded(&request).await;
                assert!(response.body == large_answer(&response).body, "{response:?}");
                assert_eq!(response.framing, Framing::Length);
                gateway.upstream.take().await;
            }
        },
    )
    .await;
}
