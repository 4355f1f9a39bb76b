//! The headers that a rate limit service adds to a response: those that a gateway can pass on.

use crate::telemetry::HEADER;

use super::message::HeaderValue;

/// The most headers that are taken from one answer.
pub const MAX_HEADERS: usize = 16;
/// The most bytes of names and values together that are taken from one answer.
pub const MAX_HEADER_BYTES: usize = 4096;

/// What frames a message or belongs to one connection: with another value, the response would be another one.
const FRAMING: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A header for a response: its name in lower case, and a value without line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// The headers of an answer that can be passed on, in their order, as far as they are within the limits.
pub(super) fn passed_on(headers: Vec<HeaderValue>) -> Vec<Header> {
    let mut left = MAX_HEADER_BYTES;
    let fits = move |header: &Header| match left.checked_sub(header.name.len() + header.value.len()) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    headers.into_iter().filter_map(header).take(MAX_HEADERS).take_while(fits).collect()
}

fn header(HeaderValue { key, value }: HeaderValue) -> Option<Header> {
    let name = key.to_ascii_lowercase();
    let kept = is_token(&name)
        && !FRAMING.contains(&name.as_str())
        && !name.starts_with(HEADER)
        && value.bytes().all(|byte| !byte.is_ascii_control() || byte == b'\t');
    kept.then_some(Header { name, value })
}

/// Whether this is a header's name. A pseudo-header's, which begins with a colon, is none.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
