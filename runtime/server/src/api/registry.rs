//! `/api/admin/registry`: the register of tables, with what admins say about them. All for admins.

mod change;

use std::collections::HashMap;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::registry::{SyncEvent, SyncState};
use domain::{QueryMode, RegisteredTable, TableName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use warehouse::StateError;

use change::Details;
pub(crate) use change::TableChange;

use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// A registered table.
#[derive(Serialize, ToSchema)]
pub(crate) struct TableView {
    /// The name in small letters.
    id: String,
    name: String,
    /// The source that published it last.
    source: Option<String>,
    /// Its connector; empty where nobody said. The predecessor's client fails on null here.
    source_type: String,
    /// Where its connector finds it; empty where nobody said.
    bucket: String,
    source_table: Option<String>,
    sync_strategy: String,
    /// `local` or `remote`.
    query_mode: &'static str,
    sync_schedule: Option<String>,
    profile_after_sync: bool,
    /// Columns that name a row.
    primary_key: Option<Vec<String>>,
    folder: Option<String>,
    description: Option<String>,
    registered_by: Option<String>,
    registered_at: String,
    /// Whether a source has it published now.
    published: bool,
    /// How its last sync went; nothing where there was none.
    sync: Option<SyncView>,
}

/// How the last sync of a table went.
#[derive(Serialize, ToSchema)]
pub(crate) struct SyncView {
    /// When its rows were published.
    last_sync: String,
    rows: u64,
    file_size_bytes: u64,
    columns: u64,
    hash: Option<String>,
    /// `ok` or `error`.
    status: &'static str,
    error: Option<String>,
}

impl From<SyncState> for SyncView {
    fn from(state: SyncState) -> Self {
        Self {
            last_sync: state.last_sync.to_string(),
            rows: state.rows,
            file_size_bytes: state.file_size_bytes,
            columns: state.columns,
            hash: state.hash,
            status: state.status.as_str(),
            error: state.error,
        }
    }
}

impl TableView {
    fn of(table: RegisteredTable, published: bool, sync: Option<SyncState>) -> Self {
        Self {
            id: table.id,
            name: table.name,
            source: table.source.map(|name| name.to_string()),
            source_type: table.source_type.unwrap_or_default(),
            bucket: table.bucket.unwrap_or_default(),
            source_table: table.source_table,
            sync_strategy: table.sync_strategy,
            query_mode: table.query_mode.as_str(),
            sync_schedule: table.sync_schedule,
            profile_after_sync: table.profile_after_sync,
            primary_key: (!table.primary_key.is_empty()).then_some(table.primary_key),
            folder: table.folder,
            description: table.description,
            registered_by: table.registered_by.map(|id| id.to_string()),
            registered_at: table.registered_at.to_string(),
            published,
            sync: sync.map(Into::into),
        }
    }
}

/// The register.
#[derive(Serialize, ToSchema)]
pub(crate) struct Registry {
    tables: Vec<TableView>,
    count: usize,
}

/// Lists the registered tables by name.
#[utoipa::path(get, path = "/api/admin/registry", tag = "registry",
    responses((status = 200, body = Registry)))]
pub(crate) async fn list_registry(app: AppState) -> ApiResult<Json<Registry>> {
    blocking(move || {
        let tables = views(&app)?;
        let count = tables.len();
        Ok(Json(Registry { tables, count }))
    })
    .await
}

fn views(app: &App) -> ApiResult<Vec<TableView>> {
    let catalog = app.catalog();
    let states = app.state().sync_states()?.into_iter();
    let mut states: HashMap<_, _> = states.map(|state| (state.table.clone(), state)).collect();
    let tables = app.state().registered_tables()?.into_iter();
    let views = tables.map(|table| {
        let published = catalog.table(&table.id).is_some();
        let state = states.remove(&table.id);
        TableView::of(table, published, state)
    });
    Ok(views.collect())
}

/// One sync of a table.
#[derive(Serialize, ToSchema)]
pub(crate) struct SyncEventView {
    id: String,
    synced_at: String,
    /// Rows of the table after it.
    rows: u64,
    duration_ms: u64,
    /// `ok` or `error`.
    status: &'static str,
    error: Option<String>,
}

impl From<SyncEvent> for SyncEventView {
    fn from(event: SyncEvent) -> Self {
        Self {
            id: event.id.to_string(),
            synced_at: event.synced_at.to_string(),
            rows: event.rows,
            duration_ms: event.duration_ms,
            status: event.status.as_str(),
            error: event.error,
        }
    }
}

/// Lists the last syncs of a table, newest first.
#[utoipa::path(get, path = "/api/admin/registry/{id}/history", tag = "registry",
    params(("id" = String, Path, description = "The table")),
    responses((status = 200, body = Vec<SyncEventView>)))]
pub(crate) async fn list_syncs(
    app: AppState,
    Path(id): Path<String>,
) -> ApiResult<Json<Vec<SyncEventView>>> {
    let history = blocking(move || Ok(app.state().sync_history(&id)?)).await?;
    Ok(Json(history.into_iter().map(Into::into).collect()))
}

/// A table to register.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewTable {
    /// What it is called; with `_` for spaces and in small letters, this is its id.
    name: String,
    #[serde(flatten)]
    details: Details,
}

/// What was registered.
#[derive(Serialize, ToSchema)]
pub(crate) struct RegisteredView {
    id: String,
    name: String,
    /// `registered`.
    status: &'static str,
}

/// Registers a table before a source publishes it.
#[utoipa::path(post, path = "/api/admin/register-table", tag = "registry", request_body = NewTable,
    responses((status = 201, body = RegisteredView), (status = 409), (status = 422)))]
pub(crate) async fn register_table(
    by: By,
    app: AppState,
    Json(new): Json<NewTable>,
) -> ApiResult<(StatusCode, Json<RegisteredView>)> {
    let table = checked(&by, new)?;
    blocking(move || {
        let entry = by.entry("table.register", on(&table.id));
        let added = app.state().register_table(&table, &entry);
        added.map_err(|error| match error {
            StateError::AlreadyExists { .. } => ApiError::conflict(
                "already-exists",
                format!("Table '{}' already registered", table.id),
            ),
            error => error.into(),
        })?;
        let view = RegisteredView {
            id: table.id,
            name: table.name,
            status: "registered",
        };
        Ok((StatusCode::CREATED, Json(view)))
    })
    .await
}

fn checked(by: &By, new: NewTable) -> ApiResult<RegisteredTable> {
    let name = new.name.trim().to_owned();
    if name.is_empty() {
        let text = "Table name cannot be empty";
        return Err(ApiError::invalid("name-invalid", text));
    }
    let id = name.to_ascii_lowercase().replace(' ', "_");
    TableName::parse(&id).map_err(|error| ApiError::invalid("name-invalid", error.to_string()))?;
    let mut table = RegisteredTable {
        id,
        name,
        source: None,
        source_type: None,
        bucket: None,
        source_table: None,
        sync_strategy: "full_refresh".to_owned(),
        query_mode: QueryMode::Local,
        sync_schedule: None,
        profile_after_sync: true,
        primary_key: Vec::new(),
        folder: None,
        description: None,
        registered_by: Some(by.user),
        registered_at: Timestamp::now(),
    };
    new.details.checked()?.apply(&mut table);
    Ok(table)
}

/// What was changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Changed {
    id: String,
    /// The fields.
    updated: Vec<&'static str>,
}

/// Changes what is said about a table; what is left out stays.
///
/// The next publish of the table puts the source's connector and query mode back.
#[utoipa::path(put, path = "/api/admin/registry/{id}", tag = "registry", request_body = TableChange,
    params(("id" = String, Path, description = "The table")),
    responses((status = 200, body = Changed), (status = 404), (status = 422)))]
pub(crate) async fn update_registered(
    by: By,
    app: AppState,
    Path(id): Path<String>,
    Json(change): Json<TableChange>,
) -> ApiResult<Json<Changed>> {
    let change = change.checked()?;
    blocking(move || {
        let updated = change.fields();
        let entry = by.entry_with("table.update", on(&id), json!({"fields": updated}));
        let changed = app
            .state()
            .change_table(&id, |table| change.apply(table), &entry);
        changed.map_err(missing)?;
        Ok(Json(Changed { id, updated }))
    })
    .await
}

/// Removes a table from the register with its syncs.
///
/// Its rows stay, and it is registered again with the next publish of a source that has it.
#[utoipa::path(delete, path = "/api/admin/registry/{id}", tag = "registry",
    params(("id" = String, Path, description = "The table")),
    responses((status = 204), (status = 404)))]
pub(crate) async fn unregister_table(
    by: By,
    app: AppState,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        let entry = by.entry("table.unregister", on(&id));
        let gone = app.state().unregister_table(&id, &entry);
        gone.map_err(missing)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

fn on(table: &str) -> String {
    format!("table:{table}")
}

fn missing(error: StateError) -> ApiError {
    match error {
        StateError::NotFound { .. } => ApiError::not_found("table-not-found", "Table not found"),
        error => error.into(),
    }
}
