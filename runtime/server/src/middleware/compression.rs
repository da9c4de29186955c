//! Which answers are compressed: texts that are worth it and hold no secret beside what a stranger
//! can choose. A compressed length would tell whether the two are alike (BREACH).

use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

/// Less costs more to compress than it saves on the way; the predecessor's limit too.
const WORTH_IT: u64 = 1024;

/// Where answers hold tokens, codes or links that let people in.
const SECRET: [&str; 3] = ["/auth/", "/setup", "/login"];

/// What is text. Downloads are compressed as they lie on the disk, event streams must not wait.
const TEXTS: [&str; 7] = [
    "application/json",
    "application/problem+json",
    "application/openmetrics-text",
    "image/svg+xml",
    "text/css",
    "text/html",
    "text/plain",
];

/// On an answer that must not be compressed.
#[derive(Debug, Clone, Copy)]
struct Untouched;

/// A rule over the head of an answer.
type Rule = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// The layer, around [`mark`].
pub(crate) fn layer() -> CompressionLayer<And<SizeAbove, Rule>> {
    let rule: Rule = is_safe;
    CompressionLayer::new().compress_when(SizeAbove::new(WORTH_IT).and(rule))
}

/// Marks answers by the path of their request, which the layer does not see.
pub(crate) async fn mark(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_secret = SECRET.iter().any(|prefix| path.starts_with(prefix));
    let mut response = next.run(request).await;
    if is_secret {
        response.extensions_mut().insert(Untouched);
    }
    response
}

fn is_safe(_: StatusCode, _: Version, headers: &HeaderMap, extensions: &Extensions) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    TEXTS.contains(&kind.trim())
        && !headers.contains_key(SET_COOKIE)
        && extensions.get::<Untouched>().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safe(kind: &'static str, change: fn(&mut Response)) -> bool {
        let mut response = Response::default();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, kind.parse().unwrap());
        change(&mut response);
        is_safe(
            response.status(),
            response.version(),
            response.headers(),
            response.extensions(),
        )
    }

    #[test]
    fn texts_are_compressed_and_nothing_else() {
        assert!(safe("application/json", |_| {}));
        assert!(safe("text/html; charset=utf-8", |_| {}));
        for kind in [
            "text/event-stream",
            "application/octet-stream",
            "application/vnd.apache.parquet",
        ] {
            assert!(!safe(kind, |_| {}), "{kind}");
        }
    }

    #[test]
    fn answers_that_may_hold_secrets_are_left_alone() {
        assert!(!safe("application/json", |response| {
            response
                .headers_mut()
                .insert(SET_COOKIE, "a=b".parse().unwrap());
        }));
        assert!(!safe("application/json", |response| {
            response.extensions_mut().insert(Untouched);
        }));
    }
}
