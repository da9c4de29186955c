//! Rows on their way out: queries, scans and files. Once an answer has begun it takes as long as its content, within a
//! limit of its own.

use tower_http::limit::RequestBodyLimitLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{data, hybrid, query, v2};
use crate::app::AppState;

/// Answers that are computed.
pub(super) fn routes(max_body: usize) -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(query::run_query))
        .routes(routes!(hybrid::run_hybrid))
        .routes(routes!(v2::get_catalog))
        .routes(routes!(v2::get_schema))
        .routes(routes!(v2::get_sample))
        .routes(routes!(v2::scan::estimate_scan))
        .routes(routes!(v2::scan::scan_table))
        .layer(RequestBodyLimitLayer::new(max_body))
}

/// Files, one of which may have to be put together before its answer begins.
pub(super) fn files() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(data::download_table))
        .routes(routes!(data::list_parts))
        .routes(routes!(data::download_part))
}
