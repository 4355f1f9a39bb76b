//! The upstream's side of one HTTP/1.1 connection.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{Answer, Record};
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
    let mut head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", answer.body.len());
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = if method == "HEAD" { &[] } else { answer.body.as_slice() };
    [head.as_bytes(), b"\r\n", body].concat()
}
