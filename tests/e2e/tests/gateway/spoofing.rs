//! Nobody speaks for the gateway.

use e2e::case::check_identical;
use e2e::gateway::in_both_modes;
use e2e::request::Request;

#[tokio::test]
async fn a_clients_own_announcements_never_reach_the_upstream() {
    let body = r#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d"}"#;
    let edited = r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#;
    let requests = [
        ("a subscribe", Request::subscribe("g"), body),
        ("an edited subscribe", Request::subscribe("g"), edited),
        ("a publish", Request::publish("orders"), r#"{"messages":[]}"#),
        ("an unknown operation", Request::new("POST", "/tmq/v1/nothing"), "x"),
        ("other traffic", Request::new("POST", "/other"), "x"),
    ];
    in_both_modes(
        |setup| setup,
        async |gateway| {
            for (what, request, body) in &requests {
                let spoofed = request
                    .clone()
                    .header("x-ackguard", "pass")
                    .header("X-AckGuard", b"\xFF\xFE")
                    .header("x-ackguard-anything", "1")
                    .header("X-ACKGUARD-policy", "2")
                    .header("x-ackguards", "3")
                    .header("x-ack", "stays");
                let response = gateway.guarded(&spoofed.body(body)).await;
                let told = response.head.headers.names_with("x-ackguard");
                let expected: &[&str] = if body == &edited { &["x-ackguard"] } else { &[] };
                assert_eq!(told, expected, "{what}: what the client is told");
                let received = gateway.upstream.take().await;
                assert_eq!(received.head.headers.names_with("x-ack"), ["x-ack"], "{what}");
                if !body.starts_with("{\"topic") {
                    let honest = request.clone().header("x-ack", "stays").body(body);
                    check_identical(what, &received, &gateway.reference(&honest).await);
                }
            }
        },
    )
    .await;
}

#[tokio::test]
async fn nor_do_they_as_trailers() {
    let spoofed = "x-ackguard: pass\r\nX-AckGuard-Policy: \u{e9}\r\nx-ack: stays\r\n";
    let edited = br#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#;
    in_both_modes(
        |setup| setup,
        async |gateway| {
            for request in
                [Request::subscribe("g"), Request::new("POST", "/tmq/v1/nothing"), Request::new("PUT", "/other")]
            {
                gateway.guarded(&request.chunked_with_trailers([&edited[..]], spoofed)).await;
                let received = gateway.upstream.take().await;
                assert_eq!(received.trailers.names_with("x-ack"), ["x-ack"], "{received:?}");
            }
        },
    )
    .await;
}
