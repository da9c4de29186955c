//! `/api/query`: SQL over the tables that the asker may see.

use std::io::Write;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use domain::Cancel;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use warehouse::{Exported, Format, QueryError, QueryOptions, Scope};

use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::ApiResult;
use crate::streams::{CancelOnDrop, Stream, outcome, reads_trailers};

/// As the predecessor's clients expect.
const DEFAULT_LIMIT: usize = 1000;

/// A question.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Question {
    /// One SELECT.
    sql: String,
    /// At most so many rows; of JSON 1000 by default, of other formats as many as the server streams.
    limit: Option<usize>,
    /// How the answer is written; by default as `Accept` says.
    format: Option<AnswerFormat>,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AnswerFormat {
    /// `application/json`.
    Json,
    /// `text/csv`.
    Csv,
    /// `application/vnd.apache.arrow.stream`.
    Arrow,
    /// `application/vnd.apache.parquet`.
    Parquet,
}

/// Its answer as JSON.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is written without it")]
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

impl AnswerFormat {
    const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Arrow, Self::Parquet];

    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The first that a client accepts; JSON where it does not care.
    fn accepted(headers: &HeaderMap) -> Self {
        let accepts = headers.get_all(ACCEPT).iter();
        let accepts = accepts.filter_map(|value| value.to_str().ok());
        let mut kinds = accepts.flat_map(|value| value.split(','));
        let known = |kind: &str| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            let plain = |format: &Self| format.media_type().split(';').next() == Some(kind);
            match kind {
                "*/*" => Some(Self::Json),
                _ => Self::ALL.into_iter().find(plain),
            }
        };
        kinds.find_map(known).unwrap_or(Self::Json)
    }

    fn format(self) -> Format {
        match self {
            Self::Json => Format::Json,
            Self::Csv => Format::Csv,
            Self::Arrow => Format::Arrow,
            Self::Parquet => Format::Parquet,
        }
    }
}

/// Runs SQL.
///
/// JSON comes whole, and says in `truncated` whether a limit cut it. CSV, Arrow and parquet are streamed, of any size.
/// Where a limit of the server cuts a stream, the header or trailer `x-sluice-truncated` says `rows` or `bytes`, a
/// parquet file has that in its metadata, and a client that reads no trailers (`TE: trailers`) loses the connection.
#[utoipa::path(post, path = "/api/query", tag = "data", request_body = Question,
    params(("Accept" = Option<String>, Header, description = "`application/json`, `text/csv`, `application/vnd.apache.arrow.stream` or `application/vnd.apache.parquet`")),
    responses((status = 200, body = Answer), (status = 400, description = "It is not one SELECT over tables, or fails"),
        (status = 429, description = "Too many answers are streamed at once")))]
pub(crate) async fn run_query(
    by: By,
    app: AppState,
    headers: HeaderMap,
    Json(question): Json<Question>,
) -> ApiResult<Response> {
    let format = question.format;
    match format.unwrap_or_else(|| AnswerFormat::accepted(&headers)) {
        AnswerFormat::Json => whole(by, app, question).await,
        format => {
            let reads_trailers = reads_trailers(&headers);
            streamed(&by, app, question, format, reads_trailers).await
        }
    }
}

/// JSON, which stands in memory before it is sent: it is small.
async fn whole(by: By, app: AppState, question: Question) -> ApiResult<Response> {
    let cancel = CancelOnDrop(Cancel::new());
    let token = cancel.0.clone();
    let body = blocking(move || Ok(measured(&app, &by, &question, token)?)).await?;
    let mut response = Response::new(Body::from(body));
    let kind = HeaderValue::from_static(AnswerFormat::Json.media_type());
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// Asks, and counts how that went.
fn measured(
    app: &App,
    by: &By,
    question: &Question,
    cancel: Cancel,
) -> Result<Vec<u8>, QueryError> {
    let limits = &app.config.queries;
    let options = QueryOptions {
        limit: question.limit.unwrap_or(DEFAULT_LIMIT).min(limits.max_rows),
        timeout: limits.timeout(),
        cancel,
        ..QueryOptions::default()
    };
    let _busy = app.metrics.query_begins();
    let began = Instant::now();
    let mut body = Vec::new();
    let scope = app.directory.scope(by, &app.catalog());
    let result = export(
        app,
        &scope,
        &question.sql,
        Format::Json,
        &options,
        &mut body,
    );
    app.metrics.query(outcome(&result), began.elapsed());
    result.map(|_| body)
}

async fn streamed(
    by: &By,
    app: AppState,
    question: Question,
    format: AnswerFormat,
    reads_trailers: bool,
) -> ApiResult<Response> {
    let limits = &app.config.queries;
    let (most, timeout) = (limits.stream_max_rows, limits.stream_timeout());
    let cancel = Cancel::new();
    let options = QueryOptions {
        limit: question.limit.unwrap_or(most).min(most),
        timeout,
        max_bytes: usize::try_from(limits.stream_max_bytes).unwrap_or(usize::MAX),
        cancel: cancel.clone(),
        ..QueryOptions::default()
    };
    let scope = app.directory.scope(by, &app.catalog());
    let sql = question.sql;
    Stream {
        content_type: format.media_type(),
        reads_trailers: reads_trailers || format == AnswerFormat::Parquet,
        own_limit: question.limit.is_some_and(|limit| limit <= most),
        timeout,
        cancel,
        work: move |app: &AppState, out: &mut (dyn Write + Send)| {
            export(app, &scope, &sql, format.format(), &options, out)
        },
        done: Box::new(|_| {}),
    }
    .answer(app)
    .await
}

fn export(
    app: &App,
    scope: &Scope,
    sql: &str,
    format: Format,
    options: &QueryOptions,
    out: &mut (dyn Write + Send),
) -> Result<Exported, QueryError> {
    let engine = &app.warehouse.queries;
    engine.export(scope, sql, format, options, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn accepts(accept: &str, expected: AnswerFormat) {
        let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
        assert_eq!(AnswerFormat::accepted(&headers), expected, "{accept}");
    }

    #[test]
    fn the_first_format_that_is_known_is_the_answers() {
        accepts("*/*", AnswerFormat::Json);
        accepts("application/json, */*", AnswerFormat::Json);
        accepts("text/html, text/csv; q=0.9", AnswerFormat::Csv);
        accepts("application/vnd.apache.arrow.stream", AnswerFormat::Arrow);
        accepts(
            "application/vnd.apache.parquet,text/csv",
            AnswerFormat::Parquet,
        );
        accepts("image/png", AnswerFormat::Json);
        assert_eq!(
            AnswerFormat::accepted(&HeaderMap::new()),
            AnswerFormat::Json
        );
    }
}
