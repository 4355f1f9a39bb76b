//! The upstream's side of one HTTP/1.1 connection.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{Answer, Record};
use crate::request::chunk;
use crate::wire::{MessageReader, Side};

pub(super) async fn serve(stream: TcpStream, record: Record) {
    let connection = record.connection();
    let mut reader = MessageReader::new(stream);
    loop {
        let arrived = |bytes: &[u8]| record.note(|log| log.under_way[connection] = bytes.to_vec());
        let request = reader.next(Side::Request, arrived).await;
        record.note(|log| log.under_way[connection].clear());
        match request {
            Ok(Some(request)) => {
                let response = response(request.head.method(), &(record.script)(&request));
                // Noted before it is answered: whoever has the response finds the request here.
                record.note(|log| log.whole.push(request));
                if reader.get_mut().write_all(&response).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(broken) => return record.note(|log| log.broken.push(*broken)),
        }
    }
}

fn response(method: &str, answer: &Answer) -> Vec<u8> {
    let framing = match answer.trailers.as_slice() {
        [] => format!("content-length: {}", answer.body.len()),
        _ => "transfer-encoding: chunked".to_owned(),
    };
    let mut head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n");
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = match answer.trailers.as_slice() {
        _ if method == "HEAD" => Vec::new(),
        [] => answer.body.clone(),
        trailers => {
            let trailers: String = trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            [chunk(&answer.body).as_slice(), b"0\r\n", trailers.as_bytes(), b"\r\n"].concat()
        }
    };
    [head.as_bytes(), b"\r\n", &body].concat()
}
