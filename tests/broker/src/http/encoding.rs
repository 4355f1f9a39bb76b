//! `Content-Encoding`: how a request's body is compressed on its way, and a publish's messages at rest.

use axum::body::Bytes;
use axum::http::{HeaderMap, header};

use crate::error::Error;
use crate::storage::codec::{Codec, DecompressError};

/// The encodings of a body that the broker reads, as `Accept-Encoding` writes them. `snappy`, which is no registered
/// name, is its block format.
pub(super) const ACCEPTED: &str = "zstd, snappy, identity";

const FIELD: &str = "Content-Encoding";

/// The one encoding that the head of a request states; none is `identity`. Encodings one on top of another are not read.
pub(super) fn stated(headers: &HeaderMap) -> Result<Codec, Error> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let encoding = match (values.next(), values.next()) {
        (None, _) => return Ok(Codec::None),
        (Some(value), None) => value.to_str().unwrap_or_default().trim(),
        (Some(_), Some(_)) => return Err(Error::Encoding),
    };
    [("identity", Codec::None), ("zstd", Codec::Zstd), ("snappy", Codec::Snappy)]
        .into_iter()
        .find_map(|(name, codec)| encoding.eq_ignore_ascii_case(name).then_some(codec))
        .ok_or(Error::Encoding)
}

/// The body as it was before it was compressed, at most `limit` bytes of it. An empty body is empty in every encoding:
/// clients set the header for all of their requests.
pub(super) fn decode(body: Bytes, codec: Codec, limit: usize) -> Result<Bytes, Error> {
    if codec == Codec::None || body.is_empty() {
        return Ok(body);
    }
    codec.decompress(&body, limit).map(Bytes::from).map_err(|error| match error {
        DecompressError::TooLarge { limit } => Error::TooLarge { what: "body".to_owned(), limit },
        DecompressError::Malformed { .. } => Error::invalid(FIELD, format!("the body cannot be read: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (header::CONTENT_ENCODING, value.parse().unwrap())).collect()
    }

    #[test]
    fn one_encoding_that_is_known() {
        for (values, codec) in [
            (&[][..], Codec::None),
            (&["identity"], Codec::None),
            (&["zstd"], Codec::Zstd),
            (&[" Snappy "], Codec::Snappy),
        ] {
            assert_eq!(stated(&headers(values)).ok(), Some(codec), "{values:?}");
        }
        for values in [&["gzip"][..], &["zstd, snappy"], &["zstd", "zstd"], &[""], &["zstd;q=1"]] {
            assert!(matches!(stated(&headers(values)), Err(Error::Encoding)), "{values:?}");
        }
    }
}
