//! Who may use the admin port by way of a browser.

use axum::body::Body;
use axum::http::{Method, Request};

use crate::broker::{Broker, send};

const FAULT: &str = r#"{"operation":"ack","kind":"reset"}"#;

/// The status of a request with these headers.
async fn status(broker: &Broker, method: &Method, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let uri = format!("http://{}{path}", broker.server.admin());
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (status, text) = send(&broker.client, request.body(Body::from(FAULT)).unwrap()).await;
    (status.as_u16(), text)
}

#[tokio::test]
async fn another_sites_page_changes_nothing_and_reads_no_messages() {
    let broker = Broker::start().await;
    let foreign = [
        [("host", "127.0.0.1:1"), ("origin", "http://evil.example")],
        [("host", "127.0.0.1:1"), ("origin", "null")],
        [("host", "evil.example"), ("origin", "http://evil.example")],
        [("host", "evil.example"), ("accept", "*/*")],
    ];
    for headers in foreign {
        for (method, path) in [
            (Method::POST, "/admin/faults"),
            (Method::DELETE, "/admin/faults"),
            (Method::DELETE, "/admin/faults/0"),
            (Method::GET, "/snapshot"),
            (Method::GET, "/dead-letters"),
        ] {
            let (status, text) = status(&broker, &method, path, &headers).await;
            assert_eq!(status, 403, "{method} {path} {headers:?}");
            assert!(
                text.contains(r#""code":"Forbidden""#) && (text.contains("Host") || text.contains("Origin")),
                "{text}"
            );
        }
    }
    assert_eq!(broker.admin("/admin/faults").await["faults"], serde_json::json!([]));
}

#[tokio::test]
async fn scripts_and_scrapers_are_let_in() {
    let broker = Broker::start().await;
    // A scraper knows the broker by whatever name it has in its network.
    for path in ["/metrics", "/healthz", "/admin/ledger", "/admin/faults"] {
        assert_eq!(status(&broker, &Method::GET, path, &[("host", "broker.internal:8081")]).await.0, 200, "{path}");
    }
    for headers in [&[][..], &[("host", "localhost:7")], &[("host", "[::1]:7"), ("origin", "http://[::1]:7")]] {
        assert_eq!(status(&broker, &Method::POST, "/admin/faults", headers).await.0, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn a_fault_has_a_number_and_no_other_name() {
    let broker = Broker::start().await;
    assert_eq!(status(&broker, &Method::DELETE, "/admin/faults/first", &[]).await.0, 404);
    assert_eq!(status(&broker, &Method::DELETE, "/admin/faults/7", &[]).await.0, 200, "it is not set, as asked");
    assert_eq!(status(&broker, &Method::GET, "/admin/faults/7", &[]).await.0, 405);
    assert_eq!(status(&broker, &Method::GET, "/snapshot?filter=a&filter=b", &[]).await.0, 400);
}
