//! A client's connection that a fault, or the broker's end, can break.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// A client's connection, as far as a request may act on it.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    broken: CancellationToken,
    hard: Arc<AtomicBool>,
}

impl Connection {
    /// A connection that breaks with `all`, and by itself when a request asks for it.
    pub(crate) fn new(all: &CancellationToken) -> Self {
        Self { broken: all.child_token(), hard: Arc::default() }
    }

    /// The stream of this connection.
    pub(crate) fn stream(&self, stream: TcpStream) -> BreakableStream {
        BreakableStream { stream, hard: Arc::clone(&self.hard) }
    }

    /// Resolves when the connection has to break.
    pub(crate) async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Breaks the connection with a TCP reset.
    pub(crate) fn reset(&self) {
        self.hard.store(true, Ordering::Release);
        self.broken.cancel();
    }
}

/// A stream that can be made to end with a TCP reset.
pub(crate) struct BreakableStream {
    stream: TcpStream,
    hard: Arc<AtomicBool>,
}

impl Drop for BreakableStream {
    fn drop(&mut self) {
        if self.hard.load(Ordering::Acquire)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::warn!(%error, "a connection was closed instead of reset");
        }
    }
}

impl AsyncRead for BreakableStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for BreakableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
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
