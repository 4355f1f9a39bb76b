//! An Envoy with a filter, and an upstream behind it that answers at once.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use stack::{Bootstrap, Envoy, Protocol, Workers, listener};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::steady::{Connection, LISTENER, cover};

use super::MeasureError;

/// Envoy's workers: with one alone, a policy would serve everywhere when it serves anywhere.
const WORKERS: u32 = 2;

/// What the upstream answers to every request: as good as any broker's answer to a filter.
const ANSWER: &str = r#"{"consumerId":"c1","state":"Created","messages":[]}"#;

/// A running Envoy and its upstream. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) envoy: Envoy,
    upstream: JoinHandle<()>,
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
        let socket = TcpListener::bind(("127.0.0.1", 0)).await.map_err(system)?;
        let address: SocketAddr = socket.local_addr().map_err(system)?;
        let upstream = tokio::spawn(accept(socket));
        let bootstrap = bootstrap
            .upstream(address, Protocol::Http1)
            .with(|document| listener(document, LISTENER)["stat_prefix"] = LISTENER.into());
        Ok(Self { envoy: Envoy::start(bootstrap, Workers(workers)).await?, upstream, workers })
    }

    /// Opens `each` connections to every worker.
    pub(crate) async fn cover(&self, each: usize) -> Result<Vec<Connection>, MeasureError> {
        Ok(cover(&self.envoy, self.workers as usize, each).await?)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.upstream.abort();
    }
}

/// The module of the no-op filter, `target/noop.wasm`, whether or not it is there.
pub(crate) fn noop() -> PathBuf {
    stack::root().join("target/noop.wasm")
}

async fn accept(socket: TcpListener) {
    while let Ok((stream, _)) = socket.accept().await {
        // Answers are small and complete: waiting to fill a packet would be measured as the gateway's time.
        if stream.set_nodelay(true).is_ok() {
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // A request that breaks off needs no answer; a gateway that makes one up would be seen at the client.
    _ = request.into_body().collect().await;
    Ok(Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes()))))
}
