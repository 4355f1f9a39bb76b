//! A raw HTTP/1.1 client: it writes the bytes that it is given, when it is told.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use stack::PATIENCE;

use crate::message::Message;
use crate::wire::{MessageReader, Side};

/// A connection. It is closed when this is dropped.
#[derive(Debug)]
pub struct Http1Client {
    reader: MessageReader<TcpStream>,
}

impl Http1Client {
    /// Connects.
    ///
    /// # Panics
    /// Where nobody listens.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_nodelay(true).expect("a connected socket takes TCP_NODELAY");
        Http1Client { reader: MessageReader::new(stream) }
    }

    /// Sends `bytes`. A gateway that has answered may have closed its side: such a failure shows in the response.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.reader.get_mut().write_all(bytes).await;
    }

    /// Tells the other side that nothing more will come.
    pub async fn half_close(&mut self) {
        let _ = self.reader.get_mut().shutdown().await;
    }

    /// The next response, to a request of `method`.
    ///
    /// # Panics
    /// Where none comes whole.
    pub async fn response_to(&mut self, method: &str) -> Message {
        let side = if matches!(method, "HEAD" | "CONNECT") { Side::BodilessResponse } else { Side::Response };
        match timeout(PATIENCE, self.reader.next(side, |_| ())).await {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => panic!("the connection ended without a response"),
            Ok(Err(broken)) => panic!("half a response: {broken:?}"),
            Err(_) => panic!("no response"),
        }
    }

    /// The next response, of a request with neither `HEAD` nor `CONNECT`.
    ///
    /// # Panics
    /// Where none comes whole.
    pub async fn response(&mut self) -> Message {
        self.response_to("POST").await
    }

    /// Whether the other side ends the connection without another response.
    pub async fn is_closed(&mut self) -> bool {
        matches!(timeout(PATIENCE, self.reader.next(Side::Response, |_| ())).await, Ok(Ok(None)))
    }
}
