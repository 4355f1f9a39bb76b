//! The admin port: the live page, the ledger, faults, metrics, health.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::routing::{delete, get};
use axum::{Router, middleware};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::{App, body, error, guard, health, json, page};
use crate::error::Error;

/// The largest body of a request to the admin port, in bytes.
const MAX_BODY_BYTES: usize = 64 << 10;

/// The admin port's paths.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/admin/ledger", get(ledger))
        .route("/admin/faults", get(list_faults).post(add_faults).delete(clear_faults))
        .route("/admin/faults/{id}", delete(remove_fault))
        .route("/metrics", get(metrics))
        .route(health::PATH, get(well))
        .merge(page::router())
        .fallback(async || error::response(&Error::NoRoute))
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn(guard::same_origin_to_change))
        .with_state(app)
}

async fn not_allowed(method: Method, uri: Uri) -> Response<Body> {
    let allowed = match uri.path() {
        "/admin/faults" => "GET, HEAD, POST, DELETE",
        path if path.starts_with("/admin/faults/") => "DELETE",
        _ => "GET, HEAD",
    };
    error::response(&Error::Method { method: method.to_string(), allowed })
}

async fn well(State(app): State<Arc<App>>) -> Response<Body> {
    app.health()
}

#[derive(Deserialize, Serialize)]
struct FaultList {
    faults: Vec<Fault>,
}

/// Whether a body is a list of faults, whatever is in the list.
#[derive(Deserialize)]
struct ListOrOne {
    faults: Option<IgnoredAny>,
}

async fn ledger(State(app): State<Arc<App>>) -> Response<Body> {
    match app.broker.ledger().await {
        Ok(ledger) => json(StatusCode::OK, &ledger),
        Err(unknown) => error::response(&unknown),
    }
}

async fn list_faults(State(app): State<Arc<App>>) -> Response<Body> {
    json(StatusCode::OK, &FaultList { faults: app.faults.list() })
}

/// Adds the one fault of the body, or each of its list `faults`.
async fn add_faults(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response<Body> {
    let added = async {
        let bytes: Bytes = body::read(body, &headers, MAX_BODY_BYTES).await?;
        let faults = match body::parse::<ListOrOne>(&bytes)?.faults {
            Some(IgnoredAny) => body::parse::<FaultList>(&bytes)?.faults,
            None => vec![body::parse::<Fault>(&bytes)?],
        };
        app.faults.add(faults)
    };
    match added.await {
        Ok(()) => json(StatusCode::OK, &FaultList { faults: app.faults.list() }),
        Err(refused) => error::response(&refused),
    }
}

async fn clear_faults(State(app): State<Arc<App>>) -> Response<Body> {
    app.faults.clear();
    json(StatusCode::OK, &FaultList { faults: Vec::new() })
}

/// Takes one fault away. One that is gone already is no error: it is as it was asked for.
async fn remove_fault(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response<Body> {
    let Ok(id) = id.parse() else { return error::response(&Error::NoRoute) };
    app.faults.remove(id);
    json(StatusCode::OK, &FaultList { faults: app.faults.list() })
}

async fn metrics(State(app): State<Arc<App>>) -> Response<Body> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match app.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
