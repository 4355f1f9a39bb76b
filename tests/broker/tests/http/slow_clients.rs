//! Clients that take their time: over a head, over a body, over an answer. None of them keeps a connection for it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tmq_broker::Semantics::Fixed;
use tmq_broker::{ClientTimeouts, Millis};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::client::Broker;

/// Longer than anything here takes, and shorter than the defaults of what is made short.
const LONG: Duration = Duration::from_secs(20);

async fn start(change: impl FnOnce(&mut ClientTimeouts)) -> Broker {
    let broker = Broker::start_with(Fixed, |config| change(&mut config.client_timeouts)).await;
    broker.orders(1, 0).await;
    broker
}

async fn connect(broker: &Broker) -> TcpStream {
    TcpStream::connect(broker.server.listen()).await.unwrap()
}

/// Asks for the route of `orders` and reads the answer, which leaves the connection open.
async fn route(stream: &mut TcpStream) {
    stream.write_all(b"GET /tmq/v1/topics/orders/route HTTP/1.1\r\nhost: b\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}]}") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the connection was closed");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// The head and the body of the answer that ends a connection.
async fn last_answer(stream: &mut TcpStream) -> (String, Value) {
    let mut answer = Vec::new();
    // What was sent while the connection ended is answered with a reset, after the answer.
    let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the connection ends");
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), serde_json::from_str(body).unwrap())
}

#[track_caller]
fn timed_out((head, body): (String, Value)) {
    assert!(head.starts_with("http/1.1 408 ") && head.contains("x-dingtalk-mq-request-id: "), "{head}");
    assert_eq!(body["code"], "RequestTimeout");
    assert!(body["message"].is_string() && body["field"].is_null(), "{body}");
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_awaited() {
    let broker = start(|timeouts| timeouts.head = Millis(200)).await;
    let mut fresh = connect(&broker).await;
    let mut used = connect(&broker).await;
    route(&mut used).await;
    for stream in [&mut fresh, &mut used] {
        stream.write_all(b"GET /tmq/v1/topics/").await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let drip = async {
            while writer.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        // Every byte comes in time: only all of them do not.
        let mut first = [0];
        tokio::select! {
            biased;
            readable = timeout(LONG, reader.peek(&mut first)) => assert!(readable.expect("an answer").unwrap() > 0),
            () = drip => panic!("it ended without an answer"),
        }
        timed_out(last_answer(stream).await);
    }
}

#[tokio::test]
async fn an_idle_connection_outlives_the_heads_time() {
    let broker = start(|timeouts| timeouts.head = Millis(50)).await;
    let mut stream = connect(&broker).await;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(connect(&broker).await));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        sleep(Duration::from_millis(150)).await;
        route(&mut stream).await;
        let uri = format!("http://{}/tmq/v1/topics/orders/route", broker.server.listen());
        let answer = sender.send_request(Request::get(uri).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.unwrap();
    }
}

#[tokio::test]
async fn a_long_poll_outlives_every_time_out() {
    let broker =
        start(|timeouts| *timeouts = ClientTimeouts { head: Millis(50), body: Millis(50), answer: Millis(50) });
    let broker = broker.await;
    let consumer = broker.consumer(json!({})).await;
    assert_eq!(broker.pull(&consumer, json!({ "waitMs": 400 })).await.len(), 0);
}

#[tokio::test]
async fn a_body_that_stops_half_way_is_not_awaited() {
    let broker = start(|timeouts| timeouts.body = Millis(200)).await;
    for sent in ["content-length: 100\r\n\r\n{\"messages\":", "transfer-encoding: chunked\r\n\r\n5\r\n{\"mes\r\n"] {
        let mut stream = connect(&broker).await;
        let head = "POST /tmq/v1/topics/orders/messages HTTP/1.1\r\nhost: b\r\n";
        stream.write_all(format!("{head}{sent}").as_bytes()).await.unwrap();
        timed_out(last_answer(&mut stream).await);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_the_connection() {
    let broker = start(|timeouts| timeouts.answer = Millis(200)).await;
    for _ in 0..4 {
        let message = json!({ "messages": [{ "body": "x".repeat(1 << 20) }] });
        broker.post("/topics/orders/messages", message).await.ok();
    }
    let consumer = broker.consumer(json!({ "ackTimeout": 1, "maxReconsumeTimes": 1_000 })).await;

    let mut one = connect(&broker).await;
    let pull =
        format!("POST /tmq/v1{consumer}:pull HTTP/1.1\r\nhost: b\r\ncontent-length: 16\r\n\r\n{{\"waitMs\":20000}}");
    // More than the system holds for the client.
    let flood = async { while one.write_all(pull.as_bytes()).await.is_ok() {} };
    timeout(LONG, flood).await.expect("HTTP/1.1: the connection ends");

    // The client of HTTP/2 reads the connection, but lets the stream have a thousand bytes alone.
    let io = TokioIo::new(connect(&broker).await);
    let (mut sender, connection) =
        http2::Builder::new(TokioExecutor::new()).initial_stream_window_size(1_000).handshake(io).await.unwrap();
    let ended = tokio::spawn(connection);
    let uri = format!("http://{}/tmq/v1{consumer}:pull", broker.server.listen());
    let request = Request::builder().method(Method::POST).uri(uri).body(Body::from(r#"{"waitMs":20000}"#)).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    // How it ended does not matter.
    let _ = timeout(LONG, ended).await.expect("HTTP/2: the connection ends").unwrap();
    assert!(answer.into_body().collect().await.is_err(), "the rest was not sent");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let broker = start(|_| {}).await;
    let mut stream = connect(&broker).await;
    let names: Vec<String> = (0..100).map(|number| format!("t{number}")).collect();
    let put = |name: &String| format!("PUT /tmq/v1/topics/{name} HTTP/1.1\r\nhost: b\r\ncontent-length: 2\r\n\r\n{{}}");
    let requests: String = names.iter().map(put).collect();
    stream.write_all(requests.as_bytes()).await.unwrap();
    stream.write_all(b"GET /tmq/v1/nothing HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answers = String::new();
    timeout(LONG, stream.read_to_string(&mut answers)).await.expect("all are answered").unwrap();
    let told: Vec<&str> =
        answers.split("{\"topic\":\"").skip(1).map(|answer| answer.split_once('"').unwrap().0).collect();
    assert_eq!(told, names);
}
