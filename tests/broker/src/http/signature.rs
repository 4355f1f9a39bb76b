//! Who asks: the signature over a request's method, path and date.

use std::collections::HashMap;

use axum::http::request::Parts;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock::{Millis, Timestamp};
use crate::error::Error;

const APP_KEY: &str = "X-DingTalk-MQ-AppKey";
const DATE: &str = "X-DingTalk-MQ-Date";
const SIGNATURE: &str = "X-DingTalk-MQ-Signature";

/// How far a request's date may be from the broker's clock, from the protocol.
const TOLERANCE: Millis = Millis(5 * 60 * 1_000);

/// The secrets of the tenants, by app key. Without any, no request needs a signature.
#[derive(Default)]
pub struct Credentials {
    keys: HashMap<String, Hmac<Sha256>>,
}

/// A credential that is not `APPKEY=SECRET`. It does not say what it was.
#[derive(Debug, thiserror::Error)]
#[error("a credential is APPKEY=SECRET, neither of them empty")]
pub struct MalformedCredential;

impl Credentials {
    /// Adds one, written `APPKEY=SECRET`; a later one of the same key replaces it.
    ///
    /// # Errors
    /// If there is no `=`, or nothing on either side of it.
    pub fn add(&mut self, credential: &str) -> Result<(), MalformedCredential> {
        let (key, secret) = credential.split_once('=').ok_or(MalformedCredential)?;
        if key.is_empty() || secret.is_empty() {
            return Err(MalformedCredential);
        }
        let secret = Hmac::new_from_slice(secret.as_bytes()).map_err(|_| MalformedCredential)?;
        self.keys.insert(key.to_owned(), secret);
        Ok(())
    }

    /// Adds those of a file's text, one a line; empty lines and those that start with `#` are passed over.
    ///
    /// # Errors
    /// The number of the first line that is malformed, counted from 1.
    pub fn add_lines(&mut self, text: &str) -> Result<(), usize> {
        for (number, line) in (1_usize..).zip(text.lines().map(str::trim)) {
            if !line.is_empty() && !line.starts_with('#') {
                self.add(line).map_err(|MalformedCredential| number)?;
            }
        }
        Ok(())
    }

    /// Whether there is none, so that every request is let in.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks a request's signature. An unknown key and a wrong signature are answered alike.
    pub(super) fn verify(&self, parts: &Parts, now: Timestamp) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let header = |name: &'static str| {
            let value =
                parts.headers.get(name).ok_or(Error::Signature { header: name, reason: "the header is missing" })?;
            value.to_str().map_err(|_| Error::Signature { header: name, reason: "the header is not readable text" })
        };
        let (app_key, date, signature) = (header(APP_KEY)?, header(DATE)?, header(SIGNATURE)?);
        let stated = date
            .parse::<u64>()
            .map_err(|_| Error::Signature { header: DATE, reason: "the date is not a number of Unix milliseconds" })?;
        if stated.abs_diff(now.0) > TOLERANCE.0 {
            let reason = "the date is more than 5 minutes from the broker's time";
            return Err(Error::Signature { header: DATE, reason });
        }
        let mismatch = || Error::Signature { header: SIGNATURE, reason: "the signature does not match" };
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let signature = hex::decode(signature).map_err(|_| mismatch())?;
        let mut mac = self.keys.get(app_key).ok_or_else(mismatch)?.clone();
        for part in [parts.method.as_str(), "\n", path, "\n", date] {
            mac.update(part.as_bytes());
        }
        // Compares in constant time.
        mac.verify_slice(&signature).map_err(|_| mismatch())
    }
}

impl std::fmt::Debug for Credentials {
    /// Says how many there are, and nothing else of them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn credentials() -> Credentials {
        let mut credentials = Credentials::default();
        credentials.add_lines("# tenants\n\napp-a=s3cret=x\n").unwrap();
        credentials
    }

    fn signed(path: &str, date: u64, signed_path: &str, secret: &str) -> Parts {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("POST\n{signed_path}\n{date}").as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let request = Request::post(path).header(APP_KEY, "app-a").header(DATE, date).header(SIGNATURE, signature);
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_signature_covers_method_path_query_and_date() {
        let credentials = credentials();
        assert!(credentials.verify(&signed("/a?b=c", NOW.0, "/a?b=c", "s3cret=x"), NOW).is_ok());
        assert!(credentials.verify(&signed("/a?b=d", NOW.0, "/a?b=c", "s3cret=x"), NOW).is_err());
        assert!(credentials.verify(&signed("/a?b=c", NOW.0, "/a?b=c", "other"), NOW).is_err());
        let mut other_method = signed("/a", NOW.0, "/a", "s3cret=x");
        other_method.method = axum::http::Method::GET;
        assert!(credentials.verify(&other_method, NOW).is_err());
        let mut other_date = signed("/a", NOW.0, "/a", "s3cret=x");
        other_date.headers.insert(DATE, (NOW.0 + 1).into());
        assert!(credentials.verify(&other_date, NOW).is_err());
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_either_way() {
        let credentials = credentials();
        for (date, good) in [(0, true), (300_000, true), (300_001, false)] {
            for date in [NOW.0 - date, NOW.0 + date] {
                let result = credentials.verify(&signed("/a", date, "/a", "s3cret=x"), NOW);
                assert_eq!(result.is_ok(), good, "{date}");
            }
        }
    }

    #[test]
    fn a_missing_or_malformed_header_is_named() {
        let credentials = credentials();
        for name in [APP_KEY, DATE, SIGNATURE] {
            let mut parts = signed("/a", NOW.0, "/a", "s3cret=x");
            parts.headers.remove(name);
            let missing = credentials.verify(&parts, NOW);
            assert!(matches!(missing, Err(Error::Signature { header, .. }) if header == name), "{missing:?}");
        }
        assert!(Credentials::default().verify(&Request::new(()).into_parts().0, NOW).is_ok());
    }

    #[test]
    fn a_malformed_credential_is_told_by_its_line_alone() {
        let mut credentials = Credentials::default();
        assert_eq!(credentials.add_lines("a=b\nsecret-without-key\n"), Err(2));
        assert_eq!(format!("{credentials:?}"), "Credentials(1)");
        assert!(credentials.add("=x").is_err() && credentials.add("x=").is_err());
    }
}
