//! The body of an answer, given out in pieces, so that it is known how far the client has taken it.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use super::UnderWay;

/// The most bytes of a piece, the default size of an HTTP/2 frame. Of an answer that a client of HTTP/2 does not take,
/// HTTP/2 holds one piece at most.
const PIECE: usize = 16 << 10;

/// An answer's body. The request is under way until it is taken to its end or dropped.
pub(crate) struct Answer {
    body: Body,
    /// What is left of the body's present frame.
    rest: Bytes,
    request: UnderWay,
}

impl Answer {
    pub(crate) fn new(body: Body, request: UnderWay) -> Self {
        let mut traffic = request.0.lock();
        traffic.answering += 1;
        traffic.taken = Instant::now();
        drop(traffic);
        Self { body, rest: Bytes::new(), request }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.request.0.lock().answering -= 1;
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            let Some(frame) = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx)?) else {
                return Poll::Ready(None);
            };
            match frame.into_data() {
                Ok(data) => this.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        this.request.0.lock().taken = Instant::now();
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, mut hint) = (self.rest.len() as u64, self.body.size_hint());
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use hyper::body::Body as _;
    use tokio_util::sync::CancellationToken;

    use super::super::Connection;
    use super::*;

    #[tokio::test]
    async fn it_comes_in_pieces_and_tells_its_length_throughout() {
        let connection = Connection::new(&CancellationToken::new());
        let bytes: Vec<u8> = (0..2 * PIECE + 5).map(|index| index as u8).collect();
        let mut answer = Answer::new(Body::from(bytes.clone()), connection.begin());
        let counts = || {
            let traffic = connection.traffic.lock();
            (traffic.under_way, traffic.answering)
        };
        assert_eq!(counts(), (1, 1));
        let mut taken = Vec::new();
        for length in [PIECE, PIECE, 5] {
            assert!(!answer.is_end_stream());
            assert_eq!(answer.size_hint().exact(), Some((bytes.len() - taken.len()) as u64));
            let piece = answer.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(piece.len(), length);
            taken.extend_from_slice(&piece);
        }
        assert!(answer.is_end_stream() && answer.frame().await.is_none());
        assert_eq!(taken, bytes);
        drop(answer);
        assert_eq!(counts(), (0, 0));
    }
}
