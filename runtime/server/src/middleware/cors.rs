//! Which pages of other origins may call the API: none, unless they are configured by name.
//!
//! Cookies are never part of it: whoever calls from elsewhere sends a token.

use std::time::Duration;

use axum::http::header::{
    AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RANGE,
};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::Origin;

/// How long a browser may remember an answer about what is allowed.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The layer for these origins; without any there is none, and browsers refuse.
pub(crate) fn layer(origins: &[Origin]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origins = origins
        .iter()
        .flat_map(|origin| HeaderValue::from_str(origin));
    let id = HeaderName::from_static("x-request-id");
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_NONE_MATCH,
            RANGE,
            id.clone(),
        ])
        .expose_headers([CONTENT_DISPOSITION, ETAG, id])
        .max_age(REMEMBERED);
    Some(layer)
}
