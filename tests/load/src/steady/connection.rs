//! A kept-alive connection to one worker of the gateway.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use stack::{AdminError, Envoy, TimedOut, until};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// The name by which the guarded listener counts its connections: its `stat_prefix`, which the configuration must set.
/// Listeners at any free port share their statistics otherwise.
pub const LISTENER: &str = "guarded";

/// Connections that may be opened for each one that is wanted. The kernel deals them out at random: with two workers,
/// that a worker gets too few of them has a chance of less than one in a million.
const TRIES: usize = 16;

/// A whole answer.
pub type Response = hyper::Response<Bytes>;

/// A kept-alive HTTP/1.1 connection. It is closed when this is dropped.
#[derive(Debug)]
pub struct Connection {
    requests: SendRequest<Full<Bytes>>,
    worker: usize,
    driver: JoinHandle<()>,
}

/// Why there are no connections to every worker.
#[derive(Debug, thiserror::Error)]
pub enum CoverError {
    /// Nobody listens.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// The listener.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// Envoy does not say which worker has a connection.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// No worker has a connection that was opened.
    #[error(transparent)]
    Accept(#[from] TimedOut),
    /// The workers' shares are too uneven.
    #[error("of {opened} connections, a worker got less than {wanted}")]
    Uneven {
        /// Connections that were opened.
        opened: usize,
        /// Those that each worker was to get.
        wanted: usize,
    },
}

impl Connection {
    /// Opens one, to whichever worker.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (requests, driver) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        // How it ends shows at the requests.
        let driver = tokio::spawn(async { _ = driver.await });
        Ok(Self { requests, worker: 0, driver })
    }

    /// The number of the worker that serves it.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Sends `request` and waits for the whole answer.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Response, hyper::Error> {
        self.requests.ready().await?;
        let (head, body) = self.requests.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Opens `each` connections to every one of `workers` workers of `envoy`'s guarded listener, which nobody else may
/// connect to meanwhile. Connections that a worker has too many of are closed again.
///
/// # Errors
/// See [`CoverError`].
pub async fn cover(envoy: &Envoy, workers: usize, each: usize) -> Result<Vec<Connection>, CoverError> {
    cover_listener(envoy, (LISTENER, envoy.guarded()), workers, each).await
}

/// The same for the listener whose `stat_prefix` and address these are.
pub(crate) async fn cover_listener(
    envoy: &Envoy,
    (listener, address): (&str, SocketAddr),
    workers: usize,
    each: usize,
) -> Result<Vec<Connection>, CoverError> {
    let mut connections: Vec<Connection> = Vec::new();
    let mut spare = Vec::new();
    let mut accepted = accepted(envoy, listener, workers).await?;
    let wanted = workers * each;
    let tries = wanted * TRIES;
    for _ in 0..tries {
        let connect = |reason| CoverError::Connect { address, reason };
        let mut connection = Connection::open(address).await.map_err(connect)?;
        let (worker, now) = until("a worker that accepts the connection", async || {
            let now = self::accepted(envoy, listener, workers).await.ok()?;
            let worker = accepted.iter().zip(&now).position(|(before, now)| before < now)?;
            Some((worker, now))
        })
        .await?;
        accepted = now;
        connection.worker = worker;
        let share = connections.iter().filter(|other| other.worker == worker).count();
        // What is too much stays open to the end: a kernel that deals out evenly must not deal it out again.
        if share < each { &mut connections } else { &mut spare }.push(connection);
        if connections.len() == wanted {
            return Ok(connections);
        }
    }
    Err(CoverError::Uneven { opened: tries, wanted: each })
}

/// How many connections each worker has accepted.
async fn accepted(envoy: &Envoy, listener: &str, workers: usize) -> Result<Vec<u64>, AdminError> {
    let counters = envoy.stats(&format!(r"^listener\.{listener}\.worker_\d+\.downstream_cx_total$")).await?;
    let count = |worker| counters.get(&format!("listener.{listener}.worker_{worker}.downstream_cx_total"));
    Ok((0..workers).map(|worker| count(worker).copied().unwrap_or(0)).collect())
}
