//! HTTP messages with every byte that they came by.

use std::fmt;

/// Headers or trailers in their order, names and values as they came.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(Vec<u8>, Vec<u8>)>);

impl Headers {
    /// The first value of `name`, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.0.iter().find(|(header, _)| header.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(value)
    }

    /// The same as text, for values that must be text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The headers but for `names`, in an order of their own: what two messages have in common where a third party may
    /// order the headers as it likes.
    #[must_use]
    pub fn sorted_without(&self, names: &[&str]) -> Headers {
        let named = |header: &[u8]| names.iter().any(|name| header.eq_ignore_ascii_case(name.as_bytes()));
        let mut headers: Vec<_> = self.0.iter().filter(|(header, _)| !named(header)).cloned().collect();
        headers.sort();
        Headers(headers)
    }

    /// The names that begin with `prefix`, which must be in lower case.
    #[must_use]
    pub fn names_with(&self, prefix: &str) -> Vec<String> {
        let names = self.0.iter().map(|(name, _)| String::from_utf8_lossy(name).to_lowercase());
        names.filter(|name| name.starts_with(prefix)).collect()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lossy = |bytes| String::from_utf8_lossy(bytes);
        out.debug_map().entries(self.0.iter().map(|(name, value)| (lossy(name), lossy(value)))).finish()
    }
}

/// How a body says where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    Absent,
    /// By `content-length`.
    Length,
    /// By `transfer-encoding: chunked`.
    Chunked,
    /// By the end of the connection, or HTTP/2's own frames.
    End,
}

/// The start line and the headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// `POST /path HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub start: String,
    /// The headers.
    pub headers: Headers,
}

impl Head {
    /// A response's status.
    ///
    /// # Panics
    /// Where this is no response's head.
    #[must_use]
    pub fn status(&self) -> u16 {
        let status = self.start.strip_prefix("HTTP/").and_then(|start| start.split(' ').nth(1));
        status.and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{:?} has no status", self.start))
    }

    /// A request's method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// A request's path with its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }
}

/// A whole message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Every byte as it came; empty for HTTP/2.
    pub raw: Vec<u8>,
    /// The start line and the headers.
    pub head: Head,
    /// How the body was framed.
    pub framing: Framing,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// What followed a chunked body.
    pub trailers: Headers,
}

impl Message {
    /// The first value of the header `name` as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.head.headers.text(name)
    }

    /// The body as text; what is none is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Message")
            .field("head", &self.head)
            .field("framing", &self.framing)
            .field("body", &excerpt(&self.body))
            .field("trailers", &self.trailers)
            .finish_non_exhaustive()
    }
}

/// The start of a body for a person to read.
#[must_use]
pub fn excerpt(body: &[u8]) -> String {
    const SHOWN: usize = 400;
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into_owned();
    if body.len() > SHOWN { format!("{text}… ({} bytes)", body.len()) } else { text }
}
