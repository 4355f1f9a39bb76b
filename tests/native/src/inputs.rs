//! Requests, answers and policies: the same bytes each time, in the sizes of real traffic.

use std::fmt::Write as _;

use ackguard::http::RequestHead;
use ackguard::policy::Policy;

/// The messages that a publish sends and a pull brings, and the receipts of an ack.
pub const BATCH: usize = 16;
/// The bytes of a published message.
pub const PUBLISHED: usize = 1024;
/// The bytes of a delivered message.
pub const DELIVERED: usize = 200;

/// The tenant that sends every request.
pub const TENANT: &str = "orders-service";
/// Its consumer group.
pub const GROUP: &str = "billing";
/// Its topic.
pub const TOPIC: &str = "orders";

/// A request as a gateway gets it.
#[derive(Clone, Debug)]
pub struct Request {
    headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A `POST` with the headers that a client and Envoy send.
    pub fn post(path: &str, body: &str) -> Request {
        let length = body.len().to_string();
        let headers = [
            (":authority", "mq.example.com"),
            (":path", path),
            (":method", "POST"),
            (":scheme", "https"),
            ("content-type", "application/json"),
            ("content-length", &length),
            ("user-agent", "tmq-client/2.8.1"),
            ("accept", "*/*"),
            ("x-dingtalk-mq-appkey", TENANT),
            ("x-dingtalk-mq-date", "1790000000000"),
            ("x-dingtalk-mq-signature", "5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592"),
            ("x-forwarded-proto", "https"),
            ("x-request-id", "2f6f1c1e-5b0e-4d0a-9a53-0c6d0a6d4a11"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into();
        Request { headers, body: body.as_bytes().to_vec() }
    }

    /// Its head, in memory of its own as the host hands it over.
    pub fn head(&self) -> RequestHead {
        RequestHead::new(self.headers.clone())
    }
}

/// What no dialect reads.
pub fn foreign() -> Request {
    Request::post("/api/v2/invoices", r#"{"invoice":17}"#)
}

/// A publish of 16 messages of 1 KiB.
pub fn publish() -> Request {
    let body = "x".repeat(PUBLISHED);
    let message = |index| format!(r#"{{"body":"{body}","encoding":"utf8","key":"order-{index}","tag":"created"}}"#);
    let messages: Vec<_> = (0..BATCH).map(message).collect();
    Request::post(&format!("/tmq/v1/topics/{TOPIC}/messages"), &format!(r#"{{"messages":[{}]}}"#, messages.join(",")))
}

/// A subscription with these settings beside its topic and client.
pub fn subscribe(settings: &str) -> Request {
    let body = format!(r#"{{"topic":"{TOPIC}",{settings},"clientId":"billing-7f9c"}}"#);
    Request::post(&format!("/tmq/v1/groups/{GROUP}/consumers"), &body)
}

/// The settings of a subscription that every policy here lets pass.
pub const SOUND: &str = r#""ackTimeout":10000,"maxReconsumeTimes":3,"autoAck":false,"deadLetterTopic":"orders.dlq""#;
/// The settings that lost messages: no time to acknowledge, and no dead letters.
pub const UNSOUND: &str = r#""ackTimeout":0,"maxReconsumeTimes":3,"autoAck":false"#;
/// Settings that every policy here refuses.
pub const REFUSED: &str = r#""ackTimeout":10000,"maxReconsumeTimes":3,"autoAck":true,"deadLetterTopic":"orders.dlq""#;

/// The answer to a subscription.
pub fn subscribed() -> Vec<u8> {
    let text = format!(r#"{{"consumerId":"c-000042","state":"Created",{SOUND},"partitions":[0,1,2,3]}}"#);
    text.into_bytes()
}

fn of_consumer(action: &str, body: &str) -> Request {
    Request::post(&format!("/tmq/v1/groups/{GROUP}/consumers/c-000042:{action}"), body)
}

/// A pull of up to 16 messages.
pub fn pull() -> Request {
    of_consumer("pull", r#"{"maxMessages":16,"waitMs":1000}"#)
}

/// The answer to a pull that brings nothing.
pub fn nothing_pulled() -> Vec<u8> {
    br#"{"messages":[]}"#.to_vec()
}

/// The answer to a pull that brings 16 messages of 200 bytes.
pub fn pulled() -> Vec<u8> {
    let body = "x".repeat(DELIVERED);
    let message = |(index, receipt): (usize, String)| {
        let offset = 90_000 + index;
        format!(
            r#"{{"messageId":"0000-{offset}","receipt":"{receipt}","topic":"{TOPIC}","partition":0,"offset":{offset},"body":"{body}","encoding":"utf8","key":"order-{index}","tag":"created","properties":{{}},"headers":{{}},"reconsumeTimes":0,"maxReconsumeTimes":3,"ackTimeout":10000,"deliveredAt":1790000000000,"ackDeadline":1790000010000}}"#
        )
    };
    let messages: Vec<_> = receipts().enumerate().map(message).collect();
    format!(r#"{{"messages":[{}]}}"#, messages.join(",")).into_bytes()
}

/// An ack of what [`pulled`] brings.
pub fn ack() -> Request {
    of_consumer("ack", &format!(r#"{{"receipts":[{}]}}"#, quoted_receipts()))
}

/// The answer to an ack of which all were in time.
pub fn acked() -> Vec<u8> {
    format!(r#"{{"acked":[{}],"failed":[]}}"#, quoted_receipts()).into_bytes()
}

/// A heartbeat that renews what [`pulled`] brings.
pub fn heartbeat() -> Request {
    of_consumer("heartbeat", &format!(r#"{{"receipts":[{}],"ackTimeout":10000}}"#, quoted_receipts()))
}

/// The answer to a heartbeat.
pub fn extended() -> Vec<u8> {
    let element = |receipt| format!(r#"{{"receipt":"{receipt}","ackDeadline":1790000010000}}"#);
    let elements: Vec<_> = receipts().map(element).collect();
    format!(r#"{{"extended":[{}],"failed":[]}}"#, elements.join(",")).into_bytes()
}

fn receipts() -> impl Iterator<Item = String> {
    (0..BATCH).map(|index| format!("AAEAAAAAAAFfkAAAAAAAAb{index:02}KkZ0pQ"))
}

fn quoted_receipts() -> String {
    receipts().map(|receipt| format!("\"{receipt}\"")).collect::<Vec<_>>().join(",")
}

/// A policy document: the shipped guards, and these members beside them.
pub fn document(members: &str) -> String {
    format!(
        r#"{{"apiVersion":"ackguard/v1","version":"2026-11-22.1","mode":"enforce","host":{{"headers":"held"}},
        "traffic":[{{"match":{{"path":"/tmq/*"}},"dialect":"tmq"}}],"tenant":[{{"header":"x-dingtalk-mq-appkey"}}],
        {members}"defaults":{{
            "ack_timeout":{{"min":"5s","max":"30s","default":"10s","zero":"clamp","short":"clamp","long":"clamp","missing":"default"}},
            "extend":{{"short":"allow","long":"clamp"}},"auto_ack":"reject",
            "max_attempts":{{"min":1,"max":16,"default":3,"outside":"clamp"}},
            "dead_letter":{{"required":true,"topic":"{{topic}}.dlq","missing":"inject"}},"undecidable":"reject"}}}}"#
    )
}

/// A member of a document: so many rules, one for each of as many tenants, of which the last is [`TENANT`].
pub fn rules(count: usize) -> String {
    let mut out = String::from(r#""rules":["#);
    for index in 1..count {
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            r#"{{"name":"tenant-{index}","match":{{"tenant":"service-{index}","topic":"orders*"}},"ack_timeout":{{"min":"6s"}}}},"#
        );
    }
    let _ = write!(out, r#"{{"name":"last","match":{{"tenant":"{TENANT}","topic":"orders*"}}}}],"#);
    out
}

/// A member of a document: a limit for each tenant's published messages.
pub fn limit(rate: u64, burst: u64) -> String {
    let bounds = format!(r#""rate":"{rate}/s","burst":{burst}"#);
    format!(
        r#""limits":[{{"name":"publishes","operations":["publish"],"key":["tenant"],"cost":"messages",{bounds}}}],"#
    )
}

/// A member of a document: a bound of each group's leases.
pub fn bound() -> String {
    r#""rules":[{"name":"bound","match":{"group":"*"},"max_in_flight":1000}],"#.to_owned()
}

/// The policy with these members.
pub fn policy(members: &str) -> Policy {
    Policy::parse(document(members).as_bytes()).unwrap_or_else(|faults| panic!("{faults}"))
}
