//! `/api/admin/metadata`: what is known about tables beside their rows.

use axum::Json;
use axum::extract::Path;
use domain::{ColumnNote, TableName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// DuckDB's tables rarely have more columns, and no person describes more.
const MAX_COLUMNS: usize = 2000;
const MAX_NAME: usize = 300;
const MAX_WORDS: usize = 4000;

/// What is said about a column.
#[derive(Serialize, ToSchema)]
pub(crate) struct ColumnNoteView {
    table_id: String,
    column_name: String,
    basetype: Option<String>,
    description: Option<String>,
    confidence: String,
    source: String,
    updated_at: String,
}

/// What is said about the columns of a table.
#[derive(Serialize, ToSchema)]
pub(crate) struct ColumnNotes {
    table_id: String,
    columns: Vec<ColumnNoteView>,
}

/// Shows what is said about the columns of a table.
#[utoipa::path(get, path = "/api/admin/metadata/{table}", tag = "data",
    params(("table" = String, Path, description = "The table")),
    responses((status = 200, body = ColumnNotes)))]
pub(crate) async fn get_column_notes(
    app: AppState,
    Path(table): Path<TableName>,
) -> ApiResult<Json<ColumnNotes>> {
    blocking(move || {
        let notes = app.state().column_notes(table.as_str())?.into_iter();
        let columns = notes.map(|note| ColumnNoteView {
            table_id: table.to_string(),
            column_name: note.column,
            basetype: note.basetype,
            description: note.description,
            confidence: note.confidence,
            source: note.source,
            updated_at: note.updated_at.to_string(),
        });
        Ok(Json(ColumnNotes {
            table_id: table.to_string(),
            columns: columns.collect(),
        }))
    })
    .await
}

/// What to say about a column.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewColumnNote {
    column_name: String,
    basetype: Option<String>,
    description: Option<String>,
    /// `manual` by default.
    confidence: Option<String>,
}

/// What to say about columns.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewColumnNotes {
    columns: Vec<NewColumnNote>,
}

/// How much was kept.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeptNotes {
    /// `ok`.
    status: &'static str,
    count: usize,
}

/// Says what columns mean. Other columns of the table keep what was said about them.
#[utoipa::path(post, path = "/api/admin/metadata/{table}", tag = "data", request_body = NewColumnNotes,
    params(("table" = String, Path, description = "The table; it need not be there yet")),
    responses((status = 200, body = KeptNotes), (status = 422)))]
pub(crate) async fn put_column_notes(
    by: By,
    app: AppState,
    Path(table): Path<TableName>,
    Json(new): Json<NewColumnNotes>,
) -> ApiResult<Json<KeptNotes>> {
    if new.columns.len() > MAX_COLUMNS {
        let text = format!("at most {MAX_COLUMNS} columns can be described at once");
        return Err(ApiError::invalid("too-many-columns", text));
    }
    let now = Timestamp::now();
    let notes = new.columns.into_iter().map(|note| checked(note, now));
    let notes = notes.collect::<ApiResult<Vec<_>>>()?;
    blocking(move || {
        let count = notes.len();
        let what = json!({"columns": count});
        let entry = by.entry_with("column_metadata.put", format!("table:{table}"), what);
        app.state()
            .put_column_notes(table.as_str(), &notes, &entry)?;
        let status = "ok";
        Ok(Json(KeptNotes { status, count }))
    })
    .await
}

/// What was written elsewhere.
#[derive(Serialize, ToSchema)]
pub(crate) struct Pushed {
    /// `ok`.
    status: &'static str,
    pushed: usize,
    /// Why nothing was.
    message: &'static str,
}

/// Writes what is said about columns to where their table comes from.
///
/// The predecessor did so for Keboola. Here connectors read and never write, so there is nowhere to write to: the answer
/// says so as the predecessor's client understands it.
#[utoipa::path(post, path = "/api/admin/metadata/{table}/push", tag = "data",
    params(("table" = String, Path, description = "The table")),
    responses((status = 200, body = Pushed), (status = 400), (status = 404), (status = 409)))]
pub(crate) async fn push_column_notes(
    app: AppState,
    Path(table): Path<TableName>,
) -> ApiResult<Json<Pushed>> {
    blocking(move || {
        let registered = app.state().registered_tables()?;
        let found = registered.iter().find(|known| known.id == table.as_str());
        let found = found.ok_or_else(|| {
            ApiError::not_found("table-not-found", format!("Table not found: {table}"))
        })?;
        let origin = found.source_type.as_deref().unwrap_or_default();
        if origin != "keboola" {
            let text = format!(
                "Push is only supported for keboola tables (table source_type='{origin}')"
            );
            return Err(ApiError::bad_request("push-unsupported", text));
        }
        if !app.state().column_notes(table.as_str())?.is_empty() {
            let text = "Connectors of this server read and never write: what is said about columns stays here";
            return Err(ApiError::conflict("push-unsupported", text));
        }
        Ok(Json(Pushed {
            status: "ok",
            pushed: 0,
            message: "No column metadata to push",
        }))
    })
    .await
}

fn checked(note: NewColumnNote, now: Timestamp) -> ApiResult<ColumnNote> {
    let column = note.column_name.trim();
    if column.is_empty() || column.len() > MAX_NAME || column.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            "column-invalid",
            format!("column_name is empty, has a line break or more than {MAX_NAME} bytes"),
        ));
    }
    let words = [&note.basetype, &note.description, &note.confidence];
    let lengths = words.map(|text| text.as_ref().map_or(0, String::len));
    if lengths.iter().any(|length| *length > MAX_WORDS) {
        return Err(ApiError::invalid(
            "words-too-long",
            format!("what is said about `{column}` has more than {MAX_WORDS} bytes"),
        ));
    }
    Ok(ColumnNote {
        column: column.to_owned(),
        basetype: note.basetype,
        description: note.description,
        confidence: note.confidence.unwrap_or_else(|| "manual".to_owned()),
        source: "manual".to_owned(),
        updated_at: now,
    })
}
