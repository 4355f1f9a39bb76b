//! Spans of requests, exported to an OpenTelemetry collector by OTLP over gRPC.
//!
//! [`Spans::server`] continues the trace that a request's `traceparent` names (W3C Trace Context), [`Spans::client`] begins
//! one and writes that header. Ended spans wait in a bounded queue, which a thread of its own empties: a collector that
//! is absent or slow costs spans, never a request.

mod endpoint;
mod exporter;
mod span;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span as _, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};

/// The names of attributes that OpenTelemetry's semantic conventions give.
pub mod attribute {
    pub use opentelemetry_semantic_conventions::attribute::{
        ERROR_TYPE, HTTP_RESPONSE_STATUS_CODE, MESSAGING_BATCH_MESSAGE_COUNT, MESSAGING_CLIENT_ID,
        MESSAGING_CONSUMER_GROUP_NAME, MESSAGING_DESTINATION_NAME, MESSAGING_OPERATION_NAME, MESSAGING_OPERATION_TYPE,
        MESSAGING_SYSTEM,
    };
}

pub use endpoint::{Endpoint, NoEndpoint};
pub use span::Span;

/// Ended spans that wait for the collector; more are dropped. With some 1 KiB each, 2 MiB.
pub const QUEUE: usize = 2_048;
/// Spans in one message to the collector.
const BATCH: usize = 512;
/// How long an ended span waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// How long the collector may take over one message.
const EXPORT_WITHIN: Duration = Duration::from_secs(3);
/// How long an end may wait for the collector.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Which requests that continue no trace begin one. What continues a trace is recorded where its beginner said so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// All of them.
    All,
    /// This share of them, 0 to 1, by chance.
    Share(f64),
}

/// Spans that did not reach the collector before the end.
#[derive(Debug, thiserror::Error)]
#[error("the last spans did not reach the collector: {0}")]
pub struct Unflushed(String);

/// A source of spans. Clones share its queue.
#[derive(Clone, Debug)]
pub struct Spans {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: Arc<TraceContextPropagator>,
}

impl Spans {
    /// Spans of `service` for the collector at `endpoint`, which need not be there. It must be called in a Tokio runtime
    /// of several threads, and that has to last until [`Spans::end`].
    ///
    /// # Errors
    /// Where the environment has settings of OpenTelemetry's (`OTEL_EXPORTER_OTLP_…`) that cannot be followed.
    pub fn export(service: &'static str, endpoint: &Endpoint, sampling: Sampling) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint.to_string())
            .with_timeout(EXPORT_WITHIN)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let processor =
            BatchSpanProcessor::builder(exporter::Reported::new(exporter)).with_batch_config(batches).build();
        let root = match sampling {
            Sampling::All => Sampler::AlwaysOn,
            Sampling::Share(share) => Sampler::TraceIdRatioBased(share),
        };
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(root)))
            .with_resource(Resource::builder().with_service_name(service).build())
            .build();
        let tracer = provider.tracer(service);
        Ok(Self { provider, tracer, propagator: Arc::default() })
    }

    /// The span of a request that came with `headers`, named `name`.
    #[must_use]
    pub fn server(&self, name: impl Into<Cow<'static, str>>, headers: &HeaderMap) -> Span {
        let parent = self.propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
        Span(self.tracer.span_builder(name).with_kind(SpanKind::Server).start_with_context(&self.tracer, &parent))
    }

    /// The span of a request that is to go with `headers`, named `name`, which begins a trace. Where the request is not
    /// among the sampled, `headers` stay as they are, so that whoever is next may decide.
    #[must_use]
    pub fn client(&self, name: impl Into<Cow<'static, str>>, headers: &mut HeaderMap) -> Span {
        let builder = self.tracer.span_builder(name).with_kind(SpanKind::Client);
        let span = builder.start_with_context(&self.tracer, &Context::new());
        if span.is_recording() {
            let context = Context::new().with_remote_span_context(span.span_context().clone());
            self.propagator.inject_context(&context, &mut HeaderInjector(headers));
        }
        Span(span)
    }

    /// Sends what still waits, within two seconds. Spans that end later are dropped.
    ///
    /// # Errors
    /// Where the collector did not take them.
    pub async fn end(self) -> Result<(), Unflushed> {
        let ended = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH_WITHIN)).await;
        match ended {
            Ok(flushed) => flushed.map_err(|error| Unflushed(error.to_string())),
            Err(panicked) => Err(Unflushed(panicked.to_string())),
        }
    }
}
