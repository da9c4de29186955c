//! `/api/sources/{name}/…`: where a source goes on reading, and how the columns of its tables changed.

use axum::Json;
use axum::extract::{Path, Query};
use domain::schema_change::SchemaChange;
use domain::{Failure, SourceName, TableName};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::sources::{find, find_runnable, on};
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::ApiResult;

const DEFAULT_CHANGES: u32 = 200;
const MAX_CHANGES: u32 = 10_000;

/// Which tables.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Chosen {
    /// The tables; all that have rows or a cursor by default.
    #[schema(value_type = Option<Vec<String>>)]
    tables: Option<Vec<TableName>>,
}

/// The tables that a request concerned.
#[derive(Serialize, ToSchema)]
pub(crate) struct Concerned {
    tables: Vec<String>,
}

/// Lets the next run of a source bring its tables anew.
///
/// The run finds no cursor, and the first rows that it publishes of a table take the place of all that are
/// there, whatever the write mode. Until then they stay. This holds, table by table, until it has happened.
#[utoipa::path(post, path = "/api/sources/{name}/refresh", tag = "sources",
    params(("name" = String, Path, description = "The source")), request_body = Option<Chosen>,
    responses((status = 200, body = Concerned), (status = 404), (status = 409, description = "It is running"),
        (status = 422, description = "A table is not there")))]
pub(crate) async fn refresh_source(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
    body: Option<Json<Chosen>>,
) -> ApiResult<Json<Concerned>> {
    tracing::info!(source = %name, user = %by.user, "source {name} is to be brought anew");
    blocking(move || {
        let extracts = &app.warehouse.extracts;
        change(
            &app,
            &by,
            &name,
            body,
            "source.refresh",
            |source, tables| extracts.bring_anew(source, tables),
        )
    })
    .await
}

/// Forgets where a source stands in its tables: the next run reads them from their start.
///
/// Rows that are there stay. A table of the write mode `append` gets those that come again a second time;
/// a refresh replaces them.
#[utoipa::path(post, path = "/api/sources/{name}/reset-cursor", tag = "sources",
    params(("name" = String, Path, description = "The source")), request_body = Option<Chosen>,
    responses((status = 200, body = Concerned), (status = 404), (status = 409, description = "It is running"),
        (status = 422, description = "A table is not there")))]
pub(crate) async fn reset_cursor(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
    body: Option<Json<Chosen>>,
) -> ApiResult<Json<Concerned>> {
    tracing::info!(source = %name, user = %by.user, "cursors of source {name} are being reset");
    blocking(move || {
        let extracts = &app.warehouse.extracts;
        change(
            &app,
            &by,
            &name,
            body,
            "source.reset_cursor",
            |source, tables| extracts.reset_cursors(source, tables),
        )
    })
    .await
}

/// Changes an extract while no run is under way, and writes down who did.
fn change(
    app: &App,
    by: &By,
    name: &SourceName,
    body: Option<Json<Chosen>>,
    action: &'static str,
    change: impl FnOnce(&SourceName, &[TableName]) -> Result<Vec<String>, Failure>,
) -> ApiResult<Json<Concerned>> {
    let source = find(app, name)?;
    let chosen = body.and_then(|Json(chosen)| chosen.tables);
    let _hold = app.ingest.hold(&source.name)?;
    let tables = change(&source.name, &chosen.unwrap_or_default())?;
    let entry = by.entry_with(action, on(&source.name), json!({"tables": tables}));
    app.state().audit(&entry)?;
    Ok(Json(Concerned { tables }))
}

/// Which changes to list.
#[derive(Deserialize, IntoParams)]
pub(crate) struct ChangeFilter {
    /// Only changes of this table.
    #[param(value_type = Option<String>)]
    table: Option<TableName>,
    /// At most so many; 200 by default, 10000 at most.
    limit: Option<u32>,
}

/// A change of a column.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes what serde writes")]
#[schema(as = SchemaChange)]
struct ChangeShape {
    table: String,
    /// The id of the run that brought it.
    run: Option<String>,
    /// When its rows were published.
    at: String,
    /// `added`, `removed`, `widened`, or `retyped` where the table came anew with another type.
    kind: String,
    column: String,
    /// Its type before.
    before: Option<String>,
    /// Its type from then on.
    after: Option<String>,
}

/// How columns changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct SchemaHistory {
    /// Newest first.
    #[schema(value_type = Vec<ChangeShape>)]
    changes: Vec<SchemaChange>,
}

/// Lists how the columns of a source's tables changed, with the runs that brought it, newest first.
#[utoipa::path(get, path = "/api/sources/{name}/schema-history", tag = "sources",
    params(("name" = String, Path, description = "The source"), ChangeFilter),
    responses((status = 200, body = SchemaHistory), (status = 404)))]
pub(crate) async fn get_schema_history(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
    Query(filter): Query<ChangeFilter>,
) -> ApiResult<Json<SchemaHistory>> {
    let most = filter
        .limit
        .unwrap_or(DEFAULT_CHANGES)
        .clamp(1, MAX_CHANGES);
    blocking(move || {
        let source = find_runnable(&app, &by, &name)?;
        let table = filter.table.map(|table| table.folded());
        let changes = app
            .state()
            .schema_history(&source.name, table.as_deref(), most)?;
        Ok(Json(SchemaHistory { changes }))
    })
    .await
}
