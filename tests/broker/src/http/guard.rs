//! What keeps other sites' pages from using a browser that can reach the admin port.

use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Response, Uri, header};
use axum::middleware::Next;
use std::net::IpAddr;

use super::{body, error};

/// Lets a request through if it names this broker by an address or as localhost, and if a page that sends it is this
/// broker's own. A site whose name is made to lead here is known by that name, and a foreign site by its origin.
pub(super) async fn same_origin(request: Request, next: Next) -> Response<Body> {
    match check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(reason) => {
            let (parts, unread) = request.into_parts();
            body::discard_unread(unread, &parts.headers).await;
            error::forbidden(reason)
        }
    }
}

/// The same for requests that change something; others are let through.
pub(super) async fn same_origin_to_change(request: Request, next: Next) -> Response<Body> {
    if request.method().is_safe() { next.run(request).await } else { same_origin(request, next).await }
}

fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    // HTTP/2 has the host in the target.
    let host = match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => text(header::HOST).and_then(|host| host.parse::<Authority>().ok()),
    };
    let Some(host) = host.filter(|host| is_local(host.host())) else {
        return Err("the Host is neither an IP address nor localhost, by which alone the admin port may be used here");
    };
    match text(header::ORIGIN) {
        Some(origin) if !is_of(origin, &host) => Err("the Origin is not the admin port itself"),
        _ => Ok(()),
    }
}

/// A browser that was given one of these as a name has not asked a name server, which an attacker may own.
fn is_local(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

fn is_of(origin: &str, host: &Authority) -> bool {
    let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    site.is_some_and(|site| site.eq_ignore_ascii_case(host.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(host: Option<&str>, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        check(&Uri::from_static("/admin/faults"), &headers).is_ok()
    }

    #[test]
    fn a_host_is_an_address_or_localhost() {
        for host in ["127.0.0.1:8081", "127.0.0.1", "localhost:8081", "LOCALHOST", "[::1]:8081", "192.0.2.7:80"] {
            assert!(verdict(Some(host), None), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:8081", "localhost.evil.example", "", "a b", "127.1.evil"] {
            assert!(!verdict(Some(host), None), "{host}");
        }
        assert!(!verdict(None, None));
    }

    #[test]
    fn an_origin_is_that_of_the_host() {
        let host = Some("127.0.0.1:8081");
        for origin in ["http://127.0.0.1:8081", "https://127.0.0.1:8081"] {
            assert!(verdict(host, Some(origin)), "{origin}");
        }
        for origin in
            ["http://evil.example", "null", "", "http://127.0.0.1:8080", "http://127.0.0.1", "http://localhost:8081"]
        {
            assert!(!verdict(host, Some(origin)), "{origin}");
        }
    }
}
