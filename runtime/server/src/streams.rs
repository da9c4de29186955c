//! Answers of any size on their way to a client: encoded on a thread of their own, handed over a few pieces at a time,
//! and stopped when the client goes away. An answer that fails or is cut is never ended like a whole one.

mod body;
mod pipe;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, TE, TRAILER};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use domain::Cancel;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use warehouse::{Cut, Exported, QueryError};

use crate::app::AppState;
use crate::error::{ApiError, ApiResult};
use body::Pieces;
use pipe::Pipe;

/// Says by which limit an answer was cut: `rows` or `bytes`.
pub(crate) const TRUNCATED: HeaderName = HeaderName::from_static("x-sluice-truncated");

/// Pieces that wait for the client; with the one that is being made they are all that is held of an answer.
const WAITING: usize = 4;

/// What a stream's thread says.
#[derive(Debug)]
enum Message {
    Piece(Bytes),
    /// The last piece, and how it went.
    End(Bytes, Result<Exported, QueryError>),
}

/// How many answers are streamed.
#[derive(Debug)]
pub(crate) struct Streams(Arc<Semaphore>);

impl Streams {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }
}

/// What is to be streamed.
pub(crate) struct Stream<W> {
    /// Its media type.
    pub(crate) content_type: &'static str,
    /// Whether the client reads what stands behind a body.
    pub(crate) reads_trailers: bool,
    /// Whether the limit of rows is the client's own, so that being cut by it is the whole answer.
    pub(crate) own_limit: bool,
    /// When it is given up, wherever it is.
    pub(crate) timeout: Duration,
    /// Set when the client goes away.
    pub(crate) cancel: Cancel,
    /// Makes the answer.
    pub(crate) work: W,
    /// Learns how many bytes it had.
    pub(crate) done: Box<dyn FnOnce(u64) + Send>,
}

/// Cancels a query when what waits for it is gone.
#[derive(Debug)]
pub(crate) struct CancelOnDrop(pub(crate) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Whether a client says that it reads trailers.
pub(crate) fn reads_trailers(headers: &HeaderMap) -> bool {
    let listed = headers.get_all(TE).iter().filter_map(|te| te.to_str().ok());
    listed
        .flat_map(|te| te.split(','))
        .any(|te| te.trim().eq_ignore_ascii_case("trailers"))
}

impl<W> Stream<W>
where
    W: FnOnce(&AppState, &mut (dyn Write + Send)) -> Result<Exported, QueryError> + Send + 'static,
{
    /// Begins, and waits for the first piece: what fails before it is an answer of its own.
    pub(crate) async fn answer(self, app: AppState) -> ApiResult<Response> {
        let gone = CancelOnDrop(self.cancel.clone());
        let (reads_trailers, own_limit) = (self.reads_trailers, self.own_limit);
        let content_type = self.content_type;
        let mut receiver = self.start(app)?;
        let is_cut = move |exported: Exported| match exported.cut {
            Some(Cut::Rows) if own_limit => None,
            cut => cut,
        };
        let mut response = match receiver.recv().await {
            Some(Message::End(rest, result)) => {
                let exported = result?;
                let mut response = Response::new(Body::from(rest));
                if let Some(cut) = exported.cut {
                    let headers = response.headers_mut();
                    headers.insert(TRUNCATED, HeaderValue::from_static(cut.as_str()));
                }
                response
            }
            Some(Message::Piece(first)) => {
                let pieces = Pieces::new(first, receiver, reads_trailers, Box::new(is_cut), gone);
                let mut response = Response::new(Body::new(pieces));
                if reads_trailers {
                    let trailer = HeaderValue::from_static("x-sluice-truncated");
                    response.headers_mut().insert(TRAILER, trailer);
                }
                response
            }
            None => return Err(ApiError::internal("the thread of a stream ended early")),
        };
        let kind = HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        Ok(response)
    }

    fn start(self, app: AppState) -> ApiResult<mpsc::Receiver<Message>> {
        let place = Arc::clone(&app.streams.0).try_acquire_owned();
        let place = place.map_err(|_| {
            let detail =
                "the server streams as many answers as it may at once; try again in a moment";
            ApiError::too_many(detail, Duration::from_secs(5))
        })?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let mut pipe = Pipe::new(sender, Handle::current(), Instant::now() + self.timeout);
        let span = tracing::Span::current();
        let work = move || {
            let _entered = span.enter();
            let busy = app.metrics.query_begins();
            let began = Instant::now();
            let result = (self.work)(&app, &mut pipe);
            app.metrics.query(outcome(&result), began.elapsed());
            (self.done)(pipe.bytes());
            drop(busy);
            pipe.end(result);
            drop(place);
        };
        let thread = std::thread::Builder::new().name("query-stream".into());
        thread.spawn(work).map_err(ApiError::internal)?;
        Ok(receiver)
    }
}

/// How a query went, as it is counted.
pub(crate) fn outcome<T>(result: &Result<T, QueryError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(QueryError::Refused { .. } | QueryError::UnknownTable { .. }) => "refused",
        Err(QueryError::Timeout { .. }) => "timeout",
        Err(QueryError::Cancelled) => "cancelled",
        Err(_) => "failed",
    }
}
