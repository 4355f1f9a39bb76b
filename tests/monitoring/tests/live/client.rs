//! A client of HTTP that says no more than is needed.

use std::net::SocketAddr;
use std::sync::LazyLock;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

static POOL: LazyLock<Pool<HttpConnector, Full<Bytes>>> =
    LazyLock::new(|| Pool::builder(TokioExecutor::new()).build_http());

/// A tenant at one listener of the gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tenant {
    pub(crate) address: SocketAddr,
    pub(crate) name: &'static str,
}

impl Tenant {
    /// Sends a request of T-MQ, and returns the answer's JSON whatever its status; `null` where it is none.
    pub(crate) async fn send(self, method: Method, path: &str, body: impl Into<String>) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}/tmq/v1{path}", self.address))
            .header("x-dingtalk-mq-appkey", self.name)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.into())))
            .expect("a request");
        let Ok(response) = POOL.request(request).await else { return Value::Null };
        let Ok(body) = response.into_body().collect().await else { return Value::Null };
        serde_json::from_slice(&body.to_bytes()).unwrap_or_default()
    }

    /// The same with POST and JSON.
    pub(crate) async fn post(self, path: &str, body: &Value) -> Value {
        self.send(Method::POST, path, body.to_string()).await
    }
}

/// Posts JSON to an admin port, whose answer must be a success.
pub(crate) async fn post(address: SocketAddr, path: &str, body: &Value) {
    let request = Request::post(format!("http://{address}{path}")).body(Full::new(Bytes::from(body.to_string())));
    let response = POOL.request(request.expect("a request")).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(response.status().is_success(), "{path}: {}", response.status());
}

/// The body of an admin port's answer, which must be 200.
pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
    let uri = format!("http://{address}{path}").parse().unwrap_or_else(|error| panic!("{path}: {error}"));
    let response = POOL.get(uri).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    let status = response.status();
    let body = response.into_body().collect().await.unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(status, 200, "{path}");
    String::from_utf8_lossy(&body.to_bytes()).into_owned()
}
