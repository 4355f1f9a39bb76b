//! Traffic that no dialect reads arrives as Envoy alone would deliver it.

use e2e::case::check_identical;
use e2e::client::Http1Client;
use e2e::gateway::{Gateway, in_both_modes};
use e2e::message::Message;
use e2e::request::Request;
use e2e::upstream::Answer;

/// Sends `request` through either listener and checks that both the upstream and the client see no difference.
async fn compare(gateway: &Gateway, what: &str, request: &[u8]) {
    let guarded = gateway.guarded(request).await;
    let received = gateway.upstream.take().await;
    let bare = gateway.bare(request).await;
    check_identical(what, &received, &gateway.upstream.take().await);
    // Envoy tells the time that it took.
    let lasting = |message: &Message| message.head.headers.sorted_without(&["date", "x-envoy-upstream-service-time"]);
    assert_eq!((&guarded.head.start, lasting(&guarded)), (&bare.head.start, lasting(&bare)), "{what}: response");
    assert!(guarded.body == bare.body, "{what}: response's body");
}

fn telling_answer(_request: &Message) -> Answer {
    let headers = vec![("x-odd", "a  b;c=\"d\"".to_owned())];
    Answer { headers, body: vec![0, 159, 146, 150, 13, 10], trailers: vec![("x-end", "1")] }
}

#[tokio::test]
async fn every_method_and_form_of_body_arrives_as_it_came() {
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(70_000).collect();
    let mut requests = Vec::new();
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PROPFIND"] {
        requests.push((method.to_owned(), Request::new(method, "/any/path?a=%20&b=%2F").bodiless()));
        if method != "TRACE" {
            requests.push((format!("{method} with a body"), Request::new(method, "/").body("body")));
        }
    }
    let post = Request::new("POST", "/other/%E4/..;/x?%00");
    let odd = post
        .clone()
        .header("X-Mixed-Case", "Value")
        .header("x-bytes", b"caf\xE9 \xFF\x80")
        .header("x-twice", "1")
        .header("x-twice", "2")
        .header("x-empty", "")
        .header("content-encoding", "gzip")
        .header("cookie", "a=b; c=d");
    let trailers = "x-checksum: 1\r\nX-Trailer: caf\u{e9}\r\n";
    requests.extend([
        ("every byte".to_owned(), post.body(&every_byte)),
        ("chunked".to_owned(), post.chunked([&b"one"[..], b"two", &every_byte])),
        ("an empty chunked body".to_owned(), post.chunked([])),
        ("trailers".to_owned(), post.chunked_with_trailers([&b"body"[..]], trailers)),
        ("odd headers".to_owned(), odd.body("body")),
        ("an empty body".to_owned(), post.body("")),
        ("100-continue".to_owned(), post.clone().header("expect", "100-continue").body("body")),
        ("a body over Envoy's buffer".to_owned(), post.body(every_byte.repeat(20))),
    ]);
    in_both_modes(
        |setup| setup.script(telling_answer),
        async |gateway| {
            for (what, request) in &requests {
                if what == "100-continue" {
                    continue_first(gateway, request).await;
                } else {
                    compare(gateway, what, request).await;
                }
            }
            let counters = gateway.envoy.stats("wasmcustom").await.expect("Envoy's admin");
            // The gauges of what this policy has none of are there, at 0.
            let counted = counters.iter().filter(|(_, value)| **value > 0);
            let names: Vec<&str> = counted.map(|(name, _)| name.as_str()).collect();
            let of_the_policy = [
                "wasmcustom.ackguard_policy_info;version=1;mode=enforce",
                "wasmcustom.ackguard_policy_reloads_total;result=accepted",
            ];
            assert_eq!(names, of_the_policy, "traffic that no dialect reads is not counted");
        },
    )
    .await;
}

/// A client that sends its body when it is told to.
async fn continue_first(gateway: &Gateway, request: &[u8]) {
    let (head, body) = request.split_at(request.len() - 4);
    let mut received = Vec::new();
    for address in [gateway.envoy.guarded(), gateway.envoy.bare()] {
        let mut client = Http1Client::open(address).await;
        client.send(head).await;
        assert_eq!(client.response().await.head.status(), 100);
        client.send(body).await;
        assert_eq!(client.response().await.head.status(), 200);
        received.push(gateway.upstream.take().await);
    }
    check_identical("100-continue", &received[0], &received[1]);
}

#[tokio::test]
async fn a_guarded_request_may_wait_for_its_continue_too() {
    let body = r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#;
    in_both_modes(
        |setup| setup,
        async |gateway| {
            let request = Request::subscribe("g").header("expect", "100-continue").body(body);
            let (head, body) = request.split_at(request.len() - body.len());
            let mut client = Http1Client::open(gateway.envoy.guarded()).await;
            client.send(head).await;
            assert_eq!(client.response().await.head.status(), 100);
            client.send(body).await;
            assert!(client.response().await.header("x-ackguard").is_some());
            let received = gateway.upstream.take().await;
            assert_eq!(received.text(), r#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d"}"#);
        },
    )
    .await;
}

#[tokio::test]
async fn a_tunnel_is_refused_as_envoy_refuses_it() {
    in_both_modes(
        |setup| setup,
        async |gateway| {
            let request = b"CONNECT queue.test:80 HTTP/1.1\r\nhost: queue.test:80\r\n\r\n";
            let (guarded, bare) = (gateway.guarded(request).await, gateway.bare(request).await);
            assert_eq!(guarded.head.start, bare.head.start);
        },
    )
    .await;
}
