//! Spans in plain types.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as wire;

/// Which part a span has in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It served the request.
    Server,
    /// It sent the request.
    Client,
    /// Any other.
    Other,
}

/// A span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The attribute `service.name` of its resource.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its part.
    pub kind: Kind,
    /// The trace, 32 hex digits.
    pub trace: String,
    /// Its own id, 16 hex digits.
    pub id: String,
    /// The id of its parent, where it has one.
    pub parent: Option<String>,
    /// Its attributes, each as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether its status is `Error`.
    pub failed: bool,
}

impl Span {
    /// The attribute `name`, as text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

pub(crate) fn read(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in request.resource_spans {
        let resource = attributes(resource_spans.resource.unwrap_or_default().attributes);
        let service = resource.get("service.name").cloned().unwrap_or_default();
        let scopes = resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(scopes.map(|span| Span {
            service: service.clone(),
            kind: match span.kind() {
                wire::span::SpanKind::Server => Kind::Server,
                wire::span::SpanKind::Client => Kind::Client,
                _ => Kind::Other,
            },
            failed: span.status.as_ref().is_some_and(|status| status.code() == wire::status::StatusCode::Error),
            name: span.name,
            trace: hex::encode(span.trace_id),
            id: hex::encode(span.span_id),
            parent: (!span.parent_span_id.is_empty()).then(|| hex::encode(span.parent_span_id)),
            attributes: attributes(span.attributes),
        }));
    }
    spans
}

/// Attributes, each as text.
pub(crate) fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        None => String::new(),
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
    }
}
