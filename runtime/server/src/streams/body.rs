//! The far end of a stream: a body whose end says whether it is whole.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue};
use hyper::body::Frame;
use thiserror::Error;
use tokio::sync::mpsc::Receiver;
use warehouse::{Cut, Exported};

use super::{CancelOnDrop, Message, TRUNCATED};

/// Breaks the connection: what was sent must not be taken for the whole.
#[derive(Debug, Error)]
pub(super) enum Broken {
    /// The query ended early.
    #[error("a streamed answer failed: {0}")]
    Failed(String),
    /// A limit cut it, and there is no other way to say so.
    #[error("a streamed answer was cut by the limit of {}", .0.as_str())]
    Cut(Cut),
}

/// What of an end has to be told.
type IsCut = Box<dyn Fn(Exported) -> Option<Cut> + Send>;

/// Pieces as they come.
pub(super) struct Pieces {
    first: Option<Bytes>,
    receiver: Receiver<Message>,
    reads_trailers: bool,
    is_cut: IsCut,
    trailer: Option<Cut>,
    ended: bool,
    _gone: CancelOnDrop,
}

impl Pieces {
    pub(super) fn new(
        first: Bytes,
        receiver: Receiver<Message>,
        reads_trailers: bool,
        is_cut: IsCut,
        gone: CancelOnDrop,
    ) -> Self {
        Self {
            first: Some(first),
            receiver,
            reads_trailers,
            is_cut,
            trailer: None,
            ended: false,
            _gone: gone,
        }
    }

    fn end(&mut self, exported: Exported) -> Result<(), Broken> {
        self.ended = true;
        match (self.is_cut)(exported) {
            Some(cut) if !self.reads_trailers => Err(Broken::Cut(cut)),
            _ => {
                self.trailer = exported.cut.filter(|_| self.reads_trailers);
                Ok(())
            }
        }
    }

    fn next(&mut self, message: Option<Message>) -> Option<Result<Bytes, Broken>> {
        let broken = match message {
            Some(Message::Piece(piece)) => return Some(Ok(piece)),
            Some(Message::End(rest, Ok(exported))) => match self.end(exported) {
                Ok(()) => return Some(Ok(rest)),
                Err(broken) => broken,
            },
            Some(Message::End(_, Err(error))) => Broken::Failed(error.to_string()),
            None => Broken::Failed("it was given up".to_owned()),
        };
        self.ended = true;
        tracing::debug!(%broken, "a streamed answer is broken off: {broken}");
        Some(Err(broken))
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.ended {
            let trailers = self.trailer.take().map(|cut| {
                let value = HeaderValue::from_static(cut.as_str());
                Ok(Frame::trailers(HeaderMap::from_iter([(TRUNCATED, value)])))
            });
            return Poll::Ready(trailers);
        }
        let message = ready!(self.receiver.poll_recv(context));
        let next = self.next(message);
        Poll::Ready(next.map(|piece| piece.map(Frame::data)))
    }
}
