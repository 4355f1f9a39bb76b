//! A policy's case: what is asked, under which rule, and what must become of it.

use serde_json::{Value, json};
use stack::HostMode;

use crate::gateway::{Gateway, in_both_modes};
use crate::message::{Framing, Message};
use crate::request::{REQUEST_ID, Request};

/// The label of the shipped policy.
pub const POLICY: &str = "1";

/// What must become of a request.
#[derive(Clone, Debug)]
pub enum Expected {
    /// Its body is read, and it arrives as it came; nothing is told.
    Untouched,
    /// Its body is not even read: it arrives as it came to the last byte, in either host mode.
    Unread,
    /// It arrives with this body; the response tells of each change.
    Edited {
        /// The body.
        body: Vec<u8>,
        /// The changes as `x-ackguard` has them, without rule and policy.
        told: Vec<String>,
    },
    /// It is answered by the gateway.
    Refused(Refusal),
}

/// An answer of the gateway's own.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The body, JSON.
    pub body: String,
    /// The whole of `x-ackguard`.
    pub told: String,
}

/// A request to a group that has the case's name, under a rule of that name.
#[derive(Clone, Debug)]
pub struct Case {
    name: String,
    guard: Value,
    request: Request,
    body: Vec<u8>,
    expected: Expected,
}

impl Case {
    /// A subscribe with `body` where the rule sets `guard` over the shipped `defaults`.
    #[must_use]
    pub fn subscribe(name: &str, guard: Value, body: impl AsRef<[u8]>) -> Self {
        Case::of(name, guard, Request::subscribe(name), body)
    }

    /// The same for a consumer's action, such as `pull`.
    #[must_use]
    pub fn consumer(name: &str, action: &str, guard: Value, body: impl AsRef<[u8]>) -> Self {
        Case::of(name, guard, Request::consumer(name, action), body)
    }

    fn of(name: &str, guard: Value, request: Request, body: impl AsRef<[u8]>) -> Self {
        Case { name: name.to_owned(), guard, request, body: body.as_ref().to_vec(), expected: Expected::Untouched }
    }

    /// Adds a header to the request.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// It must arrive as it came to the last byte in either host mode, because its body needs no reading.
    #[must_use]
    pub fn unread(mut self) -> Self {
        self.expected = Expected::Unread;
        self
    }

    /// It must arrive with this body; `told` are the changes as `x-ackguard` has them, without rule and policy.
    #[must_use]
    pub fn edited(mut self, body: impl AsRef<[u8]>, told: &[&str]) -> Self {
        let told = told.iter().map(|change| (*change).to_owned()).collect();
        self.expected = Expected::Edited { body: body.as_ref().to_vec(), told };
        self
    }

    /// It must be refused for a setting: `code`, the wire's name of the field, what was found and what is expected in
    /// the message's words, and the value that `x-ackguard` repeats.
    #[must_use]
    pub fn refused(mut self, code: &str, field: &str, found: &str, expected: &str, from: &str) -> Self {
        let name = &self.name;
        let message = format!("{field}: {found}; policy {POLICY} (rule {name}) expects {expected}");
        let body = json!({ "code": code, "message": message, "field": field });
        let told = format!("reject; field={field}; from={from}; rule={name}; policy={POLICY}");
        self.expected = Expected::Refused(Refusal { status: 400, body: ordered(&body), told });
        self
    }

    /// It must be refused because it cannot be read: the field at fault if there is one, the message, and the reason in
    /// `x-ackguard`.
    #[must_use]
    pub fn unreadable(mut self, field: Option<&str>, message: &str, reason: &str) -> Self {
        let name = &self.name;
        let (status, code) = match (reason, field) {
            ("too_large", None) => (413, "MessageTooLarge"),
            _ => (400, "InvalidArgument"),
        };
        let body = json!({ "code": code, "message": message, "field": field });
        let at = field.map(|field| format!("field={field}; ")).unwrap_or_default();
        let told = format!("reject; {at}reason={reason}; rule={name}; policy={POLICY}");
        self.expected = Expected::Refused(Refusal { status, body: ordered(&body), told });
        self
    }

    /// The rule of this case.
    fn rule(&self) -> Value {
        let mut rule = self.guard.clone();
        rule["name"] = self.name.as_str().into();
        rule["match"] = json!({ "group": self.name });
        rule
    }

    async fn judge(&self, gateway: &Gateway) {
        let (name, mode) = (&self.name, gateway.mode);
        let told = match &self.expected {
            Expected::Untouched | Expected::Unread => None,
            Expected::Edited { told, .. } => {
                let end = format!("; rule={name}; policy={POLICY}");
                Some(told.iter().map(|change| format!("{change}{end}")).collect::<Vec<_>>().join(", "))
            }
            Expected::Refused(refusal) => Some(refusal.told.clone()),
        };
        let response = gateway.guarded(&self.request.body(&self.body)).await;
        assert_eq!(response.header("x-ackguard"), told, "{name}, {mode:?}: x-ackguard of {response:?}");
        let body = match &self.expected {
            Expected::Untouched | Expected::Unread => &self.body,
            Expected::Edited { body, .. } => body,
            Expected::Refused(refusal) => return check_refusal(&format!("{name}, {mode:?}"), &response, refusal),
        };
        assert_eq!(response.head.status(), 200, "{name}, {mode:?}: {response:?}");
        let received = gateway.upstream.take().await;
        let reference = gateway.reference(&self.request.body(body)).await;
        match &self.expected {
            Expected::Untouched if mode == HostMode::Held => check_identical(name, &received, &reference),
            Expected::Unread => check_identical(name, &received, &reference),
            _ => check_forwarded(&format!("{name}, {mode:?}"), mode, &received, &reference),
        }
    }
}

/// Judges all cases in either host mode, on one gateway each.
pub async fn judge(cases: &[Case]) {
    let rules: Vec<Value> = cases.iter().map(Case::rule).collect();
    let setup = |policy: &mut Value| policy["rules"] = rules.clone().into();
    in_both_modes(
        |gateway| gateway.policy(setup),
        async |gateway| {
            for case in cases {
                case.judge(gateway).await;
            }
        },
    )
    .await;
}

/// Checks a request whose body was read against `reference`, what Envoy alone makes of the expected request. Held, they
/// differ in the order of the headers at most; streamed, the length is unknown when the head goes on, so the body comes
/// in chunks.
///
/// # Panics
/// Where they differ in anything else.
pub fn check_forwarded(what: &str, mode: HostMode, received: &Message, reference: &Message) {
    assert_eq!(received.text(), reference.text(), "{what}: body");
    assert!(received.body == reference.body, "{what}: a body that is no text");
    assert_eq!(received.head.start, reference.head.start, "{what}");
    assert_eq!(received.trailers, reference.trailers, "{what}: trailers");
    let (framing, framed_by): (_, &[&str]) = match mode {
        HostMode::Held => (reference.framing, &[]),
        HostMode::Streamed => (Framing::Chunked, &["content-length", "transfer-encoding"]),
    };
    assert_eq!(received.framing, framing, "{what}: framing");
    let headers = |message: &Message| message.head.headers.sorted_without(framed_by);
    assert_eq!(headers(received), headers(reference), "{what}: headers");
}

/// Checks that a request is `reference` to the last byte, but for where its chunks end: Envoy makes one of what a read of its
/// happens to bring.
///
/// # Panics
/// Where it is not.
pub fn check_identical(what: &str, received: &Message, reference: &Message) {
    if reference.framing == Framing::Chunked {
        let head = |message: &Message| {
            let end = message.raw.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(message.raw.len());
            lossy(&message.raw[..end])
        };
        assert_eq!(head(received), head(reference), "{what}");
        assert!(received.body == reference.body, "{what}: the body");
        assert_eq!((received.framing, &received.trailers), (reference.framing, &reference.trailers), "{what}");
        return;
    }
    assert_eq!(lossy(&received.raw), lossy(&reference.raw), "{what}");
    assert!(received.raw == reference.raw, "{what}: bytes that are no text");
}

/// Checks an answer of the gateway's own.
///
/// # Panics
/// Where it is another one.
pub fn check_refusal(what: &str, response: &Message, refusal: &Refusal) {
    assert_eq!((response.head.status(), response.text()), (refusal.status, refusal.body.clone()), "{what}");
    assert_eq!(response.header("x-ackguard").as_ref(), Some(&refusal.told), "{what}");
    assert_eq!(response.header("content-type").as_deref(), Some("application/json"), "{what}");
    assert_eq!(response.header("x-dingtalk-mq-request-id").as_deref(), Some(REQUEST_ID), "{what}");
}

/// An error's body: its members in the protocol's order, none that is null.
fn ordered(error: &Value) -> String {
    let member = |name| error.get(name).filter(|value| !value.is_null()).map(|value| format!("\"{name}\":{value}"));
    let members: Vec<String> = ["code", "message", "field"].into_iter().filter_map(member).collect();
    format!("{{{}}}", members.join(","))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
