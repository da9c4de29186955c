//! Gives every error the same body: problem details (RFC 9457) with the `detail` that old clients
//! print. Errors of handlers arrive as [`ApiError`], those of the framework as text.

use std::any::Any;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::request_id::RequestId;
use crate::error::{ApiError, chain};

/// More than the framework ever says.
const MAX_TEXT: usize = 16 << 10;

/// What the framework says when a body comes too slowly; for it, that is a body like other bad ones.
const STOOD_STILL: &str = "data was not received within the designated timeout";

/// Turns errors into problem details and logs their causes, once.
pub(crate) async fn explain(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let id = id.map_or_else(String::new, |id| id.0);
    let mut response = next.run(request).await;
    let status = response.status();
    if let Some(error) = response.extensions_mut().remove::<Arc<ApiError>>() {
        log(&error);
        return body(&error, &id);
    }
    if !(status.is_client_error() || status.is_server_error()) || is_explained(&response) {
        return response;
    }
    let allow = response.headers().get(ALLOW).cloned();
    let text = to_bytes(response.into_body(), MAX_TEXT)
        .await
        .unwrap_or_default();
    let error = framework_error(status, &String::from_utf8_lossy(&text));
    let mut response = body(&error, &id);
    if let Some(allow) = allow {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// Pages explain their errors themselves.
fn is_explained(response: &Response) -> bool {
    response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

fn log(error: &ApiError) {
    let Some(cause) = &error.cause else { return };
    let cause = chain(cause.as_ref());
    if error.status.is_server_error() {
        tracing::error!(code = error.code, cause, "a request failed: {cause}");
    } else {
        tracing::debug!(code = error.code, cause, "a request was refused: {cause}");
    }
}

/// What the framework refused before a handler was called, or gave up.
fn framework_error(status: StatusCode, text: &str) -> ApiError {
    let (code, plain) = match status {
        StatusCode::NOT_FOUND => ("not-found", "Not Found"),
        StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "Method Not Allowed"),
        StatusCode::BAD_REQUEST if text.ends_with(STOOD_STILL) => {
            let detail = "The body stopped coming and was given up";
            return ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail);
        }
        StatusCode::PAYLOAD_TOO_LARGE => (
            "too-large",
            "The body is too large; for components, http.max_upload_mib of the configuration is the limit",
        ),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported-media-type", "Send application/json"),
        StatusCode::UNPROCESSABLE_ENTITY => ("invalid-request", "The request makes no sense"),
        StatusCode::RANGE_NOT_SATISFIABLE => ("range", "The file does not have that range"),
        StatusCode::PRECONDITION_FAILED => ("precondition", "The file is another one by now"),
        StatusCode::GATEWAY_TIMEOUT => ("timeout", "The request took too long and was given up"),
        status if status.is_server_error() => ("internal", "The server failed at this"),
        _ => ("bad-request", "The request cannot be read"),
    };
    let detail = match text.trim() {
        "" => plain,
        _ if status == StatusCode::PAYLOAD_TOO_LARGE => plain,
        text => text,
    };
    ApiError::new(status, code, detail)
}

/// What a panic in a handler becomes.
#[expect(clippy::needless_pass_by_value, reason = "the layer gives it away")]
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no words");
    ApiError::internal(format!("a handler panicked: {words}")).into_response()
}

fn body(error: &ApiError, request_id: &str) -> Response {
    let detail = match &error.object {
        Some(object) => object.as_ref().clone(),
        None => error.detail.as_str().into(),
    };
    let mut problem = json!({
        "detail": detail,
        "type": "about:blank",
        "title": error.status.canonical_reason().unwrap_or("Error"),
        "status": error.status.as_u16(),
        "code": error.code,
        "request_id": request_id,
    });
    if let (false, Some(fields)) = (error.errors.is_empty(), problem.as_object_mut()) {
        fields.insert("errors".into(), json!(error.errors));
    }
    let mut response = (error.status, Body::from(problem.to_string())).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if let Some(wait) = error.retry_after {
        headers.insert(RETRY_AFTER, wait.as_secs().max(1).into());
    }
    if error.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    async fn rendered(error: ApiError) -> (Response, Value) {
        let response = body(&error, "id-1");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, MAX_TEXT).await.unwrap();
        let json = serde_json::from_slice(&bytes).unwrap();
        (Response::from_parts(parts, Body::empty()), json)
    }

    #[tokio::test]
    async fn a_problem_carries_detail_code_status_and_request_id() {
        let (response, json) = rendered(ApiError::not_found("source-not-found", "no `x`")).await;
        assert_eq!(
            response.headers().get(CONTENT_TYPE).unwrap(),
            "application/problem+json"
        );
        assert_eq!(
            json,
            json!({"detail": "no `x`", "type": "about:blank", "title": "Not Found", "status": 404,
                "code": "source-not-found", "request_id": "id-1"})
        );
    }

    #[tokio::test]
    async fn the_cause_of_an_internal_error_stays_inside() {
        let (_, json) = rendered(ApiError::internal("password=hunter2")).await;
        assert!(!json.to_string().contains("hunter2"), "{json}");
    }

    #[tokio::test]
    async fn whoever_is_not_let_in_learns_how_to_come() {
        let (response, _) = rendered(ApiError::unauthorized("Token unknown")).await;
        assert_eq!(response.headers().get(WWW_AUTHENTICATE).unwrap(), "Bearer");
    }

    #[test]
    fn the_framework_keeps_its_words_or_gets_plain_ones() {
        let silent = framework_error(StatusCode::METHOD_NOT_ALLOWED, "");
        assert_eq!(silent.detail, "Method Not Allowed");
        let loud = framework_error(StatusCode::BAD_REQUEST, "Invalid URL: x");
        assert_eq!(
            (loud.code, loud.detail.as_str()),
            ("bad-request", "Invalid URL: x")
        );
    }
}
