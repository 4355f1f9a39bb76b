//! An HTTP/2 client without TLS.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use stack::PATIENCE;

use crate::message::Message;
use crate::upstream::Received;

/// What a request over HTTP/2 came to.
#[derive(Debug)]
pub enum Http2Answer {
    /// A response.
    Response(Message),
    /// A stream that was reset, and why.
    Reset(h2::Error),
}

/// A connection. It is closed when this is dropped.
#[derive(Debug)]
pub struct Http2Client {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<()>,
}

impl Http2Client {
    /// Connects.
    ///
    /// # Panics
    /// Where nobody listens that speaks HTTP/2.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        let (requests, connection) = h2::client::handshake(stream).await.expect("a server that speaks HTTP/2");
        let connection = tokio::spawn(async move {
            // Its end shows in the streams.
            let _ = connection.await;
        });
        Http2Client { requests, connection }
    }

    /// Sends a request with a body of `pieces`, one frame each, and `trailers`; returns what came of it.
    ///
    /// # Panics
    /// Where nothing comes.
    pub async fn exchange(&mut self, head: Request<()>, pieces: &[&[u8]], trailers: Option<HeaderMap>) -> Http2Answer {
        match timeout(PATIENCE, self.attempt(head, pieces, trailers)).await {
            Ok(Ok(response)) => Http2Answer::Response(response),
            Ok(Err(error)) => Http2Answer::Reset(error),
            Err(_) => panic!("no response"),
        }
    }

    async fn attempt(
        &mut self,
        head: Request<()>,
        pieces: &[&[u8]],
        trailers: Option<HeaderMap>,
    ) -> Result<Message, h2::Error> {
        let mut requests = self.requests.clone().ready().await?;
        let bodiless = pieces.is_empty() && trailers.is_none();
        let (response, mut body) = requests.send_request(head, bodiless)?;
        for (index, piece) in pieces.iter().enumerate() {
            let last = index + 1 == pieces.len() && trailers.is_none();
            body.send_data(Bytes::copy_from_slice(piece), last)?;
        }
        if let Some(trailers) = trailers {
            body.send_trailers(trailers)?;
        }
        let (parts, body) = response.await?.into_parts();
        let mut received = Received::new(format!("HTTP/2 {}", parts.status.as_u16()), &parts.headers, &body);
        received.read(body).await?;
        Ok(received.message)
    }
}

impl Drop for Http2Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
