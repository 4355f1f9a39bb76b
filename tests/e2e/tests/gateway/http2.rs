//! HTTP/2 on either side, and trailers.

use e2e::client::{Http2Answer, Http2Client};
use e2e::gateway::{Gateway, in_both_modes};
use e2e::message::Message;
use e2e::request::{REQUEST_ID, Request};
use http::{HeaderMap, HeaderValue};
use stack::{HostMode, Protocol};

const BODY: &str = r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#;
const EDITED: &str = r#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d"}"#;
const REFUSED: &str = r#"{"topic":"orders","autoAck":true}"#;
const TOLD: &str = "clamp; field=ackTimeout; from=0; to=10000; rule=defaults; policy=1";
const SUBSCRIBE: &str = "/tmq/v1/groups/g/consumers";

fn head(path: &str) -> http::request::Builder {
    http::Request::post(format!("http://queue.test{path}")).header("x-request-id", REQUEST_ID)
}

fn trailers() -> Option<HeaderMap> {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("1"));
    Some(trailers)
}

async fn respond(
    client: &mut Http2Client,
    head: http::request::Builder,
    pieces: &[&[u8]],
    trailers: Option<HeaderMap>,
) -> Message {
    match client.exchange(head.body(()).expect("a whole head"), pieces, trailers).await {
        Http2Answer::Response(response) => response,
        Http2Answer::Reset(error) => panic!("reset: {error}"),
    }
}

/// Sends subscribes in every form over HTTP/2 and checks what the upstream receives.
async fn subscribes(gateway: &Gateway) {
    let mut client = Http2Client::open(gateway.envoy.guarded()).await;
    let whole = [BODY.as_bytes()];
    let pieces: Vec<&[u8]> = BODY.as_bytes().chunks(9).collect();
    for pieces in [&whole[..], &pieces] {
        for trailers in [None, trailers()] {
            for length in [None, Some(BODY.len())] {
                let mut request = head(SUBSCRIBE);
                if let Some(length) = length {
                    request = request.header("content-length", length);
                }
                let what = format!("{} pieces, trailers {trailers:?}, length {length:?}", pieces.len());
                let response = respond(&mut client, request, pieces, trailers.clone()).await;
                assert_eq!(response.header("x-ackguard").as_deref(), Some(TOLD), "{what}");
                let received = gateway.upstream.take().await;
                assert_eq!(received.text(), EDITED, "{what}");
                // A length is told only where the client told one and the head could wait for the new one. HTTP/1.1 has
                // room for trailers only where there is no length, with or without AckGuard.
                let length = (length.is_some() && gateway.mode == HostMode::Held).then(|| EDITED.len().to_string());
                let room = received.head.start.ends_with("HTTP/2") || length.is_none();
                let arrived = received.trailers.text("x-checksum").is_some();
                assert_eq!(arrived, trailers.is_some() && room, "{what}: {received:?}");
                assert_eq!(received.header("content-length"), length, "{what}: {received:?}");
            }
        }
    }
    for trailers in [None, trailers()] {
        let response = respond(&mut client, head(SUBSCRIBE), &[REFUSED.as_bytes()], trailers).await;
        assert_eq!(response.head.status(), 400);
        assert!(response.text().contains("AutoAckRejected"), "{response:?}");
        assert_eq!(response.header("x-dingtalk-mq-request-id").as_deref(), Some(REQUEST_ID));
    }
}

#[tokio::test]
async fn a_subscribe_over_http2_is_edited_and_its_trailers_arrive() {
    in_both_modes(|setup| setup, subscribes).await;
}

#[tokio::test]
async fn a_subscribe_reaches_an_http2_upstream_edited() {
    in_both_modes(
        |setup| setup.protocol(Protocol::Http2),
        async |gateway| {
            subscribes(gateway).await;
            let response = gateway.guarded(&Request::subscribe("g").body(BODY)).await;
            assert_eq!(response.header("x-ackguard").as_deref(), Some(TOLD));
            let received = gateway.upstream.take().await;
            assert_eq!(
                (received.head.start.as_str(), received.text().as_str()),
                ("POST /tmq/v1/groups/g/consumers HTTP/2", EDITED)
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_method_in_lower_case_is_no_way_around_the_policy() {
    in_both_modes(
        |setup| setup,
        async |gateway| {
            let mut client = Http2Client::open(gateway.envoy.guarded()).await;
            let response = respond(&mut client, head(SUBSCRIBE).method("post"), &[BODY.as_bytes()], None).await;
            assert_eq!(response.header("x-ackguard").as_deref(), Some(TOLD));
            let received = gateway.upstream.take().await;
            assert_eq!((received.head.method(), received.text().as_str()), ("post", EDITED));
        },
    )
    .await;
}

#[tokio::test]
async fn trailers_of_a_chunked_subscribe_arrive_behind_the_edited_body() {
    in_both_modes(
        |setup| setup,
        async |gateway| {
            let request = Request::subscribe("g").chunked_with_trailers([BODY.as_bytes()], "x-checksum: 1\r\n");
            let response = gateway.guarded(&request).await;
            assert_eq!(response.header("x-ackguard").as_deref(), Some(TOLD));
            let received = gateway.upstream.take().await;
            assert_eq!(
                (received.text().as_str(), received.trailers.text("x-checksum").as_deref()),
                (EDITED, Some("1"))
            );
        },
    )
    .await;
}

/// A path, the frames of the body, and the trailers.
type Http2Request<'a> = (&'a str, &'a [&'a [u8]], Option<HeaderMap>);

#[tokio::test]
async fn other_traffic_over_http2_arrives_as_envoy_alone_delivers_it() {
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    let odd = HeaderValue::from_bytes(b"caf\xE9 \xFF").expect("bytes that a header may have");
    let requests: [Http2Request<'_>; 4] = [
        ("/other", &[], None),
        ("/other", &[&bytes, b"", &bytes], None),
        ("/other", &[b"body"], trailers()),
        ("/tmq/v1/topics/orders/messages", &[&bytes], trailers()),
    ];
    for protocol in [Protocol::Http1, Protocol::Http2] {
        in_both_modes(
            |setup| setup.protocol(protocol),
            async |gateway| {
                let mut guarded = Http2Client::open(gateway.envoy.guarded()).await;
                let mut bare = Http2Client::open(gateway.envoy.bare()).await;
                for (path, pieces, trailers) in &requests {
                    let mut received = Vec::new();
                    for client in [&mut guarded, &mut bare] {
                        let head = head(path).header("x-odd", &odd);
                        assert_eq!(respond(client, head, pieces, trailers.clone()).await.head.status(), 200);
                        received.push(gateway.upstream.take().await);
                    }
                    assert_eq!(received[0].head, received[1].head);
                    assert_eq!(received[0].trailers, received[1].trailers);
                    assert!(received[0].body == received[1].body, "{protocol:?} {path}");
                }
            },
        )
        .await;
    }
}
