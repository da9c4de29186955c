//! The master database: one view a table, for every program that reads DuckDB. Always written as a
//! new file and renamed, so that whoever has the old one open goes on with it.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use domain::{QueryMode, SourceName};
use duckdb::params;

use super::Problem;
use crate::catalog::{CatalogColumn, CatalogTable};
use crate::extract::{ExtractError, remove_database, sync_folder, view};
use crate::open::{Database, Patience};

/// Writes the views; gives the tables that have one, with their columns.
pub(super) fn write(
    path: &Path,
    tables: Vec<CatalogTable>,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Arc<CatalogTable>>, ExtractError> {
    let next = path.with_file_name(".server-next.duckdb");
    let io = |error: std::io::Error| ExtractError::Content(error.to_string());
    remove_database(&next).map_err(io)?;
    let built = build(&next, tables, problems)?;
    File::open(&next)
        .and_then(|file| file.sync_all())
        .map_err(io)?;
    std::fs::rename(&next, path).map_err(io)?;
    path.parent().map_or(Ok(()), sync_folder).map_err(io)?;
    Ok(built)
}

fn build(
    path: &Path,
    tables: Vec<CatalogTable>,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Arc<CatalogTable>>, ExtractError> {
    let database = Database::create(path, Patience::Wait)?;
    let mut viewed = Vec::with_capacity(tables.len());
    for table in tables {
        let files: Vec<&Path> = table.files.iter().map(|file| file.path.as_path()).collect();
        let created = match table.query_mode {
            QueryMode::Remote => Ok(()),
            QueryMode::Local if files.is_empty() => {
                problems.push(problem(&table, "it has no files".to_owned()));
                continue;
            }
            QueryMode::Local => database.execute_batch(&view(table.name.as_str(), &files)),
        };
        match created {
            Ok(()) => viewed.push(table),
            Err(error) => problems.push(problem(
                &table,
                format!("its files cannot be read: {error}"),
            )),
        }
    }
    let mut columns = columns(&database)?;
    write_owners(&database, &viewed)?;
    database.execute_batch("CHECKPOINT")?;
    let with_columns = viewed.into_iter().map(|mut table| {
        table.columns = columns.remove(&table.name.folded()).unwrap_or_default();
        Arc::new(table)
    });
    Ok(with_columns.collect())
}

fn problem(table: &CatalogTable, reason: String) -> Problem {
    Problem {
        source: table.source.to_string(),
        table: Some(table.name.to_string()),
        reason,
    }
}

fn columns(database: &Database) -> Result<HashMap<String, Vec<CatalogColumn>>, ExtractError> {
    let mut statement = database.prepare(include_str!("../../sql/columns_select.sql"))?;
    let mut rows = statement.query([])?;
    let mut columns: HashMap<String, Vec<CatalogColumn>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let (name, data_type) = (row.get(1)?, row.get(2)?);
        columns
            .entry(row.get(0)?)
            .or_default()
            .push(CatalogColumn { name, data_type });
    }
    Ok(columns)
}

fn write_owners(database: &Database, tables: &[CatalogTable]) -> Result<(), ExtractError> {
    database.execute_batch(
        "BEGIN; CREATE TABLE _sluice_owner (table_name VARCHAR NOT NULL, source VARCHAR NOT NULL)",
    )?;
    let mut insert = database.prepare("INSERT INTO _sluice_owner VALUES (?, ?)")?;
    for table in tables {
        insert.execute(params![table.name.folded(), table.source.as_str()])?;
    }
    Ok(database.execute_batch("COMMIT")?)
}

/// Who owned each name when the views were written last. A master database that cannot be read is
/// written anew anyway, so nothing is lost but who came first.
pub(super) fn owners(path: &Path) -> HashMap<String, SourceName> {
    if !path.exists() {
        return HashMap::new();
    }
    let read = || {
        let database = Database::read(path)?;
        let mut statement = database.prepare("SELECT table_name, source FROM _sluice_owner")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        Ok(rows.collect::<Result<Vec<(String, String)>, _>>()?)
    };
    let rows: Result<_, ExtractError> = read();
    let rows = rows.unwrap_or_else(|error| {
        tracing::warn!(%error, "the master views cannot be read; names go to the first source by name");
        Vec::new()
    });
    let named = rows
        .into_iter()
        .filter_map(|(table, source)| Some((table, SourceName::parse(&source).ok()?)));
    named.collect()
}
