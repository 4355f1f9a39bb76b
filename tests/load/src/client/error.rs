//! What can go wrong between a client and a broker, with the operation and the address in every message.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use spans::Span;

/// Why an operation of the client has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection, or one that broke before the answer was whole.
    #[error("{operation} at {url}: no answer: {source}")]
    NoAnswer {
        /// The operation asked for.
        operation: &'static str,
        /// Where it was sent.
        url: String,
        /// What the HTTP library says of it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The peer took longer than the client waits.
    #[error("{operation} at {url}: no answer within {}", humantime::format_duration(*within))]
    TimedOut {
        /// The operation asked for.
        operation: &'static str,
        /// Where it was sent.
        url: String,
        /// How long the client waited.
        within: Duration,
    },
    /// The broker or the gateway said no.
    #[error("{operation} at {url}: refused with {status}: {refusal}")]
    Refused {
        /// The operation asked for.
        operation: &'static str,
        /// Where it was sent.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The protocol's error.
        refusal: Refusal,
    },
    /// An answer that is not what the protocol says.
    #[error("{operation} at {url}: the answer is not the protocol's: {what}")]
    Malformed {
        /// The operation asked for.
        operation: &'static str,
        /// Where it was sent.
        url: String,
        /// What was found, and what was expected.
        what: String,
    },
}

impl ClientError {
    /// Tells `span` what became of its request, in words of which there are few.
    pub(super) fn tell(&self, span: &mut Span) {
        match self {
            Self::NoAnswer { .. } => span.fail("no_answer"),
            Self::TimedOut { .. } => span.fail("timeout"),
            Self::Malformed { .. } => span.fail("malformed"),
            Self::Refused { status, refusal, .. } => {
                span.answered(*status);
                span.fail(refusal.code.clone());
            }
        }
    }
}

/// An error in the protocol's form. A body in another form is kept as the message of an error with no code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// One of the protocol's codes, such as `InvalidArgument`.
    pub code: String,
    /// The broker's own words.
    #[serde(default)]
    pub message: String,
    /// The field at fault, where there is one.
    #[serde(default)]
    pub field: Option<String>,
}

impl Refusal {
    /// The longest body that is quoted in an error.
    const QUOTED: usize = 200;

    /// Reads the body of an answer that is not a success.
    pub(super) fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| Self {
            code: "(no code)".to_owned(),
            message: String::from_utf8_lossy(&body[..body.len().min(Self::QUOTED)]).into_owned(),
            field: None,
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        match &self.field {
            Some(field) => write!(f, " (field {field})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_code_message_and_field() {
        let refusal = Refusal::read(br#"{"code":"InvalidArgument","message":"ackTimeout is 0","field":"ackTimeout"}"#);
        assert_eq!(refusal.to_string(), "InvalidArgument: ackTimeout is 0 (field ackTimeout)");
    }

    #[test]
    fn a_refusal_in_another_form_is_quoted() {
        assert_eq!(Refusal::read(b"upstream connect error").to_string(), "(no code): upstream connect error");
    }
}
