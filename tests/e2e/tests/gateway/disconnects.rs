//! Clients that leave before they are done.

use e2e::client::Http1Client;
use e2e::gateway::in_both_modes;
use e2e::request::Request;
use stack::{HostMode, until};

#[tokio::test]
async fn of_a_request_that_breaks_off_the_upstream_sees_nothing_of_the_body() {
    let whole = Request::subscribe("g").body(r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#);
    in_both_modes(
        |setup| setup,
        async |gateway| {
            let head = whole.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
            for cut in [head, head + 1, whole.len() - 1] {
                let mut client = Http1Client::open(gateway.envoy.guarded()).await;
                client.send(&whole[..cut]).await;
                // Gone when the gateway has begun with the request.
                gateway.envoy.stat_reaches("http.guarded.downstream_rq_active", 1).await.expect("a request under way");
                if gateway.mode == HostMode::Streamed {
                    gateway.upstream.sees(b"\r\n\r\n").await;
                }
                drop(client);
                until("the end of the request", async || {
                    (gateway.stat("http.guarded.downstream_rq_active").await == 0).then_some(())
                })
                .await
                .expect("the request ends with its client");
                if gateway.mode == HostMode::Streamed {
                    let broken = gateway.upstream.take_broken().await;
                    assert!(broken.head.is_some() && broken.body.is_empty(), "{broken:?}");
                }
                assert_eq!(gateway.upstream.under_way(), 0);
            }
            // What else arrived, if anything did, is found at the gateway's end.
            let counted = gateway.envoy.stats("ackguard_requests_total").await.expect("Envoy's admin");
            assert!(counted.is_empty(), "no request was decided on: {counted:?}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_client_that_sends_all_and_then_only_listens_is_answered() {
    let whole = Request::subscribe("g").body(r#"{"topic":"orders","autoAck":true}"#);
    in_both_modes(
        |setup| setup,
        async |gateway| {
            let mut client = Http1Client::open(gateway.envoy.guarded()).await;
            client.send(&whole).await;
            let response = client.response().await;
            assert_eq!(response.head.status(), 400);
            client.half_close().await;
            assert!(client.is_closed().await);
        },
    )
    .await;
}
