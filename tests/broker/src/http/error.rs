//! Errors in the protocol's form.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::json;
use crate::clock::Millis;
use crate::error::Error;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    code: &'a str,
    message: String,
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<Millis>,
}

/// The answer to a refused operation.
pub(super) fn response(error: &Error) -> Response<Body> {
    let (status, code) = status_and_code(error);
    let retry_after_ms = match error {
        Error::Throttled { retry_after, .. } => Some(*retry_after),
        _ => None,
    };
    let body = ErrorBody { code, message: error.to_string(), field: field(error), retry_after_ms };
    let mut response = json(status, &body);
    if let Some(wait) = retry_after_ms {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.0.div_ceil(1_000)));
    }
    if let Error::Method { allowed, .. } = error {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    }
    response
}

/// The answer to a page of another site.
pub(super) fn forbidden(reason: &str) -> Response<Body> {
    let message = reason.to_owned();
    json(StatusCode::FORBIDDEN, &ErrorBody { code: "Forbidden", message, field: None, retry_after_ms: None })
}

/// The answer of a fault that is set: the status's code of the protocol, as far as it has one.
pub(super) fn injected(status: StatusCode) -> Response<Body> {
    let code = match status.as_u16() {
        400 => "InvalidArgument",
        401 => "SignatureDoesNotMatch",
        404 => "ConsumerNotFound",
        409 => "ConsumerNotStarted",
        413 => "MessageTooLarge",
        429 => "Throttled",
        _ => "Unavailable",
    };
    let retry_after_ms = (status == StatusCode::TOO_MANY_REQUESTS).then_some(Millis(1_000));
    let message = "a fault is set for this operation".to_owned();
    let mut response = json(status, &ErrorBody { code, message, field: None, retry_after_ms });
    if retry_after_ms.is_some() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn status_and_code(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::Invalid { .. } | Error::Unreadable(_) => (StatusCode::BAD_REQUEST, "InvalidArgument"),
        Error::Signature { .. } => (StatusCode::UNAUTHORIZED, "SignatureDoesNotMatch"),
        Error::TopicNotFound(_) => (StatusCode::NOT_FOUND, "TopicNotFound"),
        Error::GroupNotFound(_) => (StatusCode::NOT_FOUND, "GroupNotFound"),
        Error::ConsumerNotFound => (StatusCode::NOT_FOUND, "ConsumerNotFound"),
        Error::TransactionNotFound => (StatusCode::NOT_FOUND, "TransactionNotFound"),
        Error::NoRoute => (StatusCode::NOT_FOUND, "NotFound"),
        Error::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        Error::NotStarted(_) => (StatusCode::CONFLICT, "ConsumerNotStarted"),
        Error::IllegalTransition { .. } | Error::TransactionResolved(_) => {
            (StatusCode::CONFLICT, "IllegalStateTransition")
        }
        Error::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "MessageTooLarge"),
        Error::Throttled { .. } => (StatusCode::TOO_MANY_REQUESTS, "Throttled"),
        Error::Storage(_) => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
    }
}

/// What in the request is at fault, where one thing is.
fn field(error: &Error) -> Option<&str> {
    match error {
        Error::Invalid { field, .. } => Some(field),
        Error::TooLarge { what, .. } => Some(what),
        Error::Signature { header, .. } => Some(header),
        Error::TopicNotFound(_) => Some("topic"),
        Error::GroupNotFound(_) => Some("group"),
        Error::ConsumerNotFound => Some("consumerId"),
        Error::TransactionNotFound => Some("transactionId"),
        _ => None,
    }
}
