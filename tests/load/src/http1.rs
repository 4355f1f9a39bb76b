//! HTTP/1.1 messages as bytes, for what must cost little beside what it measures: a message is rendered once, and of one that
//! comes in nothing is kept but what is asked of its head, and where it ends.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use httparse::{EMPTY_HEADER, Header, Status};
use hyper::Request;

/// More headers than Envoy adds to any message here.
const HEADERS: usize = 64;
/// The end of a line.
const CRLF: &str = "\r\n";

/// Bytes that are no message whose end could be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// The head is none.
    #[error("not HTTP/1.1: {0}")]
    Head(#[from] httparse::Error),
    /// The body is to come in chunks, and one has no length.
    #[error("a chunk without a length")]
    Chunk,
    /// Nothing tells where the body ends.
    #[error("an answer without a length")]
    Length,
}

/// `request` as it goes over a connection.
pub(crate) async fn render(request: Request<Full<Bytes>>) -> Vec<u8> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await;
    let body = body.to_bytes();
    let mut bytes = format!("{} {} HTTP/1.1{CRLF}", head.method, head.uri).into_bytes();
    for (name, value) in &head.headers {
        let line = [name.as_str().as_bytes(), b": ", value.as_bytes(), CRLF.as_bytes()];
        bytes.extend(line.concat());
    }
    bytes.extend(format!("content-length: {}{CRLF}{CRLF}", body.len()).bytes());
    bytes.extend(&body);
    bytes
}

/// The path of the request that `bytes` begin with, and its length. `None` where it is not whole.
///
/// # Errors
/// Where it cannot become one.
pub(crate) fn request(bytes: &[u8]) -> Result<Option<(&str, usize)>, Malformed> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let Status::Complete(head) = request.parse(bytes)? else { return Ok(None) };
    let body = body(request.headers, &bytes[head..], Some(0))?;
    Ok(body.map(|body| (request.path.unwrap_or_default(), head + body)))
}

/// The status of the answer that `bytes` begin with, and its length. `None` where it is not whole.
///
/// # Errors
/// Where it cannot become one.
pub(crate) fn answer(bytes: &[u8]) -> Result<Option<(u16, usize)>, Malformed> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let Status::Complete(head) = answer.parse(bytes)? else { return Ok(None) };
    let body = body(answer.headers, &bytes[head..], None)?;
    Ok(body.map(|body| (answer.code.unwrap_or_default(), head + body)))
}

/// The length of the body that `bytes` begin with; `otherwise` it is that long. `None` where it is not whole.
fn body(headers: &[Header<'_>], bytes: &[u8], otherwise: Option<usize>) -> Result<Option<usize>, Malformed> {
    let value = |name: &str| headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    if value("transfer-encoding").is_some() {
        return chunks(bytes);
    }
    let told = value("content-length").and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let length = told.or(otherwise).ok_or(Malformed::Length)?;
    Ok((bytes.len() >= length).then_some(length))
}

/// The same of one in chunks, without trailers.
fn chunks(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut end = 0;
    while let Some(rest) = bytes.get(end..) {
        let Ok(status) = httparse::parse_chunk_size(rest) else { return Err(Malformed::Chunk) };
        let Status::Complete((line, length)) = status else { break };
        end += line + length as usize + CRLF.len();
        if length == 0 {
            return Ok((bytes.len() >= end).then_some(end));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it says of each beginning of `bytes` but the whole.
    fn parts<T: PartialEq + std::fmt::Debug>(bytes: &[u8], of: fn(&[u8]) -> Result<Option<T>, Malformed>) {
        for end in 0..bytes.len() {
            assert_eq!(of(&bytes[..end]), Ok(None), "{end} bytes");
        }
    }

    #[tokio::test]
    async fn a_request_that_was_rendered_is_read_and_ends_where_it_ends() {
        let mut asked = Request::post("/a/b:ack").header("host", "queue.test").body(Full::from("{}")).unwrap();
        asked.headers_mut().insert("x-a", "1".parse().unwrap());
        let bytes = render(asked).await;
        let expected = "POST /a/b:ack HTTP/1.1\r\nhost: queue.test\r\nx-a: 1\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
        parts(&bytes, |bytes| request(bytes).map(|whole| whole.map(|(_, end)| end)));
        let more = [&bytes[..], b"POST"].concat();
        assert_eq!(request(&more), Ok(Some(("/a/b:ack", bytes.len()))));
    }

    #[test]
    fn a_body_in_chunks_ends_with_the_empty_one() {
        let head = b"HTTP/1.1 503 Sorry\r\nTransfer-Encoding: chunked\r\n\r\n";
        let bytes = [&head[..], b"5\r\n0\r\n\r\n\r\n", b"10\r\n0123456789abcdef\r\n0\r\n\r\n"].concat();
        parts(&bytes, answer);
        assert_eq!(answer(&bytes), Ok(Some((503, bytes.len()))));
        assert_eq!(answer(&[&head[..], b"many\r\n"].concat()), Err(Malformed::Chunk));
    }

    #[test]
    fn a_request_without_a_length_has_no_body_and_an_answer_without_one_no_end() {
        let asked = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        assert_eq!(request(asked), Ok(Some(("/", asked.len()))));
        assert_eq!(answer(b"HTTP/1.1 200 OK\r\n\r\n"), Err(Malformed::Length));
        assert!(matches!(answer(b"SSH-2.0\r\n"), Err(Malformed::Head(_))));
    }
}
