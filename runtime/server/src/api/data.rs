//! `/api/data`: tables as parquet files, as one or part by part.

pub(crate) mod file;

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::Response;
use domain::{QueryMode, TableName};
use serde::Serialize;
use utoipa::ToSchema;
use warehouse::{Catalog, CatalogTable, TableFile};

use crate::app::{AppState, blocking};
use crate::auth::{By, extent, may_read};
use crate::error::{ApiError, ApiResult};
use file::Opened;

/// Downloads a table as a parquet file.
///
/// Knows `ETag`, `If-None-Match`, `Range` and `If-Range`, so that a download can be skipped or resumed. A table of
/// several files is put together at its first download.
#[utoipa::path(get, path = "/api/data/{table}/download", tag = "data",
    params(("table" = String, Path, description = "The table"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of a file that you have"),
        ("Range" = Option<String>, Header, description = "A part of the file"),
        ("If-Range" = Option<String>, Header, description = "The ETag of the file of which you have a part")),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The part that was asked for"),
        (status = 304, description = "You have it"),
        (status = 403, description = "You see a part of it"), (status = 404),
        (status = 409, description = "It has no file"), (status = 416, description = "It is not that long")))]
pub(crate) async fn download_table(
    by: By,
    app: AppState,
    Path(table): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let open = move || {
        retried(|| {
            let found = find(&by, &app.catalog(), &table)?;
            let most = app.config.downloads.cache_bytes;
            let whole = app.warehouse.wholes.make(&found, most)?;
            let opened = Opened::open(&whole.path, whole.md5.as_deref());
            Ok((found.name.to_string(), opened.map_err(ApiError::internal)?))
        })
    };
    let (name, opened) = blocking(open).await?;
    attached(&name, opened.answer(&headers)?)
}

/// The files of a table.
#[derive(Serialize, ToSchema)]
pub(crate) struct Parts {
    /// The table.
    table: String,
    /// In the order of their rows.
    parts: Vec<PartView>,
}

/// One file of a table.
#[derive(Serialize, ToSchema)]
pub(crate) struct PartView {
    /// Its place, from 0 on.
    n: usize,
    /// Its name; another one means other rows.
    name: String,
    /// Rows in it.
    rows: u64,
    /// Its bytes.
    size_bytes: u64,
    /// The MD5 of its bytes; empty where another program wrote it.
    md5: String,
    /// The partition that it holds, where the table is split.
    partition: Option<String>,
}

/// Lists the parquet files that a table consists of.
#[utoipa::path(get, path = "/api/data/{table}/parts", tag = "data",
    params(("table" = String, Path, description = "The table")),
    responses((status = 200, body = Parts), (status = 403, description = "You see a part of it"), (status = 404), (status = 409, description = "It has no file")))]
pub(crate) async fn list_parts(
    by: By,
    app: AppState,
    Path(table): Path<String>,
) -> ApiResult<Json<Parts>> {
    let table = find(&by, &app.catalog(), &table)?;
    let parts = table.files.iter().enumerate().map(|(n, file)| PartView {
        n,
        name: name_of(file),
        rows: file.rows,
        size_bytes: file.size_bytes,
        md5: file.md5.clone().unwrap_or_default(),
        partition: file.partition.clone(),
    });
    Ok(Json(Parts {
        table: table.name.to_string(),
        parts: parts.collect(),
    }))
}

/// Downloads one of the files that a table consists of.
///
/// Ask with `If-Match` and the part's MD5 between quotes, so that a publish in between shows.
#[utoipa::path(get, path = "/api/data/{table}/parts/{n}/download", tag = "data",
    params(("table" = String, Path, description = "The table"), ("n" = usize, Path, description = "Which part, from 0 on"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the file that you want"),
        ("Range" = Option<String>, Header, description = "A part of the file")),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The part of it that was asked for"),
        (status = 403, description = "You see a part of it"), (status = 404), (status = 409, description = "It has no file"), (status = 412, description = "It is another file by now")))]
pub(crate) async fn download_part(
    by: By,
    app: AppState,
    Path((table, n)): Path<(String, usize)>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let open = move || {
        retried(|| {
            let found = find(&by, &app.catalog(), &table)?;
            let file = found.files.get(n).ok_or_else(|| {
                let parts = found.files.len();
                ApiError::not_found(
                    "part-not-found",
                    format!("the table has {parts} parts, counted from 0"),
                )
            })?;
            let opened = Opened::open(&file.path, file.md5.as_deref());
            let name = format!("{}-{n}", found.name);
            Ok((name, opened.map_err(ApiError::internal)?))
        })
    };
    let (name, opened) = blocking(open).await?;
    attached(&name, opened.answer(&headers)?)
}

/// Once more where a publish took a file away after it was looked up; the catalogue names the new one.
fn retried<T>(work: impl Fn() -> ApiResult<T>) -> ApiResult<T> {
    work().or_else(
        |error| match error.status.is_server_error() || error.code == "limit" {
            true => work(),
            false => Err(error),
        },
    )
}

/// The file of an answer, under a name for whoever keeps it.
fn attached(name: &str, mut response: Response) -> ApiResult<Response> {
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let disposition = format!("attachment; filename=\"{name}.parquet\"");
    let disposition = HeaderValue::from_str(&disposition).map_err(ApiError::internal)?;
    headers.insert(CONTENT_DISPOSITION, disposition);
    Ok(response)
}

fn name_of(file: &TableFile) -> String {
    let name = file.path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Refuses what shows all of a table to those who see a part of it.
pub(super) fn refuse_part(by: &By, catalog: &Catalog, table: &str, why: &str) -> ApiResult<()> {
    let seen = catalog.table(table).and_then(|found| extent(by, found));
    match seen.is_some_and(|extent| extent.is_part()) {
        false => Ok(()),
        true => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "table-filtered",
            format!(
                "You see a part of table '{table}', and {why}; query it, or fetch rows with `da fetch`"
            ),
        )),
    }
}

/// A table with files, all rows of which may be read.
fn find(by: &By, catalog: &Catalog, table: &str) -> ApiResult<Arc<CatalogTable>> {
    refuse_part(by, catalog, table, "its files hold all of it")?;
    lookup(catalog, table, |table| may_read(by, table))
}

/// A table with files. One that may not be read is answered like one that is not there.
fn lookup(
    catalog: &Catalog,
    table: &str,
    may_read: impl Fn(&CatalogTable) -> bool,
) -> ApiResult<Arc<CatalogTable>> {
    if TableName::parse(table).is_err() {
        return Err(ApiError::not_found("table-not-found", "Table not found"));
    }
    let found = catalog.table(table).filter(|found| may_read(found));
    let found = found.ok_or_else(|| {
        ApiError::not_found("table-not-found", format!("Table '{table}' not found"))
    })?;
    match found.query_mode {
        QueryMode::Local if found.files.is_empty() => Err(ApiError::conflict(
            "table-empty",
            format!("Table '{table}' has no file"),
        )),
        QueryMode::Local => Ok(Arc::clone(found)),
        QueryMode::Remote => Err(ApiError::conflict(
            "table-remote",
            format!("Table '{table}' lies in a remote database and has no file; query it"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use std::path::PathBuf;

    fn catalog(query_mode: QueryMode, files: usize) -> Catalog {
        let file = |number| TableFile {
            path: PathBuf::from(format!("/data/{number}.parquet")),
            rows: 1,
            size_bytes: 1,
            sha256: None,
            md5: None,
            partition: None,
            origin: None,
        };
        let table = CatalogTable {
            name: TableName::parse("Orders").unwrap(),
            source: domain::SourceName::parse("shop").unwrap(),
            description: String::new(),
            rows: 1,
            size_bytes: 1,
            extracted_at: Timestamp::now(),
            query_mode,
            files: (0..files).map(file).collect(),
            columns: Vec::new(),
            remote: None,
        };
        Catalog {
            version: 1,
            tables: vec![Arc::new(table)],
        }
    }

    #[test]
    fn a_table_is_found_without_regard_to_case() {
        let found = lookup(&catalog(QueryMode::Local, 1), "orders", |_| true).unwrap();
        assert_eq!(found.name.as_str(), "Orders");
    }

    #[test]
    fn what_is_no_table_or_no_file_leads_nowhere() {
        let local = catalog(QueryMode::Local, 1);
        for name in ["..", "../state", "a/b", "", "nothing"] {
            assert_eq!(
                lookup(&local, name, |_| true).unwrap_err().code,
                "table-not-found",
                "{name}"
            );
        }
        let hidden = lookup(&local, "orders", |_| false).unwrap_err();
        let missing = lookup(&local, "nothing", |_| true).unwrap_err();
        assert_eq!(hidden.detail.replace("orders", "nothing"), missing.detail);
        let empty = lookup(&catalog(QueryMode::Local, 0), "orders", |_| true).unwrap_err();
        assert_eq!(empty.code, "table-empty");
        let remote = lookup(&catalog(QueryMode::Remote, 0), "orders", |_| true).unwrap_err();
        assert_eq!(remote.code, "table-remote");
    }
}
