//! The upstream's side of one HTTP/2 connection.

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Record;
use crate::message::{Framing, Head, Headers, Message};
use crate::wire::Broken;

pub(super) async fn serve(stream: TcpStream, record: Record) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut streams = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        streams.spawn(exchange(request, respond, record.clone()));
    }
    while streams.join_next().await.is_some() {}
}

async fn exchange(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, record: Record) {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let start = format!("{} {path} HTTP/2", parts.method);
    let mut received = Received::new(start, &parts.headers, &body);
    let end = received.read(body).await;
    let request = received.message;
    match end {
        Ok(()) => {
            let answer = (record.script)(&request);
            record.note(|log| log.whole.push(request));
            let mut response = Response::builder().status(200);
            for (name, value) in &answer.headers {
                response = response.header(*name, value);
            }
            let head = response.body(()).expect("a script's headers are headers");
            // A client that has gone wants no answer.
            if let Ok(mut stream) = respond.send_response(head, false) {
                let _ = stream.send_data(answer.body.into(), answer.trailers.is_empty());
                let mut trailers = HeaderMap::new();
                for (name, value) in answer.trailers {
                    trailers.insert(name, HeaderValue::from_static(value));
                }
                if !trailers.is_empty() {
                    let _ = stream.send_trailers(trailers);
                }
            }
        }
        Err(error) => {
            let (head, body) = (Some(request.head), request.body);
            let broken = Broken { raw: Vec::new(), head, body, cause: error.to_string() };
            record.note(|log| log.broken.push(broken));
        }
    }
}

/// The message of an HTTP/2 stream, as far as it was received.
pub(crate) struct Received {
    pub(crate) message: Message,
}

impl Received {
    /// A message of which the head is there.
    pub(crate) fn new(start: String, head: &HeaderMap, stream: &RecvStream) -> Self {
        let framing = if stream.is_end_stream() { Framing::Absent } else { Framing::End };
        let head = Head { start, headers: headers(head) };
        Received { message: Message { raw: Vec::new(), head, framing, body: Vec::new(), trailers: Headers::default() } }
    }

    /// Reads body and trailers to the end; an error where the stream ends before the message does.
    pub(crate) async fn read(&mut self, mut stream: RecvStream) -> Result<(), h2::Error> {
        while let Some(data) = stream.data().await {
            let data = data?;
            stream.flow_control().release_capacity(data.len())?;
            self.message.body.extend_from_slice(&data);
        }
        self.message.trailers = stream.trailers().await?.map(|trailers| headers(&trailers)).unwrap_or_default();
        Ok(())
    }
}

fn headers(map: &HeaderMap) -> Headers {
    Headers(map.iter().map(|(name, value)| (name.as_str().into(), value.as_bytes().into())).collect())
}
