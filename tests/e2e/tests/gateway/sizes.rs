//! Bodies that are too large to be read, and bodies that come in pieces.

use e2e::case::{Refusal, check_identical, check_refusal};
use e2e::client::Http1Client;
use e2e::gateway::in_both_modes;
use e2e::request::{Request, chunk};

/// The largest body that is read.
const LIMIT: usize = 256 * 1024;

/// A subscribe's body of exactly `size` bytes with a zero ack timeout.
fn body(size: usize, ack_timeout: &str) -> Vec<u8> {
    let (before, after) =
        (format!(r#"{{"topic":"orders","ackTimeout":{ack_timeout},"deadLetterTopic":"d","x":""#), r#""}"#);
    let padding = "p".repeat(size - before.len() - after.len());
    format!("{before}{padding}{after}").into()
}

fn too_large(size: usize) -> Refusal {
    let message = format!("the body has {size} bytes or more; expected at most {LIMIT}");
    Refusal {
        status: 413,
        body: format!(r#"{{"code":"MessageTooLarge","message":"{message}"}}"#),
        told: "reject; reason=too_large; rule=defaults; policy=1".to_owned(),
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_the_limit_is_named() {
    in_both_modes(
        |setup| setup,
        async |gateway| {
            let subscribe = Request::subscribe("g");
            let at_the_limit = gateway.guarded(&subscribe.body(body(LIMIT, "0"))).await;
            assert_eq!(at_the_limit.head.status(), 200, "{at_the_limit:?}");
            assert_eq!(gateway.upstream.take().await.body, body(LIMIT + 4, "10000"));

            let told = gateway.guarded(&subscribe.body(body(LIMIT + 1, "0"))).await;
            check_refusal("by content-length", &told, &too_large(LIMIT + 1));

            let body = body(2 * LIMIT, "0");
            let mut client = Http1Client::open(gateway.envoy.guarded()).await;
            client.send(&subscribe.clone().header("transfer-encoding", "chunked").bodiless()).await;
            for piece in body.chunks(16 * 1024) {
                client.send(&chunk(piece)).await;
            }
            let response = client.response().await;
            assert_eq!(response.head.status(), 413, "{response:?}");
            assert!(response.text().contains(&format!("expected at most {LIMIT}")), "{response:?}");
            assert!(response.text().starts_with(r#"{"code":"MessageTooLarge","message":"#), "{response:?}");
            assert_eq!(
                response.header("x-ackguard").as_deref(),
                Some("reject; reason=too_large; rule=defaults; policy=1")
            );

            // Nothing but the head was sent: the limit is met before the body is.
            let mut client = Http1Client::open(gateway.envoy.guarded()).await;
            let head = subscribe.clone().header("content-length", "10000000000").bodiless();
            client.send(&head).await;
            check_refusal("by the head alone", &client.response().await, &too_large(10_000_000_000));

            let counted = gateway.count("ackguard_undecidable_total;dialect=tmq;reason=too_large").await;
            assert_eq!(counted, 3);
        },
    )
    .await;
}

#[tokio::test]
async fn a_body_over_the_limit_passes_as_it_came_where_the_policy_says_so() {
    in_both_modes(
        |setup| setup.policy(|policy| policy["defaults"]["undecidable"] = "forward".into()),
        async |gateway| {
            let request = Request::subscribe("g");
            for size in [LIMIT + 1, 300 * 1024, 1024 * 1024 + 1, 3 * 1024 * 1024] {
                let body = body(size, "0");
                let response = gateway.guarded(&request.body(&body)).await;
                assert_eq!(
                    (response.head.status(), response.header("x-ackguard")),
                    (200, None),
                    "{size}: {response:?}"
                );
                let received = gateway.upstream.take().await;
                check_identical("by content-length", &received, &gateway.reference(&request.body(&body)).await);

                // The rest is sent when the upstream has the start. At full speed Envoy may read more than its buffer
                // holds before the filter lets go of it, and then answers 413 by itself.
                let whole = request.chunked(body.chunks(10_000));
                let (start, rest) = whole.split_at(whole.len().min(LIMIT + 40_000));
                let mut client = Http1Client::open(gateway.envoy.guarded()).await;
                client.send(start).await;
                if !rest.is_empty() {
                    gateway.upstream.sees(b"orders").await;
                    client.send(rest).await;
                }
                let response = client.response().await;
                assert_eq!(
                    (response.head.status(), response.header("x-ackguard")),
                    (200, None),
                    "{size}: {response:?}"
                );
                assert!(gateway.upstream.take().await.body == body, "{size} in chunks");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_body_in_pieces_is_read_whole() {
    let body = r#"{"topic":"orders","ackTimeout":0,"note":"é","deadLetterTopic":"d"}"#;
    let edited = r#"{"topic":"orders","ackTimeout":10000,"note":"é","deadLetterTopic":"d"}"#;
    let subscribe = Request::subscribe("g");
    let chunked = |size: usize| subscribe.chunked(body.as_bytes().chunks(size));
    // The bytes of each request, and of how many a segment has.
    let requests =
        [(subscribe.body(body), 1), (subscribe.body(body), 7), (chunked(1), 1), (chunked(5), 3), (chunked(100), 1000)];
    in_both_modes(
        |setup| setup,
        async |gateway| {
            for (request, segment) in &requests {
                let mut client = Http1Client::open(gateway.envoy.guarded()).await;
                for piece in request.chunks(*segment) {
                    client.send(piece).await;
                    // Lets the piece go out before the next one joins it.
                    tokio::task::yield_now().await;
                }
                let response = client.response().await;
                assert!(response.header("x-ackguard").is_some(), "{response:?}");
                let received = gateway.upstream.take().await;
                assert_eq!(received.text(), edited);
            }
            // One connection, request after request.
            let mut client = Http1Client::open(gateway.envoy.guarded()).await;
            for (request, _) in requests.iter().cycle().take(20) {
                client.send(request).await;
                assert!(client.response().await.header("x-ackguard").is_some());
                assert_eq!(gateway.upstream.take().await.text(), edited);
            }
        },
    )
    .await;
}
