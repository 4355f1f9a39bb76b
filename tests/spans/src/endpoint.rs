//! Where spans go.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// A collector that takes OTLP over gRPC without TLS, as `http://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// A text that names no collector. The text is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected http://HOST:PORT, with neither a user nor a path")]
pub struct NoEndpoint;

impl Endpoint {
    /// The endpoint that an option or a variable names, which may be absent or, as OpenTelemetry has it, empty.
    ///
    /// # Errors
    /// Where it names something else.
    pub fn given(text: Option<&str>) -> Result<Option<Self>, NoEndpoint> {
        text.filter(|text| !text.is_empty()).map(str::parse).transpose()
    }
}

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        let uri: Uri = text.parse().map_err(|_| NoEndpoint)?;
        let authority = uri.authority().ok_or(NoEndpoint)?;
        let fits = uri.scheme_str() == Some("http")
            && !authority.as_str().contains('@')
            && !authority.host().is_empty()
            && authority.port_u16().is_some()
            && uri.path() == "/"
            && uri.query().is_none();
        if fits { Ok(Self(uri)) } else { Err(NoEndpoint) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_an_empty_one_are_no_endpoint_and_no_fault() {
        assert_eq!(Endpoint::given(None), Ok(None));
        assert_eq!(Endpoint::given(Some("")), Ok(None));
        assert_eq!(Endpoint::given(Some("collector")), Err(NoEndpoint));
    }

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_port() {
        for text in ["http://127.0.0.1:4317", "http://collector:4317/", "http://[::1]:4317"] {
            assert!(text.parse::<Endpoint>().is_ok(), "{text}");
        }
        for text in [
            "",
            "collector:4317",
            "http://collector",
            "http://:4317",
            "https://collector:4317",
            "http://collector:4317/v1/traces",
            "http://collector:4317?key=secret",
            "http://user:secret@collector:4317",
            "http://collector:99999",
        ] {
            let refused = text.parse::<Endpoint>().unwrap_err();
            assert!(!refused.to_string().contains("secret"), "{text}");
        }
    }
}
