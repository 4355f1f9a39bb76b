//! An Envoy with a filter, and an upstream behind it that answers at once.

use std::net::SocketAddr;
use std::path::PathBuf;

use stack::{Bootstrap, Envoy, Protocol, Workers, listener};

use crate::open_loop::{Asked, Lanes};
use crate::steady::{Connection, CoverError, LISTENER, cover, cover_listener};

use super::MeasureError;
use super::pin::{Processors, pin_process};
use super::upstream::Upstream;

/// Envoy's workers: with one alone, a policy would serve everywhere when it serves anywhere.
const WORKERS: u32 = 2;

/// A running Envoy and its upstream. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) envoy: Envoy,
    upstream: Upstream,
    workers: u32,
}

impl Site {
    /// Starts `bootstrap` in front of an upstream of its own.
    pub(crate) async fn start(bootstrap: Bootstrap) -> Result<Self, MeasureError> {
        Self::with_workers(bootstrap, WORKERS).await
    }

    /// The same with so many worker threads.
    pub(crate) async fn with_workers(bootstrap: Bootstrap, workers: u32) -> Result<Self, MeasureError> {
        let system = |source| MeasureError::System { what: "the upstream".to_owned(), source };
        let upstream = Upstream::start().await.map_err(system)?;
        let bootstrap = bootstrap
            .upstream(upstream.address, Protocol::Http1)
            .with(|document| listener(document, LISTENER)["stat_prefix"] = LISTENER.into());
        Ok(Self { envoy: Envoy::start(bootstrap, Workers(workers)).await?, upstream, workers })
    }

    /// The same with one worker, and every thread on the processor for what is measured, if there are two.
    pub(crate) async fn on_processor(
        bootstrap: Bootstrap,
        processors: Option<Processors>,
    ) -> Result<Self, MeasureError> {
        let site = Self::with_workers(bootstrap, 1).await?;
        match processors {
            Some(two) if !pin_process(site.envoy.pid(), two.measured) => {
                Err(MeasureError::Nothing("Envoy cannot be kept on a processor"))
            }
            _ => Ok(site),
        }
    }

    /// Opens `each` connections to every worker of the guarded listener.
    pub(crate) async fn cover(&self, each: usize) -> Result<Vec<Connection>, MeasureError> {
        Ok(cover(&self.envoy, self.workers as usize, each).await?)
    }

    /// The same of `listener`, whose `stat_prefix` is its name.
    pub(crate) async fn cover_listener(&self, listener: &str, each: usize) -> Result<Vec<Connection>, MeasureError> {
        let address = self.address(listener).await?;
        Ok(cover_listener(&self.envoy, (listener, address), self.workers as usize, each).await?)
    }

    /// Where `listener` listens.
    pub(crate) async fn address(&self, listener: &str) -> Result<SocketAddr, MeasureError> {
        self.envoy.listener(listener).await?.ok_or(MeasureError::Nothing("a listener is missing"))
    }

    /// Where the upstream does.
    pub(crate) fn upstream(&self) -> SocketAddr {
        self.upstream.address
    }

    /// Opens `count` connections to `listener`, for an Envoy that has one worker.
    pub(crate) async fn open(&self, listener: &str, count: usize) -> Result<Vec<Connection>, MeasureError> {
        let address = self.address(listener).await?;
        let mut connections = Vec::new();
        for _ in 0..count {
            let connect = |reason| CoverError::Connect { address, reason };
            connections.push(Connection::open(address).await.map_err(connect)?);
        }
        Ok(connections)
    }

    /// The same for what is `asked` ever again.
    pub(crate) async fn lanes(&self, listener: &str, count: usize, asked: Asked) -> Result<Lanes, MeasureError> {
        let address = self.address(listener).await?;
        let connect = |error: std::io::Error| CoverError::Connect { address, reason: error.to_string() };
        Ok(Lanes::open(address, count, asked).await.map_err(connect)?)
    }

    /// The memory that Envoy holds, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64, MeasureError> {
        self.envoy.resident_bytes().ok_or(MeasureError::Nothing("Envoy has ended"))
    }
}

/// The module of the no-op filter, `target/noop.wasm`, whether or not it is there.
pub(crate) fn noop() -> PathBuf {
    stack::root().join("target/noop.wasm")
}
