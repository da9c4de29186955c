//! Gives each request an id, by which a client's error is found in the server's log.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

/// Carries the id, in requests of a proxy that numbers them and in all responses.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longer than any id that a proxy gives.
const MAX_LENGTH: usize = 64;

/// The id of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Takes the id of a proxy before the server, or makes one, and sends it back.
pub(crate) async fn set(mut request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_harmless(id));
    let id = given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// It stands in logs and error bodies, so it must not be able to look like more than an id.
fn is_harmless(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_LENGTH
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_forge_a_log_line_is_not_taken() {
        assert!(is_harmless("019a-b_c.7"));
        for id in ["", "a b", "a\nb", "{}", &"a".repeat(65)] {
            assert!(!is_harmless(id), "{id:?}");
        }
    }
}
