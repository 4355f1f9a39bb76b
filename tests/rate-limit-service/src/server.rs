//! A running service.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;

use crate::limits::Limits;
use crate::service::RateLimitService;
use crate::store::Store;

/// A running service. It ends when this is dropped.
pub struct Server {
    address: SocketAddr,
    calls: Arc<AtomicU64>,
    hanging: Arc<tokio::sync::watch::Sender<bool>>,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Server {
    /// Listens at `address`, port 0 being any free one, and answers by `limits` with the counters of `store`.
    ///
    /// # Errors
    /// Where it cannot listen there.
    pub async fn start(address: SocketAddr, limits: Limits, store: Store) -> io::Result<Server> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let calls = Arc::<AtomicU64>::default();
        let hanging = Arc::new(tokio::sync::watch::Sender::new(false));
        let service = RateLimitService {
            limits: Arc::new(limits),
            store,
            calls: Arc::clone(&calls),
            hanging: Arc::clone(&hanging),
        };
        let connections = TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(service);
        let task = tokio::spawn(server.serve_with_incoming(connections));
        Ok(Server { address, calls, hanging, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many calls have come so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Takes calls and answers none, or answers again, those that wait included.
    pub fn hang(&self, hangs: bool) {
        self.hanging.send_replace(hangs);
    }

    /// Serves until it fails.
    ///
    /// # Errors
    /// Why it did.
    pub async fn wait(mut self) -> io::Result<()> {
        (&mut self.task).await?.map_err(io::Error::other)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
