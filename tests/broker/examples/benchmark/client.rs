//! A lean HTTP/1.1 client: it shares the machine with the broker, and what it uses the broker cannot.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::Failure;

/// One connection, kept open.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    request: Vec<u8>,
    body: Vec<u8>,
    line: String,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), request: Vec::new(), body: Vec::new(), line: String::new() })
    }

    /// Sends one request and returns the body of its answer, which must be a success.
    pub(crate) async fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<&[u8], Failure> {
        self.request.clear();
        let head = format!("{method} /tmq/v1{path} HTTP/1.1\r\nhost: broker\r\ncontent-length: {}\r\n\r\n", body.len());
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        let status = self.read_line().await?.split(' ').nth(1).map(str::to_owned).unwrap_or_default();
        let mut length = 0;
        loop {
            let line = self.read_line().await?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).await?;
        if status.starts_with('2') {
            Ok(&self.body)
        } else {
            Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&self.body)).into())
        }
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Result<&[u8], Failure> {
        self.send("POST", path, body.as_bytes()).await
    }

    async fn read_line(&mut self) -> Result<&str, Failure> {
        self.line.clear();
        if self.stream.read_line(&mut self.line).await? == 0 {
            return Err("the broker closed the connection".into());
        }
        Ok(self.line.trim_end())
    }
}
