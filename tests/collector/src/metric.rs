//! Metrics in plain types.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, NumberDataPoint};

use crate::span::attributes;

/// What a metric says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// All that was counted since the sender's start.
    Counter(i64),
    /// How it is now.
    Gauge(i64),
    /// All that was measured since the sender's start.
    Histogram {
        /// How many values.
        count: u64,
        /// Their sum.
        sum: f64,
        /// The upper bounds of all buckets but the last.
        bounds: Vec<f64>,
    },
}

/// One series of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The attribute `service.name` of its resource.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its attributes, each as text.
    pub attributes: BTreeMap<String, String>,
    /// Its state.
    pub value: Value,
}

impl Metric {
    /// Whether both are the same series.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        (&self.service, &self.name, &self.attributes) == (&other.service, &other.name, &other.attributes)
    }
}

pub(crate) fn read(request: ExportMetricsServiceRequest) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for resource_metrics in request.resource_metrics {
        let resource = attributes(resource_metrics.resource.unwrap_or_default().attributes);
        let service = resource.get("service.name").cloned().unwrap_or_default();
        for metric in resource_metrics.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            let mut add = |attributes, value| {
                metrics.push(Metric { service: service.clone(), name: metric.name.clone(), attributes, value });
            };
            match metric.data {
                Some(Data::Gauge(gauge)) => {
                    gauge.data_points.into_iter().for_each(|point| {
                        let value = Value::Gauge(number(&point));
                        add(attributes(point.attributes), value);
                    });
                }
                Some(Data::Sum(sum)) if sum.aggregation_temporality() == AggregationTemporality::Cumulative => {
                    sum.data_points.into_iter().for_each(|point| {
                        let value = Value::Counter(number(&point));
                        add(attributes(point.attributes), value);
                    });
                }
                Some(Data::Histogram(histogram))
                    if histogram.aggregation_temporality() == AggregationTemporality::Cumulative =>
                {
                    histogram.data_points.into_iter().for_each(|point| {
                        let (count, sum) = (point.count, point.sum.unwrap_or_default());
                        let value = Value::Histogram { count, sum, bounds: point.explicit_bounds };
                        add(attributes(point.attributes), value);
                    });
                }
                // Nothing that Envoy sends, as it is configured.
                _ => {}
            }
        }
    }
    metrics
}

fn number(point: &NumberDataPoint) -> i64 {
    match point.value {
        Some(Number::AsInt(number)) => number,
        Some(Number::AsDouble(number)) => number as i64,
        None => 0,
    }
}
