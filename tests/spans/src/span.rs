//! A span of one request.

use opentelemetry::trace::{Span as _, Status};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::Span as SdkSpan;

use crate::attribute;

/// What a request is being traced as. It ends, and is exported, when this is dropped.
#[derive(Debug)]
pub struct Span(pub(crate) SdkSpan);

impl Span {
    /// Whether anything of it is kept: what is costly to find out need not be where not.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.0.is_recording()
    }

    /// Sets an attribute, best one of [`attribute`].
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(name, value));
    }

    /// Notes that the request came to nothing, and by which of the protocol's codes, or the kind of fault.
    pub fn fail(&mut self, code: impl Into<Value>) {
        let code = code.into();
        self.0.set_status(Status::error(code.as_str().into_owned()));
        self.set(attribute::ERROR_TYPE, code);
    }

    /// Notes the HTTP status that the request was answered with.
    pub fn answered(&mut self, status: u16) {
        self.set(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status));
    }
}
