//! HTTP as the rest of the crate sees it: the head of a request, and a reply of the gateway's own.

use std::borrow::Cow;

/// A request's headers with HTTP/2's pseudo-headers (`:method`, `:path`, `:authority`), names in lower case as Envoy
/// gives them, values as bytes because clients may send any.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    headers: Vec<(String, Vec<u8>)>,
}

impl RequestHead {
    /// A head of these headers, names in lower case.
    pub fn new(headers: Vec<(String, Vec<u8>)>) -> Self {
        RequestHead { headers }
    }

    /// The first value of `name`, which must be in lower case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        Some(value)
    }

    /// The method, or nothing where the host gave none.
    pub fn method(&self) -> &[u8] {
        self.get(":method").unwrap_or_default()
    }

    /// The path without its query.
    pub fn path(&self) -> &[u8] {
        let target = self.get(":path").unwrap_or_default();
        target.split(|byte| *byte == b'?').next().unwrap_or(target)
    }

    /// The host that the client named, with its port where it gave one.
    pub fn authority(&self) -> &[u8] {
        self.get(":authority").unwrap_or_default()
    }

    /// The declared length of the body in bytes.
    pub fn content_length(&self) -> Option<u64> {
        let value = core::str::from_utf8(self.get("content-length")?).ok()?;
        value.parse().ok()
    }

    /// The body's encoding where it has one that hides its text.
    pub fn content_encoding(&self) -> Option<&[u8]> {
        let coding = self.get("content-encoding")?.trim_ascii();
        (!coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")).then_some(coding)
    }

    /// Whether the client speaks gRPC.
    pub fn is_grpc(&self) -> bool {
        let media_type = self.get("content-type").unwrap_or_default();
        media_type.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
            && matches!(media_type.get(16), None | Some(b'+' | b';'))
    }

    /// The names of the headers, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(name, _)| name.as_str())
    }
}

/// Decodes `%XX`; what is no such escape stays as it is.
pub fn percent_decode(encoded: &[u8]) -> Cow<'_, [u8]> {
    if !encoded.contains(&b'%') {
        return Cow::Borrowed(encoded);
    }
    let mut out = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((first, tail)) = rest.split_first() {
        let escape = if *first == b'%' { hex_pair(tail) } else { None };
        let (byte, after) = escape.unwrap_or((*first, tail));
        out.push(byte);
        rest = after;
    }
    Cow::Owned(out)
}

fn hex_pair(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (pair, after) = bytes.split_at_checked(2)?;
    let mut byte = 0;
    for digit in pair {
        byte = byte * 16 + u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
    }
    Some((byte, after))
}

/// An answer that the gateway gives in the broker's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status; on gRPC, which says it in its own, always 200.
    pub status: u32,
    /// The status of gRPC, for a client that speaks it; the body is its message.
    pub grpc_status: Option<u8>,
    /// The headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_coded_unless_it_says_identity_or_nothing() {
        for (value, coding) in
            [(None, None), (Some(""), None), (Some(" "), None), (Some("Identity"), None), (Some(" gzip"), Some("gzip"))]
        {
            let headers = value.map(|value| ("content-encoding".to_owned(), value.as_bytes().to_vec()));
            let head = RequestHead::new(headers.into_iter().collect());
            assert_eq!(head.content_encoding(), coding.map(str::as_bytes), "{value:?}");
        }
    }

    #[test]
    fn an_escape_is_decoded_once_and_half_a_one_stays() {
        for (encoded, plain) in
            [("a%2Fb", "a/b"), ("%2570", "%70"), ("%", "%"), ("%4", "%4"), ("%zz%41", "%zzA"), ("%+1", "%+1")]
        {
            assert_eq!(percent_decode(encoded.as_bytes()), plain.as_bytes(), "{encoded}");
        }
    }
}
