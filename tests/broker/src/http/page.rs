//! The live page of the admin port: its files, and what it polls.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::middleware;
use axum::routing::get;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::{App, error, guard, json};
use crate::broker::{Filter, Inspection};
use crate::error::Error;

/// Nothing but the broker's own files and answers; nothing written in the page itself; and no text as markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // Another release may answer the next request.
    (header::CACHE_CONTROL, "no-store"),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The page's paths. Message bodies are read here, so no other site's page may.
pub(super) fn router() -> Router<Arc<App>> {
    let mut router = Router::new().route("/snapshot", get(snapshot)).route("/dead-letters", get(dead_letters));
    for (path, kind, text) in [
        ("/", HTML, include_str!("page/page.html")),
        ("/page.css", CSS, include_str!("page/page.css")),
        ("/page.js", SCRIPT, include_str!("page/page.js")),
        ("/table.js", SCRIPT, include_str!("page/table.js")),
        ("/sections.js", SCRIPT, include_str!("page/sections.js")),
        ("/faults.js", SCRIPT, include_str!("page/faults.js")),
        ("/icon.svg", SVG, include_str!("page/icon.svg")),
    ] {
        router = router.route(path, get(async move || ([(header::CONTENT_TYPE, kind)], text)));
    }
    router.layer(middleware::map_response(add_headers)).layer(middleware::from_fn(guard::same_origin))
}

async fn add_headers(mut response: Response<Body>) -> Response<Body> {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[derive(Deserialize)]
struct Rows {
    /// What a name or an id has to contain.
    #[serde(default)]
    filter: String,
}

#[derive(Serialize)]
struct Snapshot {
    #[serde(flatten)]
    inspection: Inspection,
    faults: Vec<Fault>,
}

/// The filter of a query.
fn filter(rows: Result<Query<Rows>, QueryRejection>) -> Result<Filter, Error> {
    match rows {
        Ok(Query(rows)) => Ok(Filter::new(&rows.filter)),
        Err(rejected) => Err(Error::Unreadable(rejected.body_text())),
    }
}

async fn snapshot(State(app): State<Arc<App>>, rows: Result<Query<Rows>, QueryRejection>) -> Response<Body> {
    let filter = match filter(rows) {
        Ok(filter) => filter,
        Err(refused) => return error::response(&refused),
    };
    let inspection = app.broker.inspect(&filter);
    json(StatusCode::OK, &Snapshot { inspection, faults: app.faults.list() })
}

async fn dead_letters(State(app): State<Arc<App>>, rows: Result<Query<Rows>, QueryRejection>) -> Response<Body> {
    let filter = match filter(rows) {
        Ok(filter) => filter,
        Err(refused) => return error::response(&refused),
    };
    let read = move || json(StatusCode::OK, &app.broker.dead_letters(&filter));
    match tokio::task::spawn_blocking(read).await {
        Ok(response) => response,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use crate::http::operation::Operation;

    #[test]
    fn the_page_offers_a_fault_for_every_operation() {
        let page = include_str!("page/page.html");
        for operation in Operation::ALL.iter().filter(|operation| **operation != Operation::Unknown) {
            let option = format!("<option>{}</option>", operation.as_str());
            assert!(page.contains(&option), "{option}");
        }
    }
}
