//! `/api/sync`: what clients of the predecessor ask for: start everything, and what there is to fetch.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::rejection::JsonRejection;
use domain::{Operation, QueryMode, RunId, SourceName, TableName};
use ingest::IngestError;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use warehouse::CatalogTable;

use crate::app::{App, AppState, blocking};
use crate::auth::{By, extent, may_run};
use crate::error::{ApiError, ApiResult};

/// What was started.
#[derive(Serialize, ToSchema)]
pub(crate) struct Triggered {
    /// `triggered`.
    status: &'static str,
    /// `all`, or the tables that were asked for.
    tables: Value,
    /// For people.
    message: &'static str,
    /// The runs that were started.
    #[schema(value_type = Vec<String>)]
    runs: Vec<RunId>,
}

/// Starts a sync of all sources that you may run.
///
/// With a list of tables, only of the sources that have them. Sources that run, or wait for it,
/// are left alone.
#[utoipa::path(post, path = "/api/sync/trigger", tag = "data", request_body = Option<Vec<String>>,
    responses((status = 200, body = Triggered), (status = 422)))]
pub(crate) async fn trigger_sync(
    by: By,
    app: AppState,
    body: Result<Option<Json<Vec<String>>>, JsonRejection>,
) -> ApiResult<Json<Triggered>> {
    let tables = body
        .map_err(|_| ApiError::invalid("invalid-request", "Input should be a valid list"))?
        .map(|Json(tables)| tables);
    blocking(move || {
        let runs = start_all(&app, &by, tables.as_deref())?;
        Ok(Json(Triggered {
            status: "triggered",
            tables: tables.map_or_else(|| json!("all"), |tables| json!(tables)),
            message: "Data sync started in background. Check /api/health for progress.",
            runs,
        }))
    })
    .await
}

fn start_all(app: &App, by: &By, tables: Option<&[String]>) -> ApiResult<Vec<RunId>> {
    let mut runs = Vec::new();
    let wanted = wanted(app, tables)?.into_iter();
    for (source, tables) in wanted.filter(|(source, _)| may_run(by, source.as_str())) {
        match app.ingest.start_idle(&source, Operation::Sync, tables) {
            Ok(run) => {
                let entry = by.entry("run.start", format!("source:{source}"));
                app.state().audit(&entry)?;
                runs.push(run.id);
            }
            // One source that cannot run must not keep the others from it.
            Err(error @ IngestError::Failure(_)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%source, %error, "source {source} was not started: {error}");
            }
        }
    }
    Ok(runs)
}

/// The sources to start, each with the tables to bring; all of its tables where none is named.
fn wanted(app: &App, tables: Option<&[String]>) -> ApiResult<Vec<(SourceName, Vec<TableName>)>> {
    let Some(names) = tables else {
        let sources = app.state().sources()?.into_iter();
        let enabled = sources.filter(|source| source.enabled);
        return Ok(enabled.map(|source| (source.name, Vec::new())).collect());
    };
    let names: BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let mut wanted: BTreeMap<SourceName, Vec<TableName>> = BTreeMap::new();
    for table in &app.catalog().tables {
        if names.contains(&table.name.folded()) {
            wanted
                .entry(table.source.clone())
                .or_default()
                .push(table.name.clone());
        }
    }
    Ok(wanted.into_iter().collect())
}

/// What there is to fetch.
#[derive(Serialize, ToSchema)]
pub(crate) struct Manifest {
    /// The tables by name.
    tables: BTreeMap<String, ManifestEntry>,
    /// Other things to fetch; none so far.
    #[schema(value_type = Object)]
    assets: BTreeMap<String, Value>,
    /// The server's time.
    server_time: String,
}

/// One table.
#[derive(Serialize, ToSchema)]
pub(crate) struct ManifestEntry {
    /// The MD5 of the file that `/api/data/{table}/download` gives; empty for remote tables, and for one of several files
    /// that nobody has downloaded yet.
    hash: String,
    /// When it was brought.
    updated: Option<String>,
    /// Bytes of the file.
    size_bytes: u64,
    /// Rows in it.
    rows: u64,
    /// `local` or `remote`.
    query_mode: &'static str,
    /// The connector that brought it.
    source_type: String,
    /// Whether you see a part of it only. Then there is no file to fetch, and it stands as `remote`: query it.
    filtered: bool,
}

impl ManifestEntry {
    /// How many rows there are, and of what size, is not for those who see some of them.
    fn of_part(table: &CatalogTable, source_type: String) -> Self {
        Self {
            hash: String::new(),
            updated: Some(table.extracted_at.to_string()),
            size_bytes: 0,
            rows: 0,
            query_mode: QueryMode::Remote.as_str(),
            source_type,
            filtered: true,
        }
    }
}

/// Lists what there is for you to fetch.
#[utoipa::path(get, path = "/api/sync/manifest", tag = "data", responses((status = 200, body = Manifest)))]
pub(crate) async fn get_manifest(by: By, app: AppState) -> ApiResult<Json<Manifest>> {
    blocking(move || {
        let connectors = connectors(&app)?;
        let catalog = app.catalog();
        let mine = catalog.tables.iter();
        let mine = mine.filter_map(|table| Some((table, extent(&by, table)?)));
        let entries = mine.map(|(table, extent)| {
            let source_type = connectors.get(&table.source).cloned().unwrap_or_default();
            if extent.is_part() {
                return (
                    table.name.to_string(),
                    ManifestEntry::of_part(table, source_type),
                );
            }
            let local = (!table.files.is_empty()).then(|| app.warehouse.wholes.known(table));
            let whole = local.flatten();
            let size_bytes = whole
                .as_ref()
                .map_or(table.size_bytes, |whole| whole.size_bytes);
            let entry = ManifestEntry {
                hash: whole.and_then(|whole| whole.md5).unwrap_or_default(),
                updated: Some(table.extracted_at.to_string()),
                size_bytes,
                rows: table.rows,
                query_mode: table.query_mode.as_str(),
                source_type,
                filtered: false,
            };
            (table.name.to_string(), entry)
        });
        Ok(Json(Manifest {
            tables: entries.collect(),
            assets: BTreeMap::new(),
            server_time: Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00")
                .to_string(),
        }))
    })
    .await
}

/// The connector of each source.
pub(crate) fn connectors(app: &App) -> ApiResult<BTreeMap<SourceName, String>> {
    let sources = app.state().sources()?.into_iter();
    Ok(sources
        .map(|source| (source.name, source.connector.to_string()))
        .collect())
}
