//! `/api/v2`: what a table looks like, and a part of its rows, as `da catalog`, `schema`, `describe` and `fetch` ask.

pub(crate) mod request;
pub(crate) mod scan;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query};
use domain::restriction::{Extent, Mask};
use domain::sql_ident::quote_ident;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use utoipa::ToSchema;
use warehouse::{CatalogColumn, CatalogTable, QueryOptions};

use super::sync::connectors;
use crate::app::{App, AppState, blocking};
use crate::auth::{By, extent};
use crate::error::{ApiError, ApiResult};

/// How many rows a sample has at most.
const MOST_SAMPLED: usize = 100;

/// All tables.
#[derive(Serialize, ToSchema)]
pub(crate) struct DiscoveredTables {
    tables: Vec<DiscoveredTable>,
    /// The server's time.
    server_time: String,
}

/// A table, and how its rows are had.
#[derive(Serialize, ToSchema)]
pub(crate) struct DiscoveredTable {
    /// The same as its name.
    id: String,
    /// As it is queried.
    name: String,
    /// What it holds; may be empty.
    description: String,
    /// The connector that brought it.
    source_type: String,
    /// `local` or `remote`.
    query_mode: &'static str,
    /// In which dialect its predicates are.
    sql_flavor: &'static str,
    /// Predicates to begin with.
    where_examples: Vec<String>,
    /// What to do for its rows.
    fetch_via: &'static str,
    /// Not known in advance.
    rough_size_hint: Option<String>,
    /// Whether you see a part of it only.
    filtered: bool,
}

/// Lists the tables that you may read.
#[utoipa::path(get, path = "/api/v2/catalog", tag = "data",
    params(("refresh" = Option<String>, Query, description = "Nothing to do: the answer is always new")),
    responses((status = 200, body = DiscoveredTables)))]
pub(crate) async fn get_catalog(by: By, app: AppState) -> ApiResult<Json<DiscoveredTables>> {
    blocking(move || {
        let connectors = connectors(&app)?;
        let catalog = app.catalog();
        let mine = catalog.tables.iter();
        let mine = mine.filter_map(|table| Some((table, extent(&by, table)?)));
        let tables = mine.map(|(table, extent)| DiscoveredTable {
            filtered: extent.is_part(),
            id: table.name.to_string(),
            name: table.name.to_string(),
            description: table.description.clone(),
            source_type: connectors.get(&table.source).cloned().unwrap_or_default(),
            query_mode: table.query_mode.as_str(),
            sql_flavor: "duckdb",
            where_examples: Vec::new(),
            fetch_via: match extent {
                Extent::Whole => "already local — query directly via `da query`",
                Extent::Part(_) => {
                    "filtered for you — query via `da query --remote`, or fetch rows via `da fetch`"
                }
            },
            rough_size_hint: None,
        });
        Ok(Json(DiscoveredTables {
            tables: tables.collect(),
            server_time: Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00")
                .to_string(),
        }))
    })
    .await
}

/// The columns of a table.
#[derive(Serialize, ToSchema)]
pub(crate) struct TableSchema {
    /// The table.
    table_id: String,
    /// The connector that brought it.
    source_type: String,
    /// In which dialect its predicates are.
    sql_flavor: &'static str,
    /// In their order.
    columns: Vec<SchemaColumn>,
    /// Of tables that lie elsewhere.
    partition_by: Option<String>,
    /// The same.
    clustered_by: Vec<String>,
    /// How literals are written where that is not plain SQL.
    where_dialect_hints: BTreeMap<String, String>,
}

/// A column.
#[derive(Serialize, ToSchema)]
pub(crate) struct SchemaColumn {
    /// Its name.
    name: String,
    /// Its type in SQL.
    #[serde(rename = "type")]
    data_type: String,
    /// Always so.
    nullable: bool,
    /// What is said about it; may be empty.
    description: String,
    /// What stands in place of its values for you: `null`, `hash` or `constant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    masked: Option<&'static str>,
}

/// Shows a table's columns.
#[utoipa::path(get, path = "/api/v2/schema/{id}", tag = "data",
    params(("id" = String, Path, description = "The table")),
    responses((status = 200, body = TableSchema), (status = 404)))]
pub(crate) async fn get_schema(
    by: By,
    app: AppState,
    Path(id): Path<String>,
) -> ApiResult<Json<TableSchema>> {
    blocking(move || {
        let (table, extent) = find(&app, &by, &id)?;
        let notes = app.state().column_notes(table.name.as_str())?;
        let said = |column: &str| {
            let note = notes
                .iter()
                .find(|note| note.column.eq_ignore_ascii_case(column));
            note.and_then(|note| note.description.clone())
                .unwrap_or_default()
        };
        let columns = table.columns.iter().map(|column| SchemaColumn {
            name: column.name.clone(),
            data_type: seen_type(&extent, column).to_owned(),
            masked: extent.mask(&column.name).map(Mask::as_str),
            nullable: true,
            description: said(&column.name),
        });
        Ok(Json(TableSchema {
            table_id: table.name.to_string(),
            source_type: source_type(&app, &table)?,
            sql_flavor: "duckdb",
            columns: columns.collect(),
            partition_by: None,
            clustered_by: Vec::new(),
            where_dialect_hints: BTreeMap::new(),
        }))
    })
    .await
}

/// How many rows.
#[derive(Deserialize)]
pub(crate) struct SampleQuery {
    n: Option<String>,
}

/// Some rows of a table.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sample {
    /// The table.
    table_id: String,
    /// Its first rows: values by column, dates as timestamps and decimals as numbers.
    rows: Vec<Map<String, Value>>,
    /// The connector that brought it.
    source: String,
}

/// Shows a table's first rows.
#[utoipa::path(get, path = "/api/v2/sample/{id}", tag = "data",
    params(("id" = String, Path, description = "The table"),
        ("n" = Option<usize>, Query, description = "How many rows: 1 to 100, 5 by default")),
    responses((status = 200, body = Sample), (status = 404), (status = 422)))]
pub(crate) async fn get_sample(
    by: By,
    app: AppState,
    Path(id): Path<String>,
    Query(query): Query<SampleQuery>,
) -> ApiResult<Json<Sample>> {
    let limit = query.n.map_or(Ok(5), |n| n.parse::<usize>());
    let limit = limit
        .ok()
        .filter(|limit| (1..=MOST_SAMPLED).contains(limit));
    let limit = limit.ok_or_else(|| {
        ApiError::invalid(
            "invalid-request",
            format!("n must be a number from 1 to {MOST_SAMPLED}"),
        )
    })?;
    blocking(move || {
        let (table, extent) = find(&app, &by, &id)?;
        let options = QueryOptions {
            limit,
            timeout: app.config.queries.timeout(),
            ..QueryOptions::default()
        };
        let sql = format!(
            "SELECT * FROM {} LIMIT {limit}",
            quote_ident(table.name.as_str())
        );
        let scope = app.directory.scope(&by, &app.catalog());
        let answer = app.warehouse.queries.query(&scope, &sql, &options)?;
        let rows = answer.rows.into_iter().map(|row| {
            let columns = answer.columns.iter().cloned();
            columns
                .zip(row)
                .map(|(name, value)| shown(&table, &extent, name, value))
                .collect()
        });
        Ok(Json(Sample {
            table_id: table.name.to_string(),
            rows: rows.collect(),
            source: source_type(&app, &table)?,
        }))
    })
    .await
}

/// A value as old clients know it: the predecessor read tables into data frames.
fn shown(table: &CatalogTable, extent: &Extent, name: String, value: Value) -> (String, Value) {
    let column = table.columns.iter().find(|column| column.name == name);
    let kind = column.map_or("", |column| seen_type(extent, column));
    let value = match &value {
        Value::String(day) if kind == "DATE" => Value::from(format!("{day}T00:00:00")),
        Value::String(moment) if kind.starts_with("TIMESTAMP") => {
            Value::from(moment.replacen(' ', "T", 1))
        }
        Value::String(number) if kind.starts_with("DECIMAL") && !kind.ends_with(']') => number
            .parse::<f64>()
            .map_or_else(|_| value.clone(), Value::from),
        Value::String(text) if kind.ends_with(']') || kind.starts_with("STRUCT") => {
            serde_json::from_str(text).unwrap_or_else(|_| value.clone())
        }
        _ => value,
    };
    (name, value)
}

/// A column's type as it is seen: hashes and such are text.
fn seen_type<'a>(extent: &Extent, column: &'a CatalogColumn) -> &'a str {
    match extent.is_text(&column.name) {
        true => "VARCHAR",
        false => &column.data_type,
    }
}

/// A table by its name, and how much of it is seen. One that may not be read is answered like one that is not there.
pub(super) fn find(app: &App, by: &By, id: &str) -> ApiResult<(Arc<CatalogTable>, Extent)> {
    let catalog = app.catalog();
    let found = catalog.table(id);
    let found = found.and_then(|table| Some((Arc::clone(table), extent(by, table)?)));
    found.ok_or_else(|| {
        let id: String = id.chars().take(128).collect();
        ApiError::not_found("table-not-found", format!("table '{id}' not found"))
    })
}

fn source_type(app: &App, table: &CatalogTable) -> ApiResult<String> {
    Ok(connectors(app)?.remove(&table.source).unwrap_or_default())
}
