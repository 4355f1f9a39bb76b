//! An upstream that answers at once, as a broker would: what a filter reads of its answers is there.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::LazyLock;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The group whose pulls bring [`BATCH`].
pub(crate) const BATCH_GROUP: &str = "batch";
/// The group whose pulls bring [`LARGE`].
pub(crate) const LARGE_GROUP: &str = "large";

/// As good as any broker's answer to whatever is not one of those below.
const OTHER: &str = r#"{"consumerId":"c1","state":"Created","messages":[]}"#;
/// To an ack.
const ACKED: &str = r#"{"acked":["1-42-7f3a5c","1-43-99b0d1"],"failed":[]}"#;
/// To a pull: one message, of 200 bytes and what stands around its body.
static PULLED: LazyLock<Bytes> = LazyLock::new(|| messages(1, 200));
/// Sixteen messages of a KiB.
static BATCH: LazyLock<Bytes> = LazyLock::new(|| messages(16, 1 << 10));
/// A MiB in sixteen messages.
static LARGE: LazyLock<Bytes> = LazyLock::new(|| messages(16, 1 << 16));

/// An upstream at any free port of the loopback. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Upstream {
    pub(super) async fn start() -> std::io::Result<Self> {
        let socket = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = socket.local_addr()?;
        Ok(Self { address, accepting: tokio::spawn(accept(socket)) })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(socket: TcpListener) {
    while let Ok((stream, _)) = socket.accept().await {
        // Answers are small and complete: waiting to fill a packet would be measured as the gateway's time.
        if stream.set_nodelay(true).is_ok() {
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = answer_to(request.uri().path());
    // A request that breaks off needs no answer; a gateway that makes one up would be seen at the client.
    _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}

fn answer_to(path: &str) -> Bytes {
    let of_group = |group: &str| path.split('/').nth(4) == Some(group);
    match path.rsplit(':').next() {
        Some("ack") => Bytes::from_static(ACKED.as_bytes()),
        Some("pull") if of_group(BATCH_GROUP) => BATCH.clone(),
        Some("pull") if of_group(LARGE_GROUP) => LARGE.clone(),
        Some("pull") => PULLED.clone(),
        _ => Bytes::from_static(OTHER.as_bytes()),
    }
}

/// The answer to a pull of so many messages, whose bodies have so many bytes.
fn messages(count: u64, bytes: usize) -> Bytes {
    let message = |number: u64| {
        json!({
            "messageId": format!("orders-1-{number}"), "receipt": format!("1-{number}-7f3a5c"), "topic": "orders",
            "partition": 1, "offset": number, "body": "x".repeat(bytes), "encoding": "utf8", "key": "k", "tag": null,
            "properties": {}, "headers": {}, "reconsumeTimes": 0, "maxReconsumeTimes": 3, "ackTimeout": 10_000,
            "deliveredAt": 1_700_000_000_000_u64, "ackDeadline": 1_700_000_010_000_u64,
        })
    };
    let all: Vec<_> = (0..count).map(message).collect();
    json!({ "messages": all }).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_brings_what_its_group_is_for() {
        for (group, least, most) in
            [("g", 200, 1_000), (BATCH_GROUP, 16 << 10, 24 << 10), (LARGE_GROUP, 1 << 20, 2 << 20)]
        {
            let answer = answer_to(&format!("/tmq/v1/groups/{group}/consumers/c1:pull"));
            assert!((least..most).contains(&answer.len()), "{group}: {}", answer.len());
        }
        assert_eq!(answer_to("/tmq/v1/groups/large/consumers/c1:ack"), ACKED);
        assert_eq!(answer_to("/other"), OTHER);
    }
}
