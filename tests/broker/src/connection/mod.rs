//! A client's connection: it breaks when a fault or the broker's end has it break, and when the client takes too long.

mod answer;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use answer::Answer;
pub(crate) use stream::ClientStream;

/// How long a client may keep a connection waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Without a request.
    pub(crate) idle: Duration,
    /// From the first byte of a request's head to its last.
    pub(crate) head: Duration,
    /// Without reading anything of an answer.
    pub(crate) answer: Duration,
}

/// A client's connection, as far as a request may act on it.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    broken: CancellationToken,
    traffic: Arc<Mutex<Traffic>>,
}

/// What goes on in a connection; its stream and its requests know one half each.
#[derive(Debug)]
struct Traffic {
    /// Requests whose head has been read, since the connection's beginning.
    begun: u64,
    /// Those of them whose answer has not been taken to its end.
    under_way: u64,
    /// Answers that are being taken, and when a part of one was last taken.
    answering: u64,
    taken: Instant,
    /// Whether the connection ends with a TCP reset.
    hard: bool,
}

/// A request that is under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Mutex<Traffic>>);

impl Connection {
    /// A connection that breaks with `all`, and by itself when a request asks for it.
    pub(crate) fn new(all: &CancellationToken) -> Self {
        let traffic = Traffic { begun: 0, under_way: 0, answering: 0, taken: Instant::now(), hard: false };
        Self { broken: all.child_token(), traffic: Arc::new(Mutex::new(traffic)) }
    }

    /// The stream of this connection. A client whose request's head is late is sent what `late` writes, a whole
    /// response of HTTP/1.1.
    pub(crate) fn stream(&self, stream: TcpStream, limits: Limits, late: LateAnswer) -> ClientStream {
        ClientStream::new(stream, Arc::clone(&self.traffic), limits, late)
    }

    /// Notes that a request has begun.
    pub(crate) fn begin(&self) -> UnderWay {
        let mut traffic = self.traffic.lock();
        traffic.begun += 1;
        traffic.under_way += 1;
        UnderWay(Arc::clone(&self.traffic))
    }

    /// Resolves when the connection has to break.
    pub(crate) async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Breaks the connection with a TCP reset.
    pub(crate) fn reset(&self) {
        self.traffic.lock().hard = true;
        self.broken.cancel();
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
    }
}

/// Writes the response to a request whose head is late.
pub(crate) type LateAnswer = Arc<dyn Fn() -> Vec<u8> + Send + Sync>;
