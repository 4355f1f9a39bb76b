//! One recorded request with its response, as the captures' formats have it.

use std::borrow::Cow;

use ackguard::http::RequestHead;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::explain::request::head;

/// A request and what it was answered.
#[derive(Debug)]
pub(super) struct Exchange {
    /// When the request arrived, in Unix nanoseconds, where the recorder noted it.
    pub(super) time: Option<u64>,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    /// The request's body.
    pub(super) body: Vec<u8>,
    /// Whether the recorder cut the request's body short.
    pub(super) truncated: bool,
    /// The response, where one was recorded.
    pub(super) response: Option<Answer>,
}

/// A recorded response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Whether the recorder cut the body short.
    pub(super) truncated: bool,
}

impl Exchange {
    /// The head as Envoy shows it to the filter.
    pub(super) fn head(&self) -> RequestHead {
        let named =
            |wanted: &str| self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        head(&self.method, &self.target, named(":scheme").unwrap_or("http"), headers)
    }
}

/// A line of a capture in JSON Lines. What is not named here is ignored.
#[derive(Deserialize)]
pub(super) struct Record<'a> {
    #[serde(default)]
    time: Value,
    #[serde(borrow)]
    request: RecordedRequest<'a>,
    #[serde(borrow, default)]
    response: Option<RecordedResponse<'a>>,
}

#[derive(Deserialize)]
struct RecordedRequest<'a> {
    method: String,
    target: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(borrow, default)]
    body_b64: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    body_text: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct RecordedResponse<'a> {
    #[serde(default)]
    status: Option<u16>,
    #[serde(borrow, default)]
    body_b64: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    body_text: Option<Cow<'a, str>>,
}

impl Record<'_> {
    /// The exchange that the line records.
    ///
    /// # Errors
    /// When a body is not the base64 that it should be.
    pub(super) fn into_exchange(self) -> Result<Exchange, String> {
        let Record { time, request, response } = self;
        let response = match response {
            Some(RecordedResponse { status: Some(status), body_b64, body_text }) => {
                let body = bytes(body_b64.as_deref(), body_text.as_deref(), "response.body_b64")?;
                Some(Answer { status, body, truncated: false })
            }
            _ => None,
        };
        Ok(Exchange {
            time: time.as_str().and_then(nanoseconds),
            body: bytes(request.body_b64.as_deref(), request.body_text.as_deref(), "request.body_b64")?,
            method: request.method,
            target: request.target,
            headers: request.headers,
            truncated: false,
            response,
        })
    }
}

/// An entry of a HAR file, version 1.2. What is not named here is ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HarEntry {
    #[serde(default)]
    started_date_time: String,
    request: HarRequest,
    #[serde(default)]
    response: Option<HarResponse>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HarRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<HarHeader>,
    #[serde(default)]
    post_data: Option<HarContent>,
}

#[derive(Deserialize)]
struct HarHeader {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct HarResponse {
    status: i64,
    #[serde(default)]
    content: Option<HarContent>,
}

#[derive(Deserialize)]
struct HarContent {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
}

impl HarContent {
    fn bytes(self, name: &str) -> Result<Vec<u8>, String> {
        match self.encoding.as_deref() {
            Some("base64") => bytes(self.text.as_deref(), None, name),
            _ => bytes(None, self.text.as_deref(), name),
        }
    }
}

impl HarEntry {
    /// The exchange that the entry records.
    ///
    /// # Errors
    /// When a body is not the base64 that it should be.
    pub(super) fn into_exchange(self) -> Result<Exchange, String> {
        let HarEntry { started_date_time, request, response } = self;
        let time = nanoseconds(&started_date_time);
        let body = request.post_data.map(|data| data.bytes("request.postData.text")).transpose()?;
        let response = match response {
            // Browsers write 0, and other figures that are no status, where no response came.
            Some(HarResponse { status, content }) => match u16::try_from(status) {
                Ok(status) if status > 0 => {
                    let body = content.map(|content| content.bytes("response.content.text")).transpose()?;
                    Some(Answer { status, body: body.unwrap_or_default(), truncated: false })
                }
                _ => None,
            },
            None => None,
        };
        let target = request.url.split('#').next().unwrap_or_default().to_owned();
        let headers = request.headers.into_iter().map(|header| (header.name, header.value)).collect();
        let body = body.unwrap_or_default();
        Ok(Exchange { time, method: request.method, target, headers, body, truncated: false, response })
    }
}

/// What Envoy's tap filter writes of one request, `envoy.data.tap.v3.HttpBufferedTrace`.
#[derive(Deserialize)]
pub(super) struct Trace {
    http_buffered_trace: Buffered,
}

#[derive(Deserialize)]
struct Buffered {
    request: Tapped,
    #[serde(default)]
    response: Option<Tapped>,
}

#[derive(Deserialize)]
struct Tapped {
    /// With the tap filter's `record_headers_received_time`.
    #[serde(default)]
    headers_received_time: String,
    #[serde(default)]
    headers: Vec<TappedHeader>,
    #[serde(default)]
    body: Option<TappedBody>,
}

#[derive(Deserialize)]
struct TappedHeader {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct TappedBody {
    #[serde(default)]
    as_bytes: Option<String>,
    #[serde(default)]
    as_string: Option<String>,
    #[serde(default)]
    truncated: bool,
}

impl Tapped {
    fn header(&self, name: &str) -> Result<String, String> {
        let header = self.headers.iter().find(|header| header.key == name);
        header.map(|header| header.value.clone()).ok_or_else(|| format!("no {name}"))
    }

    fn truncated(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.truncated)
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        let Some(body) = &self.body else { return Ok(Vec::new()) };
        bytes(body.as_bytes.as_deref(), body.as_string.as_deref(), name)
    }
}

impl Trace {
    /// The exchange that the trace records.
    ///
    /// # Errors
    /// When it has no method or path, or a body is not the base64 that it should be.
    pub(super) fn into_exchange(self) -> Result<Exchange, String> {
        let Buffered { request, response } = self.http_buffered_trace;
        let response = match &response {
            Some(response) => match response.header(":status").ok().and_then(|status| status.parse().ok()) {
                Some(status) => Some(Answer {
                    status,
                    body: response.bytes("response.body.as_bytes")?,
                    truncated: response.truncated(),
                }),
                None => None,
            },
            None => None,
        };
        Ok(Exchange {
            time: nanoseconds(&request.headers_received_time),
            method: request.header(":method")?,
            target: request.header(":path")?,
            body: request.bytes("request.body.as_bytes")?,
            truncated: request.truncated(),
            headers: request.headers.into_iter().map(|header| (header.key, header.value)).collect(),
            response,
        })
    }
}

/// The Unix nanoseconds of a time as RFC 3339 writes it; none where it is no such, or before 1970.
fn nanoseconds(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos()).ok()
}

fn bytes(base64: Option<&str>, text: Option<&str>, name: &str) -> Result<Vec<u8>, String> {
    match base64 {
        Some(base64) => BASE64_STANDARD.decode(base64).map_err(|fault| format!("{name}: {fault}")),
        None => Ok(text.unwrap_or_default().as_bytes().to_vec()),
    }
}
