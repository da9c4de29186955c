//! Rows on their way out: queries, scans and files. They take as long as their content; each has a limit of its own.

use tower_http::limit::RequestBodyLimitLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{data, query, v2};
use crate::app::AppState;

pub(super) fn routes(max_body: usize) -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(query::run_query))
        .routes(routes!(v2::get_catalog))
        .routes(routes!(v2::get_schema))
        .routes(routes!(v2::get_sample))
        .routes(routes!(v2::scan::estimate_scan))
        .routes(routes!(v2::scan::scan_table))
        .routes(routes!(data::download_table))
        .routes(routes!(data::list_parts))
        .routes(routes!(data::download_part))
        .layer(RequestBodyLimitLayer::new(max_body))
}
