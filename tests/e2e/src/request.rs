//! Writes requests as HTTP/1.1 has them on the wire.

/// The id that every request carries: Envoy makes a random one for a request without, and two requests could not be
/// compared.
pub const REQUEST_ID: &str = "0a1b2c3d-0000-4000-8000-00000000e2e0";

/// A request in the making.
#[derive(Clone, Debug)]
pub struct Request {
    start: Vec<u8>,
    headers: Vec<u8>,
}

impl Request {
    /// A request of `method` for `path`, with a host and a request id.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        let start = format!("{method} {path} HTTP/1.1\r\nhost: queue.test\r\n").into_bytes();
        Request { start, headers: Vec::new() }.header("x-request-id", REQUEST_ID)
    }

    /// A subscribe of `group`.
    #[must_use]
    pub fn subscribe(group: &str) -> Self {
        Request::new("POST", &format!("/tmq/v1/groups/{group}/consumers"))
    }

    /// A publish to `topic`.
    #[must_use]
    pub fn publish(topic: &str) -> Self {
        Request::new("POST", &format!("/tmq/v1/topics/{topic}/messages"))
    }

    /// A `POST` of `action` by the consumer `c1` of `group`.
    #[must_use]
    pub fn consumer(group: &str, action: &str) -> Self {
        Request::new("POST", &format!("/tmq/v1/groups/{group}/consumers/c1:{action}"))
    }

    /// Adds a header, whose value may be any bytes.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.extend_from_slice(name.as_bytes());
        self.headers.extend_from_slice(b": ");
        self.headers.extend_from_slice(value.as_ref());
        self.headers.extend_from_slice(b"\r\n");
        self
    }

    /// The request without a body.
    #[must_use]
    pub fn bodiless(&self) -> Vec<u8> {
        [self.start.as_slice(), self.headers.as_slice(), b"\r\n"].concat()
    }

    /// The request with a body whose length it tells.
    #[must_use]
    pub fn body(&self, body: impl AsRef<[u8]>) -> Vec<u8> {
        let body = body.as_ref();
        let mut bytes = self.clone().header("content-length", body.len().to_string()).bodiless();
        bytes.extend_from_slice(body);
        bytes
    }

    /// The request with a body of `chunks`.
    #[must_use]
    pub fn chunked<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        self.chunked_with_trailers(chunks, "")
    }

    /// The same with `trailers`, each ended by CR LF.
    #[must_use]
    pub fn chunked_with_trailers<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>, trailers: &str) -> Vec<u8> {
        let mut bytes = self.clone().header("transfer-encoding", "chunked").bodiless();
        for piece in chunks {
            bytes.extend(chunk(piece));
        }
        bytes.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
        bytes
    }
}

/// One chunk of a body.
#[must_use]
pub fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}
