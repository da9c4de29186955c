//! One log line a request, and a span that puts the request's id on every line logged within.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use super::request_id::RequestId;

/// Logs a request when its answer is ready to be sent. The query of the URL is left out: it may hold
/// a setup code.
pub(crate) async fn log(request: Request, next: Next) -> Response {
    let id = request
        .extensions()
        .get::<RequestId>()
        .map_or_else(String::new, |id| id.0.clone());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("request", request_id = %id);
    async move {
        let started = Instant::now();
        let response = next.run(request).await;
        let status = response.status().as_u16();
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if is_noise(&path) {
            tracing::debug!(%method, path, status, milliseconds, "{method} {path} {status}");
        } else {
            tracing::info!(%method, path, status, milliseconds, "{method} {path} {status}");
        }
        response
    }
    .instrument(span)
    .await
}

/// Requests that come all the time and say nothing.
fn is_noise(path: &str) -> bool {
    path == "/api/health" || path.starts_with("/static/")
}
