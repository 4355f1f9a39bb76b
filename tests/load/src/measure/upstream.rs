//! An upstream that answers at once, as a broker would: what a filter reads of its answers is there. It shares a processor with
//! what loads an Envoy, so its answers are bytes that were rendered before.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::LazyLock;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::http1;

/// The group whose pulls bring [`BATCH`].
pub(crate) const BATCH_GROUP: &str = "batch";

/// Groups whose pulls bring receipts that were never there before, [`RECEIPTS`] each; so many that the leases of all of a
/// million spread evenly over the filter's table of them.
const RECEIPT_GROUP: &str = "receipts-";
const RECEIPT_GROUPS: u64 = 2_000;
/// Receipts that one of their pulls brings.
pub(crate) const RECEIPTS: u64 = 100;
/// How long they are good, in milliseconds: longer than any measurement takes.
const RECEIPT_TIMEOUT: u64 = 3_600_000;

/// The consumer whose one pull brings `receipts(pull)`, as a path.
pub(crate) fn consumer_of_receipts(pull: u64) -> String {
    format!("/tmq/v1/groups/{RECEIPT_GROUP}{}/consumers/{pull}", pull % RECEIPT_GROUPS)
}

/// What the pull of this number brings.
pub(crate) fn receipts(pull: u64) -> Vec<String> {
    (0..RECEIPTS).map(|number| format!("{pull}-{number}-7f3a5c")).collect()
}

/// The size of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Kib1,
    Kib16,
    Kib128,
    Mib1,
}

impl Size {
    pub(crate) const ALL: [Self; 4] = [Self::Kib1, Self::Kib16, Self::Kib128, Self::Mib1];

    /// Bytes in its body.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Kib1 => 1 << 10,
            Self::Kib16 => 16 << 10,
            Self::Kib128 => 128 << 10,
            Self::Mib1 => 1 << 20,
        }
    }

    /// The group whose pulls bring one message of it.
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Kib1 => "1kib",
            Self::Kib16 => "16kib",
            Self::Kib128 => "128kib",
            Self::Mib1 => "1mib",
        }
    }
}

/// Room for one read: requests are smaller than this.
const READ: usize = 16 << 10;

/// As good as any broker's answer to whatever is not one of those below.
static OTHER: LazyLock<Vec<u8>> = LazyLock::new(|| ok(r#"{"consumerId":"c1","state":"Created","messages":[]}"#));
/// To an ack.
static ACKED: LazyLock<Vec<u8>> = LazyLock::new(|| ok(r#"{"acked":["1-42-7f3a5c","1-43-99b0d1"],"failed":[]}"#));
/// To a pull: one message, of 200 bytes and what stands around its body.
static PULLED: LazyLock<Vec<u8>> = LazyLock::new(|| some_messages(1, 200));
/// Sixteen messages of a KiB.
static BATCH: LazyLock<Vec<u8>> = LazyLock::new(|| some_messages(16, 1 << 10));
/// One message of each of [`Size::ALL`].
static SIZED: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| Size::ALL.map(|size| some_messages(1, size.bytes())));

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
            if stream.write_all(&answer).await.is_err() {
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

fn answer_to(path: &str) -> Cow<'static, [u8]> {
    let mut names = path.split(['/', ':']).skip(4).step_by(2);
    let (group, consumer) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
    let made_up = || consumer.parse().ok().filter(|_| group.starts_with(RECEIPT_GROUP)).map(receipts);
    let rendered: &'static [u8] = match path.rsplit(':').next() {
        Some("ack") => match made_up() {
            Some(receipts) => return ok(&json!({ "acked": receipts, "failed": [] }).to_string()).into(),
            None => &ACKED,
        },
        Some("pull") if group == BATCH_GROUP => &BATCH,
        Some("pull") => match (Size::ALL.iter().position(|size| size.group() == group), made_up()) {
            (Some(size), _) => &SIZED[size],
            (None, Some(receipts)) => return messages(&receipts, 10, RECEIPT_TIMEOUT).into(),
            (None, None) => &PULLED,
        },
        _ => &OTHER,
    };
    Cow::Borrowed(rendered)
}

/// The answer with this body.
fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// The answer to a pull of `count` messages, whose bodies have so many bytes.
fn some_messages(count: u64, bytes: usize) -> Vec<u8> {
    let receipts: Vec<String> = (0..count).map(|number| format!("1-{number}-7f3a5c")).collect();
    messages(&receipts, bytes, 10_000)
}

/// The same of messages with these `receipts`, which are good for `timeout` milliseconds.
fn messages(receipts: &[String], bytes: usize, timeout: u64) -> Vec<u8> {
    let message = |(number, receipt): (usize, &String)| {
        json!({
            "messageId": format!("orders-1-{number}"), "receipt": receipt, "topic": "orders",
            "partition": 1, "offset": number, "body": "x".repeat(bytes), "encoding": "utf8", "key": "k", "tag": null,
            "properties": {}, "headers": {}, "reconsumeTimes": 0, "maxReconsumeTimes": 3, "ackTimeout": timeout,
            "deliveredAt": 1_700_000_000_000_u64, "ackDeadline": 1_700_000_000_000 + timeout,
        })
    };
    let all: Vec<_> = receipts.iter().enumerate().map(message).collect();
    ok(&json!({ "messages": all }).to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The body of an answer that is whole.
    fn body(answer: &[u8]) -> serde_json::Value {
        assert_eq!(http1::answer(answer), Ok(Some((200, answer.len()))));
        let begin = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        serde_json::from_slice(&answer[begin + 4..]).unwrap()
    }

    #[test]
    fn a_pull_brings_what_its_group_is_for() {
        let sized = Size::ALL.map(|size| (size.group(), 1, size.bytes()));
        for (group, count, bytes) in [("g", 1, 200), (BATCH_GROUP, 16, 1 << 10)].into_iter().chain(sized) {
            let answer = body(&answer_to(&format!("/tmq/v1/groups/{group}/consumers/c1:pull")));
            let messages = answer["messages"].as_array().unwrap();
            let sizes: Vec<_> = messages.iter().map(|message| message["body"].as_str().map(str::len)).collect();
            assert_eq!(sizes, vec![Some(bytes); count], "{group}");
        }
        assert_eq!(answer_to("/tmq/v1/groups/1mib/consumers/c1:ack"), ACKED.as_slice());
        assert_eq!(answer_to("/tmq/v1/topics/orders/messages"), OTHER.as_slice());
        assert_eq!(answer_to("/other"), OTHER.as_slice());
    }

    #[test]
    fn each_pull_brings_receipts_of_its_own_and_its_ack_is_answered_with_them() {
        let answer = |pull, operation| -> serde_json::Value {
            body(&answer_to(&format!("{}:{operation}", consumer_of_receipts(pull))))
        };
        let brought = |pull| -> Vec<String> {
            let messages = answer(pull, "pull")["messages"].as_array().unwrap().clone();
            messages.iter().map(|message| message["receipt"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(brought(7), receipts(7));
        assert_eq!(answer(7, "ack")["acked"], json!(receipts(7)));
        let all: HashSet<String> = (0..3_000).flat_map(receipts).collect();
        assert_eq!(all.len() as u64, 3_000 * RECEIPTS);
    }
}
