//! One kept-alive connection, of which nothing is waited for.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use stack::PATIENCE;
use tokio::net::TcpStream;

use crate::http1;
use crate::steady::Fault;

/// Room for an answer.
const READ: usize = 4 << 10;

/// What is asked, and how it is to be answered.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The request in the form that goes over a connection.
    pub(crate) request: Vec<u8>,
    /// The status of each answer.
    pub(crate) status: u16,
}

/// The connection, and its request.
#[derive(Debug)]
pub(super) struct Lane {
    stream: TcpStream,
    under_way: Option<UnderWay>,
    /// What has come of the answer.
    held: Vec<u8>,
}

/// A request that is not answered. Times are counted from the begin of the turn.
#[derive(Debug, Clone, Copy)]
struct UnderWay {
    planned: Duration,
    begun: Duration,
    /// Bytes of it that are on their way.
    written: usize,
}

impl Lane {
    pub(super) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, under_way: None, held: Vec::with_capacity(READ) })
    }

    /// Whether it has no request.
    pub(super) fn is_free(&self) -> bool {
        self.under_way.is_none()
    }

    /// Takes the request that was `planned` then, `now`.
    pub(super) fn take(&mut self, planned: Duration, now: Duration) {
        self.under_way = Some(UnderWay { planned, begun: now, written: 0 });
    }

    /// Writes and reads as far as can be done at once. Returns when the request was planned, where its answer has come.
    ///
    /// # Errors
    /// Where the answer's status is not the one that is expected, or it will not come.
    pub(super) fn proceed(&mut self, asked: &Asked, now: Duration) -> Result<Option<Duration>, Fault> {
        let Some(under_way) = &mut self.under_way else { return Ok(None) };
        while let Some(rest) = asked.request.get(under_way.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.try_write(rest) {
                Ok(bytes) => under_way.written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(no_answer(&error)),
            }
        }
        loop {
            match self.stream.try_read_buf(&mut self.held) {
                Ok(0) => return Err(no_answer(&"the connection was closed")),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(no_answer(&error)),
            }
            let Some((status, length)) = http1::answer(&self.held).map_err(|error| no_answer(&error))? else {
                self.held.reserve(READ);
                continue;
            };
            if length < self.held.len() {
                return Err(no_answer(&"more bytes than an answer's"));
            }
            let planned = under_way.planned;
            self.under_way = None;
            let body = || String::from_utf8_lossy(&self.held).into_owned();
            let fault = (status != asked.status).then(|| Fault::Status { status, body: body() });
            self.held.clear();
            return fault.map_or(Ok(Some(planned)), Err);
        }
        if now.saturating_sub(under_way.begun) > PATIENCE {
            return Err(no_answer(&format_args!("within {} s", PATIENCE.as_secs())));
        }
        Ok(None)
    }
}

fn no_answer(reason: &dyn std::fmt::Display) -> Fault {
    Fault::NoAnswer { reason: reason.to_string() }
}
