//! What `envoy/prometheus/` and `envoy/grafana/` say, read so that tests can hold it against `promtool`, the documents and a
//! running Prometheus.
//!
//! [`Rules`] are the alerts and recording rules, [`Dashboard`] the panels; [`promql`] finds the metrics that an expression
//! asks for, and [`Runbooks`] has the paragraphs of `docs/alerts.md`; [`documented_metrics`] are those
//! that there are. [`promtool()`] is Prometheus's own reader of all of it.

mod dashboard;
mod metrics;
pub mod promql;
mod promtool;
mod rules;
mod runbooks;

pub use dashboard::{Dashboard, Panel, Target, Variable, filled};
pub use metrics::documented_metrics;
pub use promtool::{Finding, promtool};
pub use rules::{Rule, RuleKind, Rules};
pub use runbooks::Runbooks;
