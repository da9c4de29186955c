//! `/api/query/hybrid`: SQL over the tables of this server and results of remote engines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use domain::Cancel;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use warehouse::hybrid::{Caps, Dialect, Landing, RemoteEngine};
use warehouse::{AuditEntry, QueryError, QueryOptions};

use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};
use crate::hybrid::{Came, Part, PartError};
use crate::streams::{CancelOnDrop, outcome};

/// As of other queries.
const DEFAULT_LIMIT: usize = 1000;
/// Of a remote query's text, in the audit.
const AUDITED_SQL: usize = 2_000;

/// A question of which remote engines compute parts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HybridQuestion {
    /// One SELECT; it names the results of remote queries as tables.
    sql: String,
    /// At most so many rows, 1000 by default.
    limit: Option<usize>,
    /// Queries in BigQuery's SQL by the names of their results, for the one BigQuery database there is.
    #[serde(default)]
    register_bq: BTreeMap<String, String>,
    /// Remote queries, each with limits of its own.
    #[serde(default)]
    register: Vec<Registration>,
}

/// A query that a remote database computes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    /// How `sql` names the result.
    alias: String,
    /// The database: its source, a dot, and what the source's extract calls it.
    connection: String,
    /// One SELECT in the database's own SQL.
    sql: String,
    /// The most rows; one more, and the query fails.
    max_rows: Option<u64>,
    /// The most bytes of the result.
    max_bytes: Option<u64>,
    /// The most bytes that BigQuery may bill.
    max_bytes_billed: Option<u64>,
    /// The longest time.
    timeout_seconds: Option<u64>,
}

/// The answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct HybridAnswer {
    /// The columns' names.
    columns: Vec<String>,
    /// The rows; what JSON has no type for is text.
    #[schema(value_type = Vec<Vec<Value>>)]
    rows: Vec<Vec<Value>>,
    /// How many rows these are.
    row_count: usize,
    /// Whether there were more.
    truncated: bool,
    /// What was asked of BigQuery.
    bq_stats: BqStats,
    /// What remote engines answered.
    registered: Vec<Registered>,
}

/// What was asked of BigQuery.
#[derive(Serialize, ToSchema)]
pub(crate) struct BqStats {
    /// The names of its results.
    registered_aliases: Vec<String>,
    /// How many these are.
    alias_count: usize,
}

/// A remote result.
#[derive(Serialize, ToSchema)]
pub(crate) struct Registered {
    /// Its name.
    alias: String,
    /// The database.
    connection: String,
    /// Its rows.
    rows: u64,
    /// Its bytes in memory.
    bytes: u64,
    /// Bytes that BigQuery bills.
    bytes_billed: Option<u64>,
    /// How long it took.
    elapsed_ms: u64,
}

/// Runs SQL over tables of this server and results of remote engines.
///
/// Each remote query is computed by its own database with the source's credential, read-only, and its result is there for
/// this one query. A result that exceeds a limit fails the query: it is never cut.
#[utoipa::path(post, path = "/api/query/hybrid", tag = "data", request_body = HybridQuestion,
    responses((status = 200, body = HybridAnswer), (status = 400, description = "A remote query or the query itself fails; the text says which"),
        (status = 429, description = "Too many hybrid queries run at once")))]
pub(crate) async fn run_hybrid(
    by: By,
    app: AppState,
    Json(question): Json<HybridQuestion>,
) -> ApiResult<Json<HybridAnswer>> {
    let cancel = CancelOnDrop(Cancel::new());
    let token = cancel.0.clone();
    blocking(move || answer(&app, &by, question, &token).map(Json)).await
}

fn answer(
    app: &App,
    by: &By,
    question: HybridQuestion,
    cancel: &Cancel,
) -> ApiResult<HybridAnswer> {
    let _place = app.hybrid.place().map_err(|_| {
        ApiError::too_many(
            "too many hybrid queries run at once",
            Duration::from_secs(5),
        )
    })?;
    let parts = parts(app, question.register_bq, question.register)?;
    // Before anybody bills something for its parts.
    let judged = app.warehouse.queries.judge_text(&question.sql);
    judged.map_err(failed)?;
    let mut landing = Landing::new(&app.warehouse.paths).map_err(ApiError::internal)?;
    let mut registered = Vec::new();
    let mut of_bigquery = Vec::new();
    for part in &parts {
        let landed = app
            .hybrid
            .land(&app.config, &app.warehouse, part, &mut landing, cancel);
        app.state().audit(&entry(by, part, &landed))?;
        let came = landed.map_err(|error| refused(part, &error))?;
        if part.engine.dialect() == Dialect::BigQuery {
            of_bigquery.push(part.alias.clone());
        }
        registered.push(Registered {
            alias: part.alias.clone(),
            connection: part.engine.name(),
            rows: came.landed.rows,
            bytes: came.landed.bytes,
            bytes_billed: came.bytes_billed,
            elapsed_ms: u64::try_from(came.took.as_millis()).unwrap_or(u64::MAX),
        });
    }
    let limits = &app.config.queries;
    let options = QueryOptions {
        limit: question.limit.unwrap_or(DEFAULT_LIMIT).min(limits.max_rows),
        timeout: limits.timeout(),
        cancel: cancel.clone(),
        landing: Some(Arc::new(landing)),
        ..QueryOptions::default()
    };
    let _busy = app.metrics.query_begins();
    let began = Instant::now();
    let scope = app.directory.scope(by, &app.catalog());
    let result = app.warehouse.queries.query(&scope, &question.sql, &options);
    app.metrics.query(outcome(&result), began.elapsed());
    let result = result.map_err(failed)?;
    Ok(HybridAnswer {
        columns: result.columns,
        rows: result.rows,
        row_count: result.row_count,
        truncated: result.truncated,
        bq_stats: BqStats {
            alias_count: of_bigquery.len(),
            registered_aliases: of_bigquery,
        },
        registered,
    })
}

/// All remote queries with who computes them, before the first is asked: one that cannot be costs nothing.
fn parts(
    app: &App,
    register_bq: BTreeMap<String, String>,
    register: Vec<Registration>,
) -> ApiResult<Vec<Part>> {
    let engines: Vec<_> = app.warehouse.orchestrator.engines().into_iter().collect();
    let mut parts = Vec::new();
    for (alias, sql) in register_bq {
        let engine = only_bigquery(&engines)
            .map_err(|reason| bad(format!("BQ '{alias}': bq_error: {reason}")))?;
        let registration = Registration {
            alias,
            connection: engine.name(),
            sql,
            max_rows: None,
            max_bytes: None,
            max_bytes_billed: None,
            timeout_seconds: None,
        };
        parts.push(part(app, engine.clone(), registration)?);
    }
    for registration in register {
        let engine = engines
            .iter()
            .find(|engine| engine.name() == registration.connection);
        let engine = engine.cloned().ok_or_else(|| {
            let known: Vec<String> = engines.iter().map(RemoteEngine::name).collect();
            let shown: String = registration.connection.chars().take(128).collect();
            bad(format!(
                "`{shown}` is no database behind a remote table that can be asked; there {}",
                match known.is_empty() {
                    true => "is none".to_owned(),
                    false => format!("are: {}", known.join(", ")),
                }
            ))
        })?;
        parts.push(part(app, engine, registration)?);
    }
    Ok(parts)
}

fn only_bigquery(engines: &[RemoteEngine]) -> Result<&RemoteEngine, &'static str> {
    let mut of_bigquery = engines
        .iter()
        .filter(|engine| engine.dialect() == Dialect::BigQuery);
    match (of_bigquery.next(), of_bigquery.next()) {
        (Some(engine), None) => Ok(engine),
        (None, _) => Err("BigQuery project not configured: no extract names a BigQuery database"),
        _ => Err("there are several BigQuery databases; name one in `register`"),
    }
}

fn part(app: &App, engine: RemoteEngine, asked: Registration) -> ApiResult<Part> {
    let most = &app.config.hybrid;
    let alias = &asked.alias;
    let within = |name: &str, asked: Option<u64>, most: u64| match asked {
        Some(asked) if asked > most => Err(bad(format!(
            "'{alias}': `{name}` is {asked}, and the server allows {most}; its operator can raise that in `hybrid` of the configuration"
        ))),
        asked => Ok(asked.unwrap_or(most)),
    };
    let caps = Caps {
        rows: within("max_rows", asked.max_rows, most.max_rows)?,
        bytes: within("max_bytes", asked.max_bytes, most.max_bytes)?,
    };
    let billed = within(
        "max_bytes_billed",
        asked.max_bytes_billed,
        most.max_bytes_billed,
    )?;
    let seconds = within(
        "timeout_seconds",
        asked.timeout_seconds,
        most.timeout_seconds,
    )?;
    Ok(Part {
        caps,
        max_bytes_billed: billed,
        timeout: Duration::from_secs(seconds.max(1)),
        alias: asked.alias,
        engine,
        sql: asked.sql,
    })
}

fn bad(detail: String) -> ApiError {
    ApiError::bad_request("hybrid-query", detail)
}

fn refused(part: &Part, error: &PartError) -> ApiError {
    let engine = match part.engine.dialect() {
        Dialect::BigQuery => "BQ",
        Dialect::Postgres => "PostgreSQL",
    };
    let (alias, kind) = (&part.alias, error.kind());
    bad(format!("{engine} '{alias}': {kind}: {error}"))
}

fn failed(error: QueryError) -> ApiError {
    match error {
        QueryError::Refused { .. } | QueryError::UnknownTable { .. } | QueryError::Sql { .. } => {
            bad(format!("Query: query_error: {error}"))
        }
        error => error.into(),
    }
}

/// That somebody asked a database with a source's credential: also where it failed.
fn entry(by: &By, part: &Part, landed: &Result<Came, PartError>) -> AuditEntry {
    let sql: String = part.sql.chars().take(AUDITED_SQL).collect();
    let params = match landed {
        Ok(came) => json!({
            "alias": part.alias, "sql": sql, "rows": came.landed.rows, "bytes": came.landed.bytes,
            "bytes_billed": came.bytes_billed,
        }),
        Err(error) => json!({"alias": part.alias, "sql": sql, "error": error.kind()}),
    };
    let resource = format!("database:{}", part.engine.name());
    let result = if landed.is_ok() { "ok" } else { "failed" };
    AuditEntry {
        result: Some(result.into()),
        ..by.entry_with("query.hybrid", resource, params)
    }
}
