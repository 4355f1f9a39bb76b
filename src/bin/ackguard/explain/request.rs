//! A request as it came over the wire: HTTP/1.1, its lines ended by CRLF or by a bare LF, and its body.

use ackguard::http::RequestHead;
use httparse::Status;

/// The most headers, as Envoy has it by default.
const MAX_HEADERS: usize = 100;

/// A request, read.
#[derive(Debug)]
pub(crate) struct RawRequest {
    /// The method and the target as they were written.
    pub(crate) line: (String, String),
    /// The headers as they were written.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// What was put right on the way, for whoever wrote the request by hand.
    pub(crate) notes: Vec<String>,
}

impl RawRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// When it is none; the text says why.
    pub(crate) fn parse(bytes: &[u8]) -> Result<RawRequest, String> {
        let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut slots);
        let length = match request.parse(bytes) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return Err("the head has no end; expected an empty line behind it".to_owned()),
            Err(fault) => return Err(format!("not an HTTP/1.1 request: {fault}")),
        };
        let headers = request.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect();
        let line = (request.method.unwrap_or_default().to_owned(), request.path.unwrap_or_default().to_owned());
        let body = bytes.get(length..).unwrap_or_default().to_vec();
        let mut request = RawRequest { line, headers, body, notes: Vec::new() };
        request.fit_length();
        Ok(request)
    }

    /// Ends the body where its `content-length` says. A body that is shorter is taken for whole.
    fn fit_length(&mut self) {
        let Some(length) = self.header("content-length") else { return };
        let Some(length) = std::str::from_utf8(length).ok().and_then(|length| length.trim().parse::<usize>().ok())
        else {
            return;
        };
        let held = self.body.len();
        if held > length {
            let rest = self.body.split_off(length);
            if !rest.iter().all(u8::is_ascii_whitespace) {
                self.notes.push(format!("content-length: {length}; the {} bytes behind are left out", rest.len()));
            }
        } else if held < length {
            self.notes.push(format!("content-length: {length}; taken for {held}, which is what follows"));
            for (name, value) in &mut self.headers {
                if name.eq_ignore_ascii_case("content-length") {
                    *value = held.to_string().into_bytes();
                }
            }
        }
    }

    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// The head as Envoy shows it to the filter.
    pub(crate) fn head(&self, scheme: &str) -> RequestHead {
        let (method, target) = &self.line;
        head(method, target, scheme, self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())))
    }
}

/// A head as Envoy shows it to the filter: pseudo-headers first, names in lower case, `host` as `:authority`.
pub(crate) fn head<'h>(
    method: &str,
    target: &str,
    scheme: &str,
    headers: impl Iterator<Item = (&'h str, &'h [u8])> + Clone,
) -> RequestHead {
    let (authority, path) = absolute(target);
    let named = |wanted: &str| headers.clone().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let host = named(":authority").or_else(|| named("host")).map(|(_, value)| value.to_vec());
    let mut all = vec![
        (":method".to_owned(), method.as_bytes().to_vec()),
        (":path".to_owned(), path.as_bytes().to_vec()),
        (":scheme".to_owned(), scheme.as_bytes().to_vec()),
        (":authority".to_owned(), authority.map(|name| name.as_bytes().to_vec()).or(host).unwrap_or_default()),
    ];
    let others = headers.filter(|(name, _)| !name.starts_with(':') && !name.eq_ignore_ascii_case("host"));
    all.extend(others.map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())));
    RequestHead::new(all)
}

/// The host and the path of a target in absolute form, as proxies and HAR files have it; any other is a path.
fn absolute(target: &str) -> (Option<&str>, &str) {
    let Some((_, rest)) =
        target.split_once("://").filter(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    else {
        return (None, target);
    };
    match rest.find(['/', '?']) {
        Some(end) => {
            let (authority, path) = rest.split_at(end);
            (Some(authority), path)
        }
        None => (Some(rest), "/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_either_way_and_the_body_is_as_it_came() {
        for end in ["\r\n", "\n"] {
            let text = format!("POST /tmq/v1/x?y HTTP/1.1{end}Host: mq{end}X-Test: a: b{end}{end}{{\r\n}}\n");
            let request = RawRequest::parse(text.as_bytes()).unwrap();
            assert_eq!(request.line, ("POST".to_owned(), "/tmq/v1/x?y".to_owned()));
            assert_eq!(request.body, b"{\r\n}\n");
            let head = request.head("https");
            let of = |name: &str| String::from_utf8_lossy(head.get(name).unwrap_or_default()).into_owned();
            assert_eq!([of(":authority"), of(":scheme"), of("x-test")], ["mq", "https", "a: b"]);
            assert_eq!(head.path(), b"/tmq/v1/x");
        }
    }

    #[test]
    fn a_body_has_the_length_that_it_says_or_all_that_there_is() {
        for (length, body, taken, notes) in
            [(2, "{}\n", "{}", 0), (2, "{}{}", "{}", 1), (9, "{}", "{}", 1), (2, "{}", "{}", 0)]
        {
            let text = format!("POST / HTTP/1.1\nContent-Length: {length}\n\n{body}");
            let request = RawRequest::parse(text.as_bytes()).unwrap();
            assert_eq!((request.body.as_slice(), request.notes.len()), (taken.as_bytes(), notes), "{length} {body}");
            assert_eq!(request.header("content-length"), Some(&b"2"[..]));
        }
    }

    #[test]
    fn what_is_no_request_is_told() {
        for text in ["", "POST / HTTP/1.1\n", "{\"topic\":\"orders\"}\n\n", "POST /\n\n"] {
            assert!(RawRequest::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_target_may_name_its_host() {
        for (target, expected) in [
            ("http://mq:80/tmq?x", (Some("mq:80"), "/tmq?x")),
            ("https://mq", (Some("mq"), "/")),
            ("/a?b=http://c/", (None, "/a?b=http://c/")),
        ] {
            assert_eq!(absolute(target), expected);
        }
    }
}
