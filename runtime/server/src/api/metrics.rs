//! `/metrics`: what the server counts about itself, for Prometheus.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::app::AppState;
use crate::error::{ApiError, ApiResult};

/// As OpenMetrics 1.0 wants it; Prometheus reads it since version 2.
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Shows the metrics.
///
/// For admins, and for whoever sends the token of `http.metrics_token`.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
pub(crate) async fn get_metrics(app: AppState) -> ApiResult<Response> {
    let tables = app.catalog().tables.len();
    let generations = app.warehouse.queries.generations_built();
    let text = app.metrics.text(tables, generations);
    let text = text.map_err(ApiError::internal)?;
    Ok(([(CONTENT_TYPE, KIND)], text).into_response())
}
