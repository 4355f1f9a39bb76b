//! The headers that a rate limit service adds to a response: those that a gateway can pass on.

use crate::telemetry::HEADER;

use super::message::HeaderValue;

/// The most headers that are taken from one answer.
pub const MAX_HEADERS: usize = 16;
/// The most bytes of names and values together that are taken from one answer.
pub const MAX_HEADER_BYTES: usize = 4096;

/// What frames a message or belongs to one connection: with another value, the response would be another one.
const FRAMING: [&[u8]; 9] = [
    b"connection",
    b"content-encoding",
    b"content-length",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
];

/// A header for a response: its name in lower case, and a value without line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Vec<u8>,
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

fn header(header: HeaderValue) -> Option<Header> {
    let HeaderValue { key, value, raw_value } = header;
    let value = if value.is_empty() { raw_value } else { value };
    let name = key.to_ascii_lowercase();
    let kept = is_token(&name)
        && !FRAMING.contains(&name.as_slice())
        && !name.starts_with(HEADER.as_bytes())
        && value.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t');
    if kept { Some(Header { name: String::from_utf8(name).ok()?, value }) } else { None }
}

/// Whether these bytes are a header's name. A pseudo-header's, which begins with a colon, is none.
fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
