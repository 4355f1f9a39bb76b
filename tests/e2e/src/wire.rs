//! Reads HTTP/1.1 messages from a socket and keeps their bytes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::message::{Framing, Head, Headers, Message};

/// A message that did not come whole.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Every byte that came.
    pub raw: Vec<u8>,
    /// The head, where it came whole.
    pub head: Option<Head>,
    /// What came of the body.
    pub body: Vec<u8>,
    /// How it ended.
    pub cause: String,
}

/// Whose message it is, which decides whether it has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A client's.
    Request,
    /// A server's, to a request that may have a body in its answer.
    Response,
    /// A server's, to `HEAD` or `CONNECT`.
    BodilessResponse,
}

/// Reads messages one after the other.
#[derive(Debug)]
pub struct MessageReader<R> {
    stream: R,
    /// What was read of the message under way, or ahead of the next one.
    buffer: Vec<u8>,
    /// How far the message under way was understood.
    at: usize,
}

impl<R: AsyncRead + Unpin> MessageReader<R> {
    /// A reader of `stream`.
    pub fn new(stream: R) -> Self {
        MessageReader { stream, buffer: Vec::new(), at: 0 }
    }

    /// The stream that it reads.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.stream
    }

    /// Whether bytes are here that belong to no message yet.
    #[must_use]
    pub fn has_rest(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next message. `None` where the stream ends between messages; `noticed` is told of each arrival of bytes,
    /// with all of those of the message so far.
    ///
    /// # Errors
    /// Where the stream ends or breaks within a message, or the message is none.
    pub async fn next(&mut self, side: Side, mut noticed: impl FnMut(&[u8])) -> Result<Option<Message>, Box<Broken>> {
        self.at = 0;
        let mut head = None;
        let mut body = Vec::new();
        match self.message(side, &mut head, &mut body, &mut noticed).await {
            Ok((framing, trailers)) => {
                let raw: Vec<u8> = self.buffer.drain(..self.at).collect();
                let head = head.unwrap_or_else(|| unreachable!("a message has a head"));
                Ok(Some(Message { raw, head, framing, body, trailers }))
            }
            Err(_) if self.buffer.is_empty() => Ok(None),
            Err(error) => {
                let raw = std::mem::take(&mut self.buffer);
                Err(Box::new(Broken { raw, head, body, cause: error.to_string() }))
            }
        }
    }

    async fn message(
        &mut self,
        side: Side,
        slot: &mut Option<Head>,
        body: &mut Vec<u8>,
        noticed: &mut impl FnMut(&[u8]),
    ) -> io::Result<(Framing, Headers)> {
        let start = String::from_utf8_lossy(&self.line(noticed).await?).into_owned();
        let headers = self.headers(noticed).await?;
        let length = headers.text("content-length").map(|length| length.parse::<usize>());
        let chunked = headers.text("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let head = slot.insert(Head { start, headers });
        let bodiless = match side {
            Side::Request => false,
            Side::Response => matches!(head.status(), 100..=199 | 204 | 304),
            Side::BodilessResponse => true,
        };
        match length {
            _ if bodiless => Ok((Framing::Absent, Headers::default())),
            _ if chunked => loop {
                let size = String::from_utf8_lossy(&self.line(noticed).await?).into_owned();
                let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
                if size == 0 {
                    return Ok((Framing::Chunked, self.headers(noticed).await?));
                }
                self.take(size, body, noticed).await?;
                self.line(noticed).await?;
            },
            Some(length) => {
                self.take(length.map_err(io::Error::other)?, body, noticed).await?;
                Ok((Framing::Length, Headers::default()))
            }
            None if side == Side::Request => Ok((Framing::Absent, Headers::default())),
            None => {
                while self.fill(noticed).await.is_ok() {}
                body.extend_from_slice(&self.buffer[self.at..]);
                self.at = self.buffer.len();
                Ok((Framing::End, Headers::default()))
            }
        }
    }

    async fn fill(&mut self, noticed: &mut impl FnMut(&[u8])) -> io::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended"));
        }
        noticed(&self.buffer);
        Ok(())
    }

    /// The next line without its CR LF.
    async fn line(&mut self, noticed: &mut impl FnMut(&[u8])) -> io::Result<Vec<u8>> {
        loop {
            let rest = &self.buffer[self.at..];
            if let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
                let line = rest[..end].to_vec();
                self.at += end + 2;
                return Ok(line);
            }
            self.fill(noticed).await?;
        }
    }

    async fn headers(&mut self, noticed: &mut impl FnMut(&[u8])) -> io::Result<Headers> {
        let mut headers = Headers::default();
        loop {
            let line = self.line(noticed).await?;
            if line.is_empty() {
                return Ok(headers);
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = line.split_at(colon.ok_or_else(|| io::Error::other("a header without a colon"))?);
            headers.0.push((name.to_vec(), value[1..].trim_ascii().to_vec()));
        }
    }

    /// Moves `size` bytes into `body`, those of a message that breaks off too.
    async fn take(&mut self, size: usize, body: &mut Vec<u8>, noticed: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let mut left = size;
        loop {
            let ready = left.min(self.buffer.len() - self.at);
            body.extend_from_slice(&self.buffer[self.at..self.at + ready]);
            self.at += ready;
            left -= ready;
            if left == 0 {
                return Ok(());
            }
            self.fill(noticed).await?;
        }
    }
}
