//! The stream of a connection, with the clocks that end one whose client is too slow.
//!
//! A connection without a request may idle; one whose request has begun to arrive, or whose answer is not taken, may
//! not for long. Two clocks tell them apart: one runs while the broker waits to read, one while it waits to write.
//! What a body may take is for whoever reads the body to say.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{LateAnswer, Limits, Traffic};

/// What a connection of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client's stream.
pub(crate) struct ClientStream {
    stream: TcpStream,
    traffic: Arc<Mutex<Traffic>>,
    limits: Limits,
    late: LateAnswer,
    protocol: Protocol,
    /// The present silence between requests: since when, and after how many requests.
    idle: Silence,
    /// When the head of the next request began to arrive, and after how many requests.
    head: Option<Silence>,
    reading: Option<Pin<Box<Sleep>>>,
    /// Runs while the client takes nothing.
    writing: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy)]
struct Silence {
    since: Instant,
    begun: u64,
}

/// What the client speaks, as its first bytes tell.
#[derive(Clone, Copy)]
enum Protocol {
    /// So many bytes of the preface have come.
    Open(usize),
    Http1,
    /// Its frames between requests are no beginning of a head.
    Http2,
}

/// Why a wait for the client ends.
enum Wait {
    Idle,
    Head,
    Answer,
}

impl ClientStream {
    pub(super) fn new(stream: TcpStream, traffic: Arc<Mutex<Traffic>>, limits: Limits, late: LateAnswer) -> Self {
        let idle = Silence { since: Instant::now(), begun: 0 };
        let protocol = Protocol::Open(0);
        Self { stream, traffic, limits, late, protocol, idle, head: None, reading: None, writing: None }
    }

    /// Notes that bytes have come.
    fn received(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let traffic = self.traffic.lock();
        let (begun, under_way) = (traffic.begun, traffic.under_way);
        drop(traffic);
        let now = Silence { since: Instant::now(), begun };
        self.protocol = self.protocol.after(bytes);
        self.idle = now;
        self.head = match (self.protocol, self.head) {
            (Protocol::Http2, _) => None,
            _ if under_way > 0 => None,
            (_, Some(head)) if head.begun == begun => Some(head),
            _ => Some(now),
        };
    }

    /// What the broker waits for, and until when it does.
    fn waits(&mut self) -> Option<(Instant, Wait)> {
        let traffic = self.traffic.lock();
        if traffic.under_way > 0 {
            return (traffic.answering > 0).then(|| (traffic.taken + self.limits.answer, Wait::Answer));
        }
        let begun = traffic.begun;
        drop(traffic);
        if let Some(head) = self.head.filter(|head| head.begun == begun) {
            return Some((head.since + self.limits.head, Wait::Head));
        }
        if self.idle.begun != begun {
            self.idle = Silence { since: Instant::now(), begun };
        }
        Some((self.idle.since + self.limits.idle, Wait::Idle))
    }

    /// Ready once the client has been silent for too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let Some((end, wait)) = self.waits() else { return Poll::Pending };
            let sleep = self.reading.get_or_insert_with(|| Box::pin(sleep_until(end)));
            // One that ends too early is set again when it has ended: most deadlines only move away.
            if end < sleep.deadline() {
                sleep.as_mut().reset(end);
            }
            std::task::ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= end {
                return Poll::Ready(self.give_up(&wait));
            }
            sleep.as_mut().reset(end);
        }
    }

    fn give_up(&mut self, wait: &Wait) -> io::Error {
        let reason = match wait {
            Wait::Idle => "the connection was idle for too long",
            Wait::Head => {
                // Nothing is being sent, so that this is a response of its own. One that finds no room is lost.
                if self.writing.is_none() {
                    let _ = self.stream.try_write(&(self.late)());
                }
                "the head of a request was too long under way"
            }
            Wait::Answer => {
                self.traffic.lock().hard = true;
                "an answer was not taken"
            }
        };
        io::Error::new(io::ErrorKind::TimedOut, reason)
    }

    /// Minds how long the client takes nothing.
    fn poll_taken(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if wrote.is_ready() {
            self.writing = None;
            return wrote;
        }
        let end = Instant::now() + self.limits.answer;
        let sleep = self.writing.get_or_insert_with(|| Box::pin(sleep_until(end)));
        std::task::ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Err(self.give_up(&Wait::Answer)))
    }
}

impl Protocol {
    fn after(self, bytes: &[u8]) -> Self {
        let Self::Open(seen) = self else { return self };
        let expected = PREFACE.get(seen..).unwrap_or_default();
        match bytes.len() < expected.len() {
            true if expected.starts_with(bytes) => Self::Open(seen + bytes.len()),
            false if bytes.starts_with(expected) => Self::Http2,
            _ => Self::Http1,
        }
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        if self.traffic.lock().hard
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::warn!(%error, "a connection was closed instead of reset");
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                self.received(buf.filled().get(before..).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_silence(cx).map(Err),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.poll_taken(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.poll_taken(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_told_however_it_comes() {
        let after = |parts: &[&[u8]]| parts.iter().fold(Protocol::Open(0), |protocol, part| protocol.after(part));
        let settings = [PREFACE, b"\0\0\0"].concat();
        assert!(matches!(after(&[&settings]), Protocol::Http2));
        assert!(matches!(after(&[&PREFACE[..3], &settings[3..]]), Protocol::Http2));
        assert!(matches!(after(&[&PREFACE[..3]]), Protocol::Open(3)));
        for other in [&[&b"GET / HTTP/1.1\r\n"[..]][..], &[b"P", b"OST"], &[&PREFACE[..9], b"HTTP/1.1"]] {
            assert!(matches!(after(other), Protocol::Http1));
        }
    }
}
