//! `/api/query`: SQL over the tables that the asker may see.

use std::time::Instant;

use axum::Json;
use domain::Cancel;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use warehouse::{QueryError, QueryOptions, QueryResult};

use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::ApiResult;

/// As the predecessor's clients expect.
const DEFAULT_LIMIT: usize = 1000;

/// A question.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Question {
    /// One SELECT.
    sql: String,
    /// At most so many rows; 1000 by default.
    limit: Option<usize>,
}

/// Its answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answer {
    /// The columns' names.
    columns: Vec<String>,
    /// The rows; what JSON has no type for is text, such as `2026-01-01` or `1.50`.
    #[schema(value_type = Vec<Vec<Value>>)]
    rows: Vec<Vec<Value>>,
    /// How many rows these are.
    row_count: usize,
    /// Whether there were more.
    truncated: bool,
}

/// Cancels a query when the request that waits for it is gone.
pub(super) struct CancelOnDrop(pub(super) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs SQL.
#[utoipa::path(post, path = "/api/query", tag = "data", request_body = Question,
    responses((status = 200, body = Answer), (status = 400, description = "It is not one SELECT over tables, or fails")))]
pub(crate) async fn run_query(
    by: By,
    app: AppState,
    Json(question): Json<Question>,
) -> ApiResult<Json<Answer>> {
    let cancel = CancelOnDrop(Cancel::new());
    let token = cancel.0.clone();
    let result = blocking(move || measured(&app, &by, &question, token)).await?;
    Ok(Json(Answer {
        row_count: result.row_count,
        truncated: result.truncated,
        columns: result.columns,
        rows: result.rows,
    }))
}

/// Asks, and counts how that went.
fn measured(app: &App, by: &By, question: &Question, cancel: Cancel) -> ApiResult<QueryResult> {
    let began = Instant::now();
    let result = ask(app, by, question, cancel);
    let outcome = match &result {
        Ok(_) => "ok",
        Err(QueryError::Refused { .. } | QueryError::UnknownTable { .. }) => "refused",
        Err(QueryError::Timeout { .. }) => "timeout",
        Err(QueryError::Cancelled) => "cancelled",
        Err(_) => "failed",
    };
    app.metrics.query(outcome, began.elapsed());
    Ok(result?)
}

fn ask(app: &App, by: &By, question: &Question, cancel: Cancel) -> Result<QueryResult, QueryError> {
    let limits = &app.config.queries;
    let options = QueryOptions {
        limit: question.limit.unwrap_or(DEFAULT_LIMIT).min(limits.max_rows),
        timeout: limits.timeout(),
        cancel,
        ..QueryOptions::default()
    };
    let engine = &app.warehouse.queries;
    let scope = app.directory.scope(by, &app.catalog());
    engine.query(&scope, &question.sql, &options)
}
