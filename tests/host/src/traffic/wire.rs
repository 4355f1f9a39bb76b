//! Requests as a client of T-MQ sends them, with the headers that Envoy shows a filter, and answers as a broker gives them.

use crate::pairs::Headers;

/// A pull of 200 bytes.
pub(super) const PULL: &str = r#"{"maxMessages":16,"waitMs":1000,"clientId":"worker-7f9c2ba4-e88f-4f2b","properties":{"host":"worker-3.eu-central.example","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}"#;
/// A publish of one message.
pub(super) const PUBLISH: &str = r#"{"messages":[{"body":"{\"order\":\"7f9c2ba4\",\"state\":\"paid\",\"amount\":1999}","encoding":"utf8","key":"7f9c2ba4","tag":"paid","properties":{"source":"shop"},"idempotencyToken":"5c6ffbdd40d9556b73a21e63c3e0e904"}]}"#;
/// A subscribe that is as the shipped policy wants it.
pub(super) const SUBSCRIBE: &str = r#"{"topic":"orders","ackTimeout":10000,"maxReconsumeTimes":3,"autoAck":false,"deadLetterTopic":"orders.dlq","clientId":"c1"}"#;
/// The one that loses messages.
pub(super) const SUBSCRIBE_ZERO: &str = r#"{"topic":"orders","ackTimeout":0,"maxReconsumeTimes":3,"autoAck":false,"deadLetterTopic":"orders.dlq","clientId":"c1"}"#;
/// What the client is told where it becomes [`SUBSCRIBE`].
pub(super) const SUBSCRIBE_TOLD: &str = "clamp; field=ackTimeout; from=0; to=10000; rule=defaults; policy=1";
/// The one that acknowledges before the work.
pub(super) const SUBSCRIBE_AUTO_ACK: &str =
    r#"{"topic":"orders","ackTimeout":10000,"autoAck":true,"deadLetterTopic":"orders.dlq"}"#;
/// How it is answered.
pub(super) const AUTO_ACK_REFUSED: &str = r#"{"code":"AutoAckRejected","message":"autoAck: true; policy 1 (rule defaults) expects false: acknowledge after the work","field":"autoAck"}"#;
/// How a publish over its limit is answered, but for the time to wait.
pub(super) const OVER_LIMIT: &str =
    r#"{"code":"Throttled","message":"over the limit publish of policy 1; try again in "#;

/// What the requests' hosts are called.
const AUTHORITY: &str = "queue.example";
/// What every client of T-MQ sends, and whoever else as well as it can.
const SENT: [(&str, &str); 8] = [
    ("user-agent", "tmq-java/2.8.1 (17.0.12)"),
    ("accept", "application/json"),
    ("accept-encoding", "identity"),
    ("content-type", "application/json"),
    ("x-dingtalk-mq-appkey", "app-2"),
    ("x-dingtalk-mq-date", "1795542828481"),
    ("x-dingtalk-mq-signature", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"),
    ("x-dingtalk-mq-version", "2.8"),
];

/// A request, and the broker's answer to it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request.
    pub request: Request,
    /// The answer.
    pub answer: Answer,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its id in `x-request-id`, by which the broker knows its answer.
    pub id: String,
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// The body; an empty one is none.
    pub body: Vec<u8>,
}

/// An answer of status 200.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The body, in the pieces in which it comes.
    pub pieces: Vec<Vec<u8>>,
}

impl Exchange {
    pub(super) fn post(path: &str, body: &str, answer: Answer) -> Self {
        Exchange { request: Request::post(path, body), answer }
    }

    /// One of another service behind the same gateway.
    pub(super) fn foreign() -> Self {
        Exchange { request: Request::get("/shop/v1/carts/7f9c2ba4"), answer: Answer::cart() }
    }
}

impl Request {
    fn get(path: &str) -> Self {
        Request { id: String::new(), method: "GET", path: path.to_owned(), body: Vec::new() }
    }

    fn post(path: &str, body: &str) -> Self {
        Request { id: String::new(), method: "POST", path: path.to_owned(), body: body.as_bytes().to_vec() }
    }

    pub(super) fn consumer(action: &str, body: &str) -> Self {
        Request::post(&format!("/tmq/v1/groups/workers/consumers/9eca4176dbfa8c69:{action}"), body)
    }

    /// The headers as Envoy shows them to a filter.
    #[must_use]
    pub fn headers(&self) -> Headers {
        let mut headers =
            vec![(":authority", AUTHORITY), (":path", &self.path), (":method", self.method), (":scheme", "http")];
        headers.extend(SENT);
        headers.push(("x-request-id", &self.id));
        let length = self.body.len().to_string();
        if !self.body.is_empty() {
            headers.push(("content-length", &length));
        }
        headers.push(("x-forwarded-proto", "http"));
        owned(&headers)
    }

    /// The whole request as HTTP/1.1 has it on the wire.
    #[must_use]
    pub fn http1(&self) -> Vec<u8> {
        let mut text =
            format!("{} {} HTTP/1.1\r\nhost: {AUTHORITY}\r\nx-request-id: {}\r\n", self.method, self.path, self.id);
        for (name, value) in SENT {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        [text.as_bytes(), &self.body].concat()
    }
}

impl Answer {
    fn of(body: String) -> Self {
        Answer { pieces: vec![body.into_bytes()] }
    }

    /// The same in pieces of at most so many bytes.
    pub(super) fn in_pieces(self, size: usize) -> Self {
        Answer { pieces: self.body().chunks(size).map(<[u8]>::to_vec).collect() }
    }

    pub(super) fn acked(receipts: usize) -> Self {
        let all: Vec<String> = (0..receipts).map(receipt).collect();
        Answer::of(format!(r#"{{"acked":["{}"],"failed":[]}}"#, all.join(r#"",""#)))
    }

    /// Messages with bodies of so many bytes.
    pub(super) fn messages(count: usize, size: usize) -> Self {
        let all: Vec<String> = (0..count).map(|index| message(index, size)).collect();
        Answer::of(format!(r#"{{"messages":[{}]}}"#, all.join(",")))
    }

    pub(super) fn published() -> Self {
        let result = r#"{"messageId":"59ca57d6df7a88cc0000000000000000","partition":1,"offset":0,"duplicate":false}"#;
        Answer::of(format!(r#"{{"results":[{result}]}}"#))
    }

    pub(super) fn subscribed() -> Self {
        Answer::of(r#"{"consumerId":"9eca4176dbfa8c69","group":"workers","state":"Created","topic":"orders","ackTimeout":10000,"maxReconsumeTimes":3,"autoAck":false,"deadLetterTopic":"orders.dlq","clientId":"c1","partitions":[0,1],"inFlight":0,"waitingPulls":0,"lastSeen":1795542828481}"#.to_owned())
    }

    fn cart() -> Self {
        Answer::of(r#"{"cart":"7f9c2ba4","items":[{"sku":"4006381333931","quantity":2}],"total":1999}"#.to_owned())
    }

    /// The whole body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    /// The headers as Envoy shows them to a filter.
    pub(crate) fn headers(&self) -> Headers {
        let length = self.body().len().to_string();
        owned(&[
            (":status", "200"),
            ("content-type", "application/json"),
            ("x-dingtalk-mq-request-id", "4ea3b394-0"),
            ("x-dingtalk-mq-version", "2.8"),
            ("content-length", &length),
            ("date", "Tue, 24 Nov 2026 17:53:48 GMT"),
            ("x-envoy-upstream-service-time", "2"),
        ])
    }
}

/// An ack's body, of so many receipts.
pub(super) fn receipts(count: usize) -> String {
    let all: Vec<String> = (0..count).map(receipt).collect();
    format!(r#"{{"receipts":["{}"]}}"#, all.join(r#"",""#))
}

fn receipt(index: usize) -> String {
    format!("d553579cf9b938c0{index:016x}")
}

fn message(index: usize, size: usize) -> String {
    let (receipt, body) = (receipt(index), "x".repeat(size));
    format!(
        r#"{{"messageId":"59ca57d6df7a88cc{index:016x}","receipt":"{receipt}","topic":"orders","partition":0,"offset":{index},"body":"{body}","encoding":"utf8","key":"{index}","tag":null,"properties":{{}},"headers":{{}},"reconsumeTimes":0,"maxReconsumeTimes":3,"ackTimeout":10000,"deliveredAt":1795542828573,"ackDeadline":1795542838573}}"#
    )
}

fn owned(headers: &[(&str, &str)]) -> Headers {
    headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}
