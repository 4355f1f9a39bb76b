//! An upstream that answers at once, as a broker would: what a filter reads of its answers is there. It shares a processor with
//! what loads an Envoy, so its answers are bytes that were rendered before.

use std::net::SocketAddr;
use std::sync::LazyLock;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::http1;

/// The group whose pulls bring [`BATCH`].
pub(crate) const BATCH_GROUP: &str = "batch";
/// The group whose pulls bring [`LARGE`].
pub(crate) const LARGE_GROUP: &str = "large";

/// Room for one read: requests are smaller than this.
const READ: usize = 16 << 10;

/// As good as any broker's answer to whatever is not one of those below.
static OTHER: LazyLock<Vec<u8>> = LazyLock::new(|| ok(r#"{"consumerId":"c1","state":"Created","messages":[]}"#));
/// To an ack.
static ACKED: LazyLock<Vec<u8>> = LazyLock::new(|| ok(r#"{"acked":["1-42-7f3a5c","1-43-99b0d1"],"failed":[]}"#));
/// To a pull: one message, of 200 bytes and what stands around its body.
static PULLED: LazyLock<Vec<u8>> = LazyLock::new(|| messages(1, 200));
/// Sixteen messages of a KiB.
static BATCH: LazyLock<Vec<u8>> = LazyLock::new(|| messages(16, 1 << 10));
/// A MiB in sixteen messages.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| messages(16, 1 << 16));

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
        // Answers are complete: waiting to fill a packet would be measured as the gateway's time.
        if stream.set_nodelay(true).is_ok() {
            tokio::spawn(serve(stream));
        }
    }
}

/// Answers one request after the other. A connection that breaks off, or brings what is no request, is closed: a gateway that
/// makes up an answer would be seen at the client.
async fn serve(mut stream: TcpStream) {
    let mut held = Vec::new();
    while let Ok(request) = http1::request(&held) {
        if let Some((path, length)) = request {
            let answer = answer_to(path);
            held.drain(..length);
            if stream.write_all(answer).await.is_err() {
                return;
            }
        } else {
            held.reserve(READ);
            if !matches!(stream.read_buf(&mut held).await, Ok(1..)) {
                return;
            }
        }
    }
}

fn answer_to(path: &str) -> &'static [u8] {
    let of_group = |group: &str| path.split('/').nth(4) == Some(group);
    match path.rsplit(':').next() {
        Some("ack") => &ACKED,
        Some("pull") if of_group(BATCH_GROUP) => &BATCH,
        Some("pull") if of_group(LARGE_GROUP) => &LARGE,
        Some("pull") => &PULLED,
        _ => &OTHER,
    }
}

/// The answer with this body.
fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// The answer to a pull of so many messages, whose bodies have so many bytes.
fn messages(count: u64, bytes: usize) -> Vec<u8> {
    let message = |number: u64| {
        json!({
            "messageId": format!("orders-1-{number}"), "receipt": format!("1-{number}-7f3a5c"), "topic": "orders",
            "partition": 1, "offset": number, "body": "x".repeat(bytes), "encoding": "utf8", "key": "k", "tag": null,
            "properties": {}, "headers": {}, "reconsumeTimes": 0, "maxReconsumeTimes": 3, "ackTimeout": 10_000,
            "deliveredAt": 1_700_000_000_000_u64, "ackDeadline": 1_700_000_010_000_u64,
        })
    };
    let all: Vec<_> = (0..count).map(message).collect();
    ok(&json!({ "messages": all }).to_string())
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
            assert_eq!(http1::answer(answer), Ok(Some((200, answer.len()))));
        }
        assert_eq!(answer_to("/tmq/v1/groups/large/consumers/c1:ack"), *ACKED);
        assert_eq!(answer_to("/other"), *OTHER);
    }
}
