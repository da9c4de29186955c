//! Reads small bodies before their handler runs. A connection whose answer overtakes the body of its request
//! is closed instead of used again, and whoever sends the next request over it just then gets no answer.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Larger bodies are sent to handlers that read them, and whoever is refused there sends no second one.
const SMALL: usize = 16 << 10;

/// Hands the request on when its body is here, where it says that it is a small one.
pub(crate) async fn read(request: Request, next: Next) -> Response {
    let length = request.headers().get(CONTENT_LENGTH);
    if !length.is_some_and(is_small) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match to_bytes(body, SMALL).await {
        Ok(bytes) => {
            next.run(Request::from_parts(parts, Body::from(bytes)))
                .await
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

fn is_small(length: &HeaderValue) -> bool {
    let length = length.to_str().ok().and_then(|text| text.parse().ok());
    length.is_some_and(|bytes: usize| bytes <= SMALL)
}
