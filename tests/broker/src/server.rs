//! The two ports: listening, connections, and an end that does not wait for long polls.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use rustix::process::{Resource, getrlimit};
use spans::{Sampling, Spans};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, Recovered, checkpoint};
use crate::clock::Clock;
use crate::config::{Config, StorageConfig};
use crate::connection::{Answer, Connection, LateAnswer, Limits};
use crate::group::settings::Rules;
use crate::http::fault::Faults;
use crate::http::metrics::Metrics;
use crate::http::{App, RequestIds, admin};
use crate::limits::{MAX_CONNECTIONS, MAX_HEAD_BYTES};
use crate::storage::disk::RealDisk;
use crate::storage::durable::{self, DirectoryLock, DurableStorage, OpenError};
use crate::storage::{MemoryStorage, Storage};

/// What the broker calls itself in traces.
const SERVICE: &str = "tmq-broker";

/// How long answers under way may take once the broker is told to end.
const FAREWELL: Duration = Duration::from_millis(700);

/// How long an idle connection is kept. Longer than the hour after which Envoy closes its own idle ones, so that the
/// client ends a connection and never finds it ended just as it sends.
const IDLE: Duration = Duration::from_secs(2 * 60 * 60);

/// How many connections may wait to be accepted; Linux takes at most `net.core.somaxconn`, 4,096 by default. When all of
/// a gateway's consumers connect at once and there is no room, each is tried again a second later: with the 128 that is
/// usual, 10,000 of them take a minute.
const BACKLOG: u32 = 4_096;

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({port} port): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What is to be served there.
        port: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// What the directory holds cannot be used.
    #[error("--data {0}")]
    Data(String),
    /// Requests cannot be traced as OpenTelemetry's settings in the environment say.
    #[error("--otlp: {0}")]
    Spans(String),
}

/// A running broker. Dropping it ends it as well, without a farewell.
#[derive(Debug)]
pub struct Server {
    listen: SocketAddr,
    admin: SocketAddr,
    stopping: CancellationToken,
    broken: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    kept: Option<Kept>,
    spans: Option<Spans>,
}

/// A broker whose state outlives it.
struct Kept {
    disk: OpenDisk,
    broker: Arc<Broker>,
}

/// A directory in use.
struct OpenDisk {
    storage: Arc<DurableStorage>,
    _lock: DirectoryLock,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

/// Opens storage, and recovers what it kept.
async fn open(
    config: &StorageConfig,
    rules: Rules,
) -> Result<(Arc<dyn Storage>, Recovered, Option<OpenDisk>), StartError> {
    let config = match config {
        StorageConfig::Memory { limit } => {
            return Ok((Arc::new(MemoryStorage::new(*limit)), Recovered::empty(rules), None));
        }
        StorageConfig::Disk(config) => config.clone(),
    };
    let opened = tokio::task::spawn_blocking(move || {
        let lock = DirectoryLock::take(&config.dir)?;
        let options = durable::Options::from(&config);
        let fresh = || Recovered::empty(rules);
        let (storage, recovered) = durable::open(Arc::new(RealDisk), &config.dir, options, fresh)?;
        Ok::<_, OpenError>((OpenDisk { storage, _lock: lock }, recovered))
    });
    let opened = opened.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()));
    let (disk, recovered) = opened.map_err(|error| StartError::Data(error.to_string()))?;
    Ok((Arc::clone(&disk.storage) as Arc<dyn Storage>, recovered, Some(disk)))
}

impl Server {
    /// Starts a broker in the present runtime; both ports accept when it returns.
    ///
    /// # Errors
    /// If an address cannot be listened on, or the directory cannot be used.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let (broker_listener, listen) = bind(config.listen, "broker")?;
        let (admin_listener, admin_address) = bind(config.admin, "admin")?;
        let spans = config.otlp.as_ref().map(|endpoint| Spans::export(SERVICE, endpoint, Sampling::All));
        let spans = spans.transpose().map_err(|error| StartError::Spans(error.to_string()))?;
        let (stopping, broken) = (CancellationToken::new(), CancellationToken::new());
        let rules =
            Rules { semantics: config.semantics, back_off: config.back_off, heartbeat_period: config.heartbeat_period };
        let (storage, recovered, disk) = open(&config.storage, rules).await?;
        let clock = Clock::start(recovered.time());
        let ledger_began = recovered.groups().next().is_none().then(|| clock.now());
        let broker = Broker::start(rules, clock, storage, recovered, config.transaction_timeout, stopping.clone());
        let keeping =
            disk.as_ref().map(|disk| tokio::spawn(checkpoint::keep(Arc::clone(&broker), Arc::clone(&disk.storage))));
        let kept = disk.map(|disk| Kept { disk, broker: Arc::clone(&broker) });
        let app = Arc::new(App {
            metrics: Metrics::new(Arc::clone(&broker), ledger_began),
            broker,
            spans: spans.clone(),
            credentials: config.credentials,
            faults: Faults::new(config.seed),
            max_body_bytes: config.max_body_bytes,
            default_partitions: config.default_partitions,
            fallback_timeout: config.fallback_timeout,
            body_timeout: config.client_timeouts.body,
            advertised: config.advertise.unwrap_or_else(|| listen.to_string()),
            stopping: stopping.clone(),
            request_ids: RequestIds::new(),
        });
        let router = admin::router(Arc::clone(&app));
        let ended = stopping.clone().cancelled_owned();
        let admin = async move {
            if let Err(error) = axum::serve(admin_listener, router).with_graceful_shutdown(ended).await {
                tracing::error!(%error, "the admin port has ended");
            }
        };
        let timeouts = config.client_timeouts;
        let limits = Limits {
            idle: IDLE,
            head: Duration::from_millis(timeouts.head.0),
            answer: Duration::from_millis(timeouts.answer.0),
        };
        let port = BrokerPort { app, limits, stopping: stopping.clone(), broken: broken.clone() };
        let mut tasks = vec![tokio::spawn(port.accept(broker_listener)), tokio::spawn(admin)];
        tasks.extend(keeping);
        Ok(Self { listen, admin: admin_address, stopping, broken, tasks, kept, spans })
    }

    /// The broker's address, with its real port.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The admin port's address, with its real port.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Ends the broker within a second: long polls are answered empty, answers under way are finished. Where there is a
    /// disk, a last snapshot is taken; where requests are traced, the last spans are sent, for two seconds at most.
    pub async fn shutdown(mut self) {
        self.stopping.cancel();
        let tasks = std::mem::take(&mut self.tasks);
        let abort: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        let all = async {
            for task in tasks {
                // A task that panicked has ended as well.
                let _ = task.await;
            }
        };
        if tokio::time::timeout(FAREWELL + Duration::from_millis(100), all).await.is_err() {
            abort.iter().for_each(tokio::task::AbortHandle::abort);
        }
        if let Some(Kept { disk, broker }) = self.kept.take() {
            checkpoint::last(&broker, &disk.storage).await;
            disk.storage.close();
        }
        if let Some(spans) = self.spans.take()
            && let Err(error) = spans.end().await
        {
            tracing::warn!(%error);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.broken.cancel();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// How many connections there is room for: a quarter of the files that this process may open is left to storage and to
/// the admin port.
fn most_connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    files.map_or(MAX_CONNECTIONS, |files| MAX_CONNECTIONS.min(files - files / 4))
}

fn bind(address: SocketAddr, port: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, port, source };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
    // So that a broker can start where one has just ended.
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind(address).map_err(failed)?;
    let listener = socket.listen(BACKLOG).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The broker's port.
struct BrokerPort {
    app: Arc<App>,
    limits: Limits,
    stopping: CancellationToken,
    /// Breaks every connection.
    broken: CancellationToken,
}

impl BrokerPort {
    async fn accept(self, listener: TcpListener) {
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(most_connections()));
        let app = Arc::clone(&self.app);
        let late: LateAnswer = Arc::new(move || app.late_head());
        loop {
            // A connection is accepted once there is a place for it.
            let next = async { (Arc::clone(&room).acquire_owned().await, listener.accept().await) };
            let (place, accepted) = tokio::select! {
                next = next => next,
                () = self.stopping.cancelled() => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    // Out of file descriptors: others have to end first.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            let connection = Connection::new(&self.broken);
            let served = self.serve(stream, connection.clone(), Arc::clone(&late), &graceful);
            tokio::spawn(async move {
                tokio::select! {
                    () = served => {}
                    () = connection.broken() => {}
                }
                drop(place);
            });
        }
        drop(listener);
        if tokio::time::timeout(FAREWELL, graceful.shutdown()).await.is_err() {
            self.broken.cancel();
        }
    }

    fn serve(
        &self,
        stream: TcpStream,
        connection: Connection,
        late: LateAnswer,
        graceful: &GracefulShutdown,
    ) -> impl Future<Output = ()> + Send + 'static {
        // Answers are small, and each is awaited.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection delays small answers");
        }
        let io = TokioIo::new(connection.stream(stream, self.limits, late));
        let app = Arc::clone(&self.app);
        let service = service_fn(move |request: Request<Incoming>| {
            let (app, connection) = (Arc::clone(&app), connection.clone());
            let under_way = connection.begin();
            async move {
                let response = app.serve(request.map(Body::new), &connection).await;
                Ok::<_, Infallible>(response.map(|body| Answer::new(body, under_way)))
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // The stream has clocks of its own: this one would not tell an idle connection from one with half a head.
        builder.http1().header_read_timeout(None).max_buf_size(MAX_HEAD_BYTES);
        builder.http2().timer(TokioTimer::new());
        let served = graceful.watch(builder.serve_connection(io, service).into_owned());
        async move {
            if let Err(error) = served.await {
                tracing::debug!(error, "a connection broke");
            }
        }
    }
}
