//! What all telemetry costs Envoy, over none: the configuration of the compose stack, taken apart.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use collector::Collector;
use http_body_util::Full;
use hyper::Request;
use serde_json::json;
use stack::{Bootstrap, BootstrapError, http_connection_manager};

use super::super::exchange::Exchange;
use super::super::sides::{self, Sender, Side};
use super::super::turns::{Plan, Rounds};
use super::super::{Figure, Goal, Options, Outcome, Unit};
use crate::measure::{MeasureError, Processors, Progress, Site};
use crate::steady::{Expected, LISTENER, Traffic};

/// Connections to each Envoy.
const CONNECTIONS: usize = 8;
/// How often there are other Envoys, at least.
const PARTS: u32 = 15;

/// What of it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Telemetry {
    /// `telemetry: counted`, and nothing else.
    Off,
    /// The policy's `telemetry: full`.
    Filter,
    /// That and the access log.
    Log,
    /// That, traces and statistics by OTLP.
    All,
}

/// Turns are long enough that the statistics are sent within some.
pub(super) fn plan(options: &Options) -> Plan {
    Plan { rounds: options.rounds * 3, parts: PARTS, turn: options.round / 5, patience: options.patience }
}

pub(super) async fn measure(
    options: &Options,
    processors: Option<Processors>,
    progress: &Progress,
) -> Result<Outcome, MeasureError> {
    let system = |source| MeasureError::System { what: "the collector".to_owned(), source };
    let collector = Collector::start().await.map_err(system)?;
    let start = async || {
        let mut sides = Vec::new();
        for telemetry in [Telemetry::Off, Telemetry::Filter, Telemetry::Log, Telemetry::All] {
            let site = Arc::new(Site::on_processor(bootstrap(telemetry, &collector)?, processors).await?);
            // As fast as they are answered: with pauses, Envoy's own waking would be measured.
            let traffic = Traffic { request: operation, expected: Expected::Status(200), every: Duration::ZERO };
            let connections = site.open(LISTENER, CONNECTIONS).await?;
            sides.push(Side::new(site, Sender::Traffic(traffic, connections)));
        }
        Ok(vec![sides])
    };
    let measured = sides::measure_anew(plan(options), start, figures, progress).await?;
    let mut figures = figures(&measured.spent)?;
    let load = measured.load;
    figures.extend([measured.spent.count("telemetry_rounds"), Figure::failed("telemetry_failed", load.failed)]);
    Ok(Outcome::new(figures, &load))
}

fn figures(spent: &Rounds<f64>) -> Result<Vec<Figure>, MeasureError> {
    let over_off = |key, says, of: Telemetry| {
        spent
            .mean_ratio(of as usize, Telemetry::Off as usize)
            .map(|ratio| Figure::of_rounds(key, says, ratio, Unit::Ratio))
    };
    Ok(vec![
        over_off("telemetry_vs_off", "all telemetry: Envoy's CPU for a request, over none", Telemetry::All)?
            .goal(Goal::AtMost(1.1)),
        over_off(
            "telemetry_filter_vs_off",
            "· the filter's alone, `telemetry: full` over `counted`",
            Telemetry::Filter,
        )?,
        over_off("telemetry_log_vs_off", "· that and the access log", Telemetry::Log)?,
        Figure::of_rounds("telemetry_off_us", "· with none", spent.micros(Telemetry::Off as usize)?, Unit::Micros),
    ])
}

fn bootstrap(telemetry: Telemetry, collector: &Collector) -> Result<Bootstrap, BootstrapError> {
    let shipped = Bootstrap::load("compose/envoy.yaml")?.collector(collector.address()).without_health_checks();
    let counted = if telemetry == Telemetry::Off { "counted" } else { "full" };
    Ok(shipped.edit_policy(|policy| policy["telemetry"] = counted.into()).with(|document| {
        if telemetry < Telemetry::All {
            document["stats_sinks"] = json!([]);
            http_connection_manager(document, LISTENER)["tracing"] = json!(null);
        }
        if telemetry < Telemetry::Log {
            http_connection_manager(document, LISTENER)["access_log"] = json!([]);
        }
    }))
}

/// Acks, pulls and publishes in turns.
fn operation(number: u64) -> Request<Full<Bytes>> {
    let exchange = match number % 3 {
        0 => Exchange::Ack,
        1 => Exchange::Pull,
        _ => Exchange::Publish,
    };
    exchange.request()(number)
}
