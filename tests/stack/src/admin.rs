//! A GET at an admin port: Envoy's or the broker's.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::{StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// Why an admin port gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("GET http://{address}{path}: {reason}")]
pub struct AdminError {
    /// The port.
    pub address: SocketAddr,
    /// What was asked for.
    pub path: String,
    /// What went wrong.
    pub reason: String,
}

/// The body at `path` of the admin port `address`.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<String, AdminError> {
    let failed = |reason: String| AdminError { address, path: path.to_owned(), reason };
    let uri: Uri = format!("http://{address}{path}").parse().map_err(|error| failed(format!("{error}")))?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(uri).await.map_err(|error| failed(format!("{error}")))?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| failed(format!("{error}")))?;
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    if status == StatusCode::OK { Ok(text) } else { Err(failed(format!("{status}: {text}"))) }
}

/// The JSON at `path` of the admin port `address`.
pub(crate) async fn get_json(address: SocketAddr, path: &str) -> Result<serde_json::Value, AdminError> {
    let text = get(address, path).await?;
    serde_json::from_str(&text).map_err(|error| AdminError {
        address,
        path: path.to_owned(),
        reason: format!("not JSON: {error}"),
    })
}
