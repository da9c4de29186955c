//! `/api/catalog`: the tables as people look for them.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::sync::connectors;
use crate::app::{AppState, blocking};
use crate::auth::{By, extent};
use crate::error::ApiResult;

/// All tables.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tables {
    tables: Vec<TableView>,
    /// How many there are.
    count: usize,
}

/// A table.
#[derive(Serialize, ToSchema)]
pub(crate) struct TableView {
    /// The same as its name.
    id: String,
    /// As it is queried.
    name: String,
    /// What it holds; may be empty.
    description: String,
    /// The connector that brought it.
    source_type: String,
    /// The source that brought it.
    source: String,
    /// How it is brought: `full_refresh`.
    sync_strategy: &'static str,
    /// `local` or `remote`.
    query_mode: &'static str,
    /// Whether you see a part of it only: some rows are left out, or some columns masked.
    filtered: bool,
}

/// Lists the tables that you may read.
#[utoipa::path(get, path = "/api/catalog/tables", tag = "data", responses((status = 200, body = Tables)))]
pub(crate) async fn list_tables(by: By, app: AppState) -> ApiResult<Json<Tables>> {
    blocking(move || {
        let connectors = connectors(&app)?;
        let catalog = app.catalog();
        let mine = catalog.tables.iter();
        let mine = mine.filter_map(|table| Some((table, extent(&by, table)?)));
        let tables = mine.map(|(table, extent)| TableView {
            filtered: extent.is_part(),
            id: table.name.to_string(),
            name: table.name.to_string(),
            description: table.description.clone(),
            source_type: connectors.get(&table.source).cloned().unwrap_or_default(),
            source: table.source.to_string(),
            sync_strategy: "full_refresh",
            query_mode: table.query_mode.as_str(),
        });
        let tables: Vec<_> = tables.collect();
        let count = tables.len();
        Ok(Json(Tables { tables, count }))
    })
    .await
}
