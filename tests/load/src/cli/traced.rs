//! Whether the requests of a load are traced.

use anyhow::anyhow;
use spans::{Endpoint, Sampling, Spans};

/// What the load calls itself in traces.
const SERVICE: &str = "tmq-load";

/// The options of tracing.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Tracing")]
pub(crate) struct Traced {
    /// Send a span of each sampled request, which is the first of its trace, to the OpenTelemetry collector at this
    /// address, by OTLP over gRPC.
    // Text, since an error of the parser would repeat it: it may hold a password.
    #[arg(long, value_name = "http://HOST:PORT", env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true)]
    otlp: Option<String>,
    /// The share of the requests that is sampled, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = share)]
    otlp_share: f64,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(format!("{share} is not in 0..=1")) }
}

impl Traced {
    /// The source of spans, where there is a collector.
    ///
    /// # Errors
    /// Where its address is malformed, or OpenTelemetry's settings in the environment cannot be followed.
    pub(crate) fn spans(&self) -> anyhow::Result<Option<Spans>> {
        let export = |endpoint: &_| Spans::export(SERVICE, endpoint, Sampling::Share(self.otlp_share));
        self.endpoint()?.as_ref().map(export).transpose().map_err(|error| anyhow!("--otlp: {error}"))
    }

    /// The options by which a broker sends its spans to the same place.
    ///
    /// # Errors
    /// Where its address is malformed.
    pub(crate) fn of_broker(&self) -> anyhow::Result<Vec<String>> {
        let endpoint = self.endpoint()?;
        Ok(endpoint.iter().flat_map(|endpoint| ["--otlp".to_owned(), endpoint.to_string()]).collect())
    }

    fn endpoint(&self) -> anyhow::Result<Option<Endpoint>> {
        Endpoint::given(self.otlp.as_deref()).map_err(|error| anyhow!("--otlp or OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))
    }
}

/// Sends the last spans. That they do not arrive is told and no fault of the load.
pub(crate) async fn end(spans: Option<Spans>) {
    if let Some(spans) = spans
        && let Err(error) = spans.end().await
    {
        eprintln!("tmq-load: {error}");
    }
}
