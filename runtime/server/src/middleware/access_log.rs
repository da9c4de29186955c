//! One log line a request, and a span that puts the request's id on every line logged within.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use super::request_id::RequestId;

/// Longer than any name, id or digest that stands in a path; tokens are longer.
const MAX_SEGMENT: usize = 64;

/// Logs a request when its answer is ready to be sent. The query of the URL is left out: it may hold
/// a setup code.
pub(crate) async fn log(request: Request, next: Next) -> Response {
    let id = request
        .extensions()
        .get::<RequestId>()
        .map_or_else(String::new, |id| id.0.clone());
    let method = request.method().clone();
    let path = harmless(request.uri().path());
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

/// A path without what may be an e-mail address or a token: somebody may ask for anything.
fn harmless(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        let is_address = segment.contains('@') || segment.to_ascii_lowercase().contains("%40");
        if is_address || segment.len() > MAX_SEGMENT {
            "…"
        } else {
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_logged_without_addresses_and_tokens() {
        let digest = "a".repeat(64);
        for path in [
            "/",
            "/api/runs/x/log",
            &format!("/api/connectors/{digest}/trust"),
        ] {
            assert_eq!(harmless(path), path);
        }
        assert_eq!(harmless("/api/users/ada@example.com/x"), "/api/users/…/x");
        assert_eq!(harmless("/api/users/ada%40example.com"), "/api/users/…");
        assert_eq!(harmless(&format!("/a/{}.b.c", "x".repeat(90))), "/a/…");
    }
}
