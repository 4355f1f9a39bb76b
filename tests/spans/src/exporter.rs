//! The way to the collector, and the log's word on whether it is open.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as Exporter};

/// An exporter that logs when spans stop arriving, and when they arrive again; not each batch that is lost.
#[derive(Debug)]
pub(crate) struct Reported {
    inner: SpanExporter,
    lost: AtomicBool,
}

impl Reported {
    pub(crate) fn new(inner: SpanExporter) -> Self {
        Self { inner, lost: AtomicBool::new(false) }
    }
}

impl Exporter for Reported {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = self.inner.export(batch).await;
        let lost = self.lost.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(error) if !lost => tracing::warn!(%error, spans, "spans are lost: the collector does not take them"),
            Ok(()) if lost => tracing::info!("the collector takes spans again"),
            _ => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
