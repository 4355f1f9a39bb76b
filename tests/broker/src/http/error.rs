//! Errors in the protocol's form.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::version::VERSION;
use super::{REQUEST_ID, encoding, json};
use crate::clock::Millis;
use crate::error::Error;
use crate::storage::StorageError;

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
    let retry_after_ms = retry_after(error);
    let body = ErrorBody { code, message: message(error), field: field(error), retry_after_ms };
    let mut response = json(status, &body);
    if let Some(wait) = retry_after_ms {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.0.div_ceil(1_000)));
    }
    if let Error::Encoding = error {
        response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding::ACCEPTED));
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

/// The whole response, for HTTP/1.1, to a request whose head is late: nothing of it has been read as a request.
pub(super) fn late_head(request_id: &str, version: &str) -> Vec<u8> {
    let message = "the request's head took too long to arrive".to_owned();
    let body = ErrorBody { code: "RequestTimeout", message, field: None, retry_after_ms: None };
    // Serialising texts does not fail.
    let body = serde_json::to_string(&body).unwrap_or_default();
    let length = body.len();
    format!(
        "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{REQUEST_ID}: {request_id}\r\n{VERSION}: {version}\r\n\r\n{body}"
    )
    .into_bytes()
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

/// How long to wait before the request is worth sending again, where it will be without anybody's doing.
fn retry_after(error: &Error) -> Option<Millis> {
    match error {
        Error::Throttled { retry_after, .. } => Some(*retry_after),
        // Storage looks for room and catches up by itself.
        Error::Storage(StorageError::NoRoom { .. } | StorageError::Behind { .. }) => Some(Millis(1_000)),
        _ => None,
    }
}

/// What the client reads.
fn message(error: &Error) -> String {
    match error {
        Error::Storage(error) => error.outline(),
        _ => error.to_string(),
    }
}

/// The protocol's code of an error.
pub(super) fn code(error: &Error) -> &'static str {
    status_and_code(error).1
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
        Error::Encoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedEncoding"),
        Error::BodyTimeout(_) => (StatusCode::REQUEST_TIMEOUT, "RequestTimeout"),
        Error::TooLarge { .. } | Error::Storage(StorageError::EntryTooLarge { .. }) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "MessageTooLarge")
        }
        Error::Throttled { .. } => (StatusCode::TOO_MANY_REQUESTS, "Throttled"),
        // Sent again, the request would meet the same.
        Error::Storage(StorageError::Missing { .. } | StorageError::Damaged { .. }) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "MessageUnreadable")
        }
        Error::Storage(
            StorageError::Full { .. }
            | StorageError::NoRoom { .. }
            | StorageError::Refused { .. }
            | StorageError::Behind { .. }
            | StorageError::Stopped { .. },
        ) => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
    }
}

/// What in the request is at fault, where one thing is.
fn field(error: &Error) -> Option<&str> {
    match error {
        Error::Invalid { field, .. } => Some(field),
        Error::TooLarge { what, .. } => Some(what),
        Error::Signature { header, .. } => Some(header),
        Error::Encoding => Some("Content-Encoding"),
        Error::TopicNotFound(_) => Some("topic"),
        Error::GroupNotFound(_) => Some("group"),
        Error::ConsumerNotFound => Some("consumerId"),
        Error::TransactionNotFound => Some("transactionId"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::Value;

    use super::*;
    use crate::names::{Offset, PartitionId};

    #[tokio::test]
    async fn each_failure_of_storage_has_a_status_and_tells_no_file() {
        let reason = || "cannot write /srv/tmq/journal/7: error 5".into();
        let (partition, offset) = (PartitionId(3), Offset(9));
        for (error, status, code, retry) in [
            (StorageError::EntryTooLarge { bytes: 9, limit: 8 }, 413, "MessageTooLarge", false),
            (StorageError::Full { limit: 8 }, 503, "Unavailable", false),
            (StorageError::Stopped { reason: reason() }, 503, "Unavailable", false),
            (StorageError::Refused { reason: reason() }, 503, "Unavailable", false),
            (StorageError::NoRoom { reason: reason() }, 503, "Unavailable", true),
            (StorageError::Behind { limit: 8 }, 503, "Unavailable", true),
            (StorageError::Missing { partition, offset }, 500, "MessageUnreadable", false),
            (StorageError::Damaged { partition, offset, reason: reason() }, 500, "MessageUnreadable", false),
        ] {
            let response = response(&Error::Storage(error.clone()));
            assert_eq!(response.status(), status, "{error:?}");
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), retry, "{error:?}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&body["code"], body["retryAfterMs"].is_u64()), (&code.into(), retry), "{error:?}");
            let message = body["message"].as_str().unwrap();
            assert!(!message.is_empty() && !message.contains("srv"), "{message}");
        }
    }
}
