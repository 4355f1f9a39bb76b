//! An OpenTelemetry collector for tests: takes spans and metrics by OTLP over gRPC on a free port of 127.0.0.1, and keeps
//! them in plain types.
//!
//! [`Collector::start`] answers as one should, [`Collector::hanging`] takes messages and never answers.

mod metric;
mod span;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{future, io};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

pub use metric::{Metric, Value};
pub use span::{Kind, Span};

/// A running collector. It ends when this is dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    received: Arc<Received>,
    task: JoinHandle<()>,
}

/// Whether messages are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    Always,
    Never,
}

/// What came.
#[derive(Debug)]
struct Received {
    answers: Answers,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    messages: u64,
    spans: Vec<Span>,
    metrics: Vec<Metric>,
}

impl Collector {
    /// Starts one that takes everything.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::listen(Answers::Always).await
    }

    /// Starts one that reads every message and answers none.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn hanging() -> io::Result<Self> {
        Self::listen(Answers::Never).await
    }

    async fn listen(answers: Answers) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let received = Arc::new(Received { answers, kept: Mutex::default() });
        let server = Server::builder()
            .add_service(TraceServiceServer::from_arc(Arc::clone(&received)))
            .add_service(MetricsServiceServer::from_arc(Arc::clone(&received)))
            .serve_with_incoming(TcpListenerStream::new(listener));
        // How it ends shows in what does not come.
        let task = tokio::spawn(async { _ = server.await });
        Ok(Self { address, received, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The messages that came, whether or not they were answered.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.received.kept().messages
    }

    /// All spans that came, in the order of their arrival.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.received.kept().spans.clone()
    }

    /// The spans of the trace `id`, in 32 hex digits.
    #[must_use]
    pub fn trace(&self, id: &str) -> Vec<Span> {
        self.received.kept().spans.iter().filter(|span| span.trace == id).cloned().collect()
    }

    /// The last state of each metric, by name and attributes.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        self.received.kept().metrics.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Received {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer<T: Default>(&self) -> Result<Response<T>, Status> {
        match self.answers {
            Answers::Always => Ok(Response::new(T::default())),
            Answers::Never => future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = span::read(request.into_inner());
        {
            let mut kept = self.kept();
            kept.messages += 1;
            kept.spans.extend(spans);
        }
        self.answer().await
    }
}

#[tonic::async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let metrics = metric::read(request.into_inner());
        {
            let mut kept = self.kept();
            kept.messages += 1;
            for metric in metrics {
                match kept.metrics.iter_mut().find(|other| other.is_of(&metric)) {
                    Some(earlier) => *earlier = metric,
                    None => kept.metrics.push(metric),
                }
            }
        }
        self.answer().await
    }
}
