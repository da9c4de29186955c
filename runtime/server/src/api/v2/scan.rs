//! `/api/v2/scan`: a part of a table's rows as one Arrow IPC stream.

use std::io::Write;

use axum::Json;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::Cancel;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use warehouse::{Format, QueryOptions};

use super::find;
use super::request::{ScanRequest, refused};
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};
use crate::streams::{Stream, reads_trailers};

/// What a scan would cost.
#[derive(Serialize, ToSchema)]
pub(crate) struct Estimate {
    /// The table.
    table_id: String,
    /// Bytes that a remote engine would charge for; 0 where none is asked.
    estimated_scan_bytes: u64,
    /// Not known of what is scanned here.
    estimated_result_rows: Option<u64>,
    /// The same.
    estimated_result_bytes: Option<u64>,
    /// What a remote engine would charge.
    bq_cost_estimate_usd: f64,
}

/// Estimates a scan, and checks it as the scan itself does.
#[utoipa::path(post, path = "/api/v2/scan/estimate", tag = "data", request_body = ScanRequest,
    responses((status = 200, body = Estimate), (status = 400, description = "It makes no sense"), (status = 404)))]
pub(crate) async fn estimate_scan(by: By, app: AppState, body: Bytes) -> ApiResult<Json<Estimate>> {
    blocking(move || {
        let (table_id, _) = prepared(&app, &by, &body)?;
        Ok(Json(Estimate {
            table_id,
            estimated_scan_bytes: 0,
            estimated_result_rows: None,
            estimated_result_bytes: None,
            bq_cost_estimate_usd: 0.0,
        }))
    })
    .await
}

/// Brings a part of a table's rows.
///
/// The answer is one Arrow IPC stream. Where `scans.max_result_bytes` cuts it, the header or trailer
/// `x-sluice-truncated` says `bytes`; a client that reads no trailers (`TE: trailers`) loses the connection.
#[utoipa::path(post, path = "/api/v2/scan", tag = "data", request_body = ScanRequest,
    responses((status = 200, content_type = "application/vnd.apache.arrow.stream", body = Vec<u8>),
        (status = 400, description = "It makes no sense"), (status = 404),
        (status = 429, description = "You have too many scans under way, or had your bytes of the day")))]
pub(crate) async fn scan_table(
    by: By,
    app: AppState,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<Response> {
    let user = by.user;
    let begin = {
        let app = app.clone();
        move || {
            let (_, sql) = prepared(&app, &by, &body)?;
            let scope = app.directory.scope(&by, &app.catalog());
            let slot = app.scans.begin(user, &app.config.scans, Timestamp::now())?;
            Ok((scope, sql, slot))
        }
    };
    let (scope, sql, slot) = blocking(begin).await?;
    let (cancel, timeout) = (Cancel::new(), app.config.queries.stream_timeout());
    let most = app.config.scans.max_result_bytes;
    let options = QueryOptions {
        limit: usize::MAX,
        timeout,
        max_bytes: usize::try_from(most).unwrap_or(usize::MAX),
        cancel: cancel.clone(),
        ..QueryOptions::default()
    };
    Stream {
        content_type: "application/vnd.apache.arrow.stream",
        reads_trailers: reads_trailers(&headers),
        own_limit: true,
        timeout,
        cancel,
        work: move |app: &AppState, out: &mut (dyn Write + Send)| {
            let engine = &app.warehouse.queries;
            engine.export(&scope, &sql, Format::Arrow, &options, out)
        },
        done: Box::new(move |bytes| slot.end(bytes)),
    }
    .answer(app)
    .await
}

/// Reads and checks a request; the table's name, and the SQL that answers it.
fn prepared(app: &App, by: &By, body: &[u8]) -> ApiResult<(String, String)> {
    let request = ScanRequest::read(body)?;
    let missing = |_| ApiError::not_found("table-not-found", "table not found");
    let (table, _) = find(app, by, &request.table_id).map_err(missing)?;
    let most = app.config.scans.max_limit;
    if let Some(limit) = request.limit.filter(|limit| *limit > most) {
        return Err(refused(format!("limit {limit} exceeds max {most}")));
    }
    let sql = request.sql(&table, &app.warehouse.queries)?;
    Ok((table.name.to_string(), sql))
}
