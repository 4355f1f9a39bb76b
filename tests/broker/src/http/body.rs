//! Reading a request's body: within its limits, into a typed request, with the field named that is at fault.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use bytes::BytesMut;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

use crate::clock::Millis;
use crate::error::Error;

/// How long a body may take to arrive at the admin port.
const ARRIVAL: Millis = Millis(30_000);
/// How much of a body over the limit is read and thrown away, so that the client sees the answer instead of a
/// connection that breaks while it is still sending.
const DISCARDED_BYTES: usize = 64 << 20;
/// How long that may take.
const DISCARDING: Duration = Duration::from_secs(2);
/// A message of the JSON reader quotes the offending value; longer ones are cut.
const MAX_REASON_BYTES: usize = 200;

/// The whole body, at most `limit` bytes, where nobody sets how long it may take to arrive.
pub(super) async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Error> {
    read_within(ARRIVAL, body, headers, limit).await
}

/// The whole body, at most `limit` bytes.
pub(super) async fn read_within(
    arrival: Millis,
    mut body: Body,
    headers: &HeaderMap,
    limit: usize,
) -> Result<Bytes, Error> {
    let stated = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let room = stated.unwrap_or_default().min(limit);
    match tokio::time::timeout(Duration::from_millis(arrival.0), collect(&mut body, room, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error @ Error::TooLarge { .. })) => {
            discard(body).await;
            Err(error)
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::BodyTimeout(arrival)),
    }
}

async fn collect(body: &mut Body, room: usize, limit: usize) -> Result<Bytes, Error> {
    let mut bytes = BytesMut::with_capacity(room);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::Unreadable("the body broke off".to_owned()))?;
        // Trailers mean nothing to the protocol.
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(Error::TooLarge { what: "body".to_owned(), limit });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Passes over the body of a request that is refused for its head: an answer beside unread bytes would be lost in the
/// reset of the connection. A client that waits for `100 Continue` has sent nothing and is not asked to.
pub(super) async fn discard_unread(body: Body, headers: &HeaderMap) {
    if !headers.contains_key(header::EXPECT) {
        discard(body).await;
    }
}

async fn discard(body: Body) {
    let mut limited = Limited::new(body, DISCARDED_BYTES);
    let all = async { while let Some(Ok(_)) = limited.frame().await {} };
    // Whether it ended, was too much or took too long, the answer is the same.
    let _ = tokio::time::timeout(DISCARDING, all).await;
}

/// Reads a request from JSON. An empty body is the empty object.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    // Serde would read an array as well, value by value.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Error::Unreadable("the body is not a JSON object".to_owned()));
    }
    if let Ok(request) = serde_json::from_slice(bytes) {
        return Ok(request);
    }
    // Read again, more slowly, to find the field: only a refused request pays for it.
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let error = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) => error,
        Ok(_) => return Err(Error::Unreadable("the body is not one JSON object alone".to_owned())),
    };
    let path = error.path().to_string();
    let mut reason = error.inner().to_string();
    if reason.len() > MAX_REASON_BYTES {
        let cut = (0..=MAX_REASON_BYTES).rev().find(|&at| reason.is_char_boundary(at)).unwrap_or(0);
        reason.truncate(cut);
        reason.push('…');
    }
    if !error.inner().is_data() || path == "." {
        return Err(Error::Unreadable(format!("the body is not JSON of the expected form: {reason}")));
    }
    Err(Error::invalid(path, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "only the reading is tested")]
    struct Request {
        ack_timeout: Option<u64>,
        #[serde(default)]
        messages: Vec<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only the reading is tested")]
    struct Inner {
        body: Option<String>,
    }

    #[test]
    fn the_field_at_fault_is_named() {
        for (text, expected) in [
            (r#"{"ackTimeout":"5s"}"#, "ackTimeout"),
            (r#"{"ackTimeout":1.5}"#, "ackTimeout"),
            (r#"{"ackTimeout":-1}"#, "ackTimeout"),
            (r#"{"ackTimeout":99999999999999999999}"#, "ackTimeout"),
            (r#"{"messages":[{"body":"a"},{"body":7}]}"#, "messages[1].body"),
            (r#"{"messages":{}}"#, "messages"),
        ] {
            let error = parse::<Request>(text.as_bytes()).unwrap_err();
            assert!(matches!(&error, Error::Invalid { field, .. } if field == expected), "{text} {error:?}");
        }
    }

    #[test]
    fn what_is_not_an_object_is_unreadable() {
        for text in
            ["{", "nonsense", "[]", "[5,[]]", "7", "{} {}", "\"\u{0}\"", "{\"ackTimeout\":1", "{\"ackTimeout\":1,}"]
        {
            let error = parse::<Request>(text.as_bytes()).unwrap_err();
            assert!(matches!(error, Error::Unreadable(_)), "{text} {error:?}");
        }
        assert!(matches!(parse::<Request>(b"\xff\xfe"), Err(Error::Unreadable(_))));
        let deep = "[".repeat(100_000);
        assert!(matches!(parse::<Request>(deep.as_bytes()), Err(Error::Unreadable(_))));
    }

    #[test]
    fn unknown_fields_are_ignored_and_an_empty_body_is_an_empty_object() {
        assert!(parse::<Request>(br#"{"later":1e999,"ackTimeout":5}"#).is_ok());
        assert!(parse::<Request>(b"").is_ok());
    }

    #[test]
    fn a_long_value_is_not_repeated_whole() {
        let text = format!(r#"{{"ackTimeout":"{}"}}"#, "ä".repeat(10_000));
        let error = parse::<Request>(text.as_bytes()).unwrap_err();
        assert!(error.to_string().len() < 300, "{error}");
    }
}
