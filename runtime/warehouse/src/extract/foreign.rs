//! Finds the parquet files of extracts that other programs wrote.

use std::path::{Path, PathBuf};

use domain::TableName;
use duckdb::{Connection, OptionalExt, params};

use super::contents::{ExtractError, TableFile};

/// The files of a table: `data/{table}.parquet`, `data/{table}/*.parquet`, or those that its view
/// names. None of them may lie outside of the extract's folder.
pub(super) fn files(
    connection: &Connection,
    folder: &Path,
    table: &TableName,
) -> Result<Vec<TableFile>, ExtractError> {
    let data = folder.join("data");
    let single = data.join(format!("{table}.parquet"));
    let mut paths = match single.is_file() {
        true => vec![single],
        false => parquet_in(&data.join(table.as_str())),
    };
    if paths.is_empty() {
        paths = from_view(connection, folder, table)?;
    }
    paths
        .into_iter()
        .map(|path| describe(folder, &path))
        .collect()
}

fn describe(folder: &Path, path: &Path) -> Result<TableFile, ExtractError> {
    let path = inside(folder, path)?;
    let size_bytes = path.metadata().map_or(0, |found| found.len());
    Ok(TableFile {
        path,
        rows: 0,
        size_bytes,
        sha256: None,
        md5: None,
        partition: None,
        origin: None,
    })
}

/// The absolute path of an existing file below a folder, links resolved.
pub(super) fn inside(folder: &Path, path: &Path) -> Result<PathBuf, ExtractError> {
    let resolve = |path: &Path| {
        let error = |e| ExtractError::Content(format!("cannot find `{}`: {e}", path.display()));
        path.canonicalize().map_err(error)
    };
    let (root, found) = (resolve(folder)?, resolve(&folder.join(path))?);
    match found.strip_prefix(&root) {
        // The folder as it was given: views name files by it.
        Ok(below) => Ok(folder.join(below)),
        Err(_) => {
            let reason = format!("`{}` lies outside of the extract's folder", path.display());
            Err(ExtractError::Content(reason))
        }
    }
}

fn parquet_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(found) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = found.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "parquet"))
        .collect();
    paths.sort();
    paths
}

/// The texts in the view's definition that name parquet files, or all of a folder's.
fn from_view(
    connection: &Connection,
    folder: &Path,
    table: &TableName,
) -> Result<Vec<PathBuf>, ExtractError> {
    let stored =
        "SELECT 1 FROM duckdb_tables() WHERE lower(table_name) = lower(?) AND NOT internal";
    if connection
        .prepare(stored)?
        .exists(params![table.as_str()])?
    {
        let reason = format!(
            "the table `{table}` is stored inside of extract.duckdb, where nobody could read it while it is \
             replaced: write its rows to data/{table}.parquet and make it a view over that"
        );
        return Err(ExtractError::Content(reason));
    }
    let sql = "SELECT sql FROM duckdb_views() WHERE lower(view_name) = lower(?) AND NOT internal";
    let found = connection.query_row(sql, params![table.as_str()], |row| row.get::<_, String>(0));
    let Some(definition) = found.optional()? else {
        let reason = format!("the table `{table}` has neither a parquet file nor a view");
        return Err(ExtractError::Content(reason));
    };
    let mut paths = Vec::new();
    for text in definition.split('\'').skip(1).step_by(2) {
        if let Some(all_of) = text.strip_suffix("/*.parquet") {
            paths.extend(parquet_in(&folder.join(all_of)));
        } else if text.ends_with(".parquet") {
            paths.push(PathBuf::from(text));
        }
    }
    if paths.is_empty() {
        let reason = format!("the view `{table}` is not over parquet files");
        return Err(ExtractError::Content(reason));
    }
    Ok(paths)
}
