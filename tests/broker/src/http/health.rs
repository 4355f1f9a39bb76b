//! Whether the broker is well, on either port: what a gateway asks before it sends requests here.

use axum::body::Body;
use axum::http::{Method, Response, StatusCode};
use serde::Serialize;

use super::{App, error, json};
use crate::error::Error;

/// Where it is asked.
pub(super) const PATH: &str = "/healthz";

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

impl App {
    /// Well while storage takes what is to be kept.
    pub(super) fn health(&self) -> Response<Body> {
        match self.broker.health() {
            Ok(()) => json(StatusCode::OK, &Health { status: "ok" }),
            Err(unwell) => error::response(&unwell),
        }
    }

    /// The same where clients send their operations. It is none of these: a gateway has no credentials, and neither a
    /// fault nor a count of requests is about its checks.
    pub(super) fn health_check(&self, method: &Method) -> Response<Body> {
        match *method {
            Method::GET | Method::HEAD => self.health(),
            _ => error::response(&Error::Method { method: method.to_string(), allowed: "GET, HEAD" }),
        }
    }
}
