//! `/api/data`: tables as parquet files.

use std::path::PathBuf;

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use domain::{QueryMode, TableName};
use tower_http::services::ServeFile;
use warehouse::{Catalog, CatalogTable};

use crate::app::{App, AppState};
use crate::auth::{By, may_read};
use crate::error::{ApiError, ApiResult};

/// Downloads a table as a parquet file.
///
/// Knows `ETag`, `If-None-Match` and `Range`, so that a download can be skipped or resumed.
#[utoipa::path(get, path = "/api/data/{table}/download", tag = "data",
    params(("table" = String, Path, description = "The table"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of a file that you have"),
        ("Range" = Option<String>, Header, description = "A part of the file")),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The part that was asked for"),
        (status = 304, description = "You have it"), (status = 404),
        (status = 409, description = "It is not one file")))]
pub(crate) async fn download_table(
    by: By,
    app: AppState,
    Path(table): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> ApiResult<Response> {
    // Only names that the catalogue knows lead to a file.
    let (name, mut response) = match serve(&app, &by, &table, &method, &headers).await? {
        // A publish took the file away after it was looked up; the catalogue names the new one.
        (_, gone) if gone.status() == StatusCode::NOT_FOUND => {
            serve(&app, &by, &table, &method, &headers).await?
        }
        served => served,
    };
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let disposition = format!("attachment; filename=\"{name}.parquet\"");
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// The table's name and its file, or the part of it that the request's headers ask for.
async fn serve(
    app: &App,
    by: &By,
    table: &str,
    method: &Method,
    headers: &HeaderMap,
) -> ApiResult<(TableName, Response)> {
    let (name, file) = find(&app.catalog(), table, |table| may_read(by, table))?;
    let mut request = axum::http::Request::new(());
    method.clone_into(request.method_mut());
    headers.clone_into(request.headers_mut());
    let served = ServeFile::new(file).try_call(request).await;
    Ok((name, served.map_err(ApiError::internal)?.map(Body::new)))
}

/// The file of a table. One that may not be read is answered like one that is not there.
fn find(
    catalog: &Catalog,
    table: &str,
    may_read: impl Fn(&CatalogTable) -> bool,
) -> ApiResult<(TableName, PathBuf)> {
    if TableName::parse(table).is_err() {
        return Err(ApiError::not_found("table-not-found", "Table not found"));
    }
    let found = catalog.table(table).filter(|found| may_read(found));
    let found = found.ok_or_else(|| {
        ApiError::not_found("table-not-found", format!("Table '{table}' not found"))
    })?;
    match (found.query_mode, found.files.as_slice()) {
        (QueryMode::Local, [file]) => Ok((found.name.clone(), file.path.clone())),
        (QueryMode::Local, files) => Err(ApiError::conflict(
            "table-in-parts",
            format!(
                "Table '{table}' is in {} files and cannot be downloaded as one; query it",
                files.len()
            ),
        )),
        (QueryMode::Remote, _) => Err(ApiError::conflict(
            "table-remote",
            format!("Table '{table}' lies in a remote database and has no file; query it"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use std::sync::Arc;
    use warehouse::TableFile;

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
    fn a_table_of_one_file_is_found_without_regard_to_case() {
        let (name, file) = find(&catalog(QueryMode::Local, 1), "orders", |_| true).unwrap();
        assert_eq!(
            (name.as_str(), file),
            ("Orders", PathBuf::from("/data/0.parquet"))
        );
    }

    #[test]
    fn what_is_no_table_or_no_file_leads_nowhere() {
        let local = catalog(QueryMode::Local, 1);
        for name in ["..", "../state", "a/b", "", "nothing"] {
            assert_eq!(
                find(&local, name, |_| true).unwrap_err().code,
                "table-not-found",
                "{name}"
            );
        }
        let hidden = find(&local, "orders", |_| false).unwrap_err();
        let missing = find(&local, "nothing", |_| true).unwrap_err();
        assert_eq!(hidden.detail.replace("orders", "nothing"), missing.detail);
        let parts = find(&catalog(QueryMode::Local, 2), "orders", |_| true).unwrap_err();
        assert_eq!(parts.code, "table-in-parts");
        let remote = find(&catalog(QueryMode::Remote, 0), "orders", |_| true).unwrap_err();
        assert_eq!(remote.code, "table-remote");
    }
}
