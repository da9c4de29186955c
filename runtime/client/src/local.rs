//! The analyst's own DuckDB: a view for each table that was synced, beside whatever they made themselves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use duckdb::{AccessMode, Config, Connection};
use serde_json::{Value, json};

use crate::error::Error;
use crate::workspace::{Workspace, make_parent};

/// Which views `da sync` made. Every other table and view is the analyst's.
const MARKER: &str = "CREATE SCHEMA IF NOT EXISTS _da; CREATE TABLE IF NOT EXISTS _da.views (name VARCHAR PRIMARY KEY)";

/// Rows, and whether there were more.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) names: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) cut: bool,
}

/// The database to read; an error that says what to do where there is none.
pub(crate) fn read(workspace: &Workspace) -> Result<Connection, Error> {
    let path = workspace.database();
    if !path.exists() {
        let text = format!(
            "Local DuckDB not found at {}. Run: da sync (or query the server with --remote)",
            path.display()
        );
        return Err(Error::Said(text));
    }
    Ok(Connection::open_with_flags(
        path,
        Config::default().access_mode(AccessMode::ReadOnly)?,
    )?)
}

/// The database to change, made where it is missing.
pub(crate) fn write(workspace: &Workspace) -> Result<Connection, Error> {
    let path = workspace.database();
    make_parent(&path)?;
    Ok(Connection::open(path)?)
}

/// A name as SQL takes it, whatever it holds.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What a new view of this file is made by.
pub(crate) fn view(name: &str, file: &Path) -> String {
    let file = file.to_string_lossy().replace('\'', "''");
    format!(
        "CREATE OR REPLACE VIEW main.{} AS SELECT * FROM read_parquet('{file}')",
        quoted(name)
    )
}

fn names(connection: &Connection, sql: &str) -> Result<BTreeSet<String>, Error> {
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Makes the views those of these files, in one transaction. Returns the names that the analyst has taken.
pub(crate) fn rebuild(
    connection: &mut Connection,
    tables: &[(String, PathBuf)],
) -> Result<Vec<String>, Error> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(MARKER)?;
    let owned = names(&transaction, "SELECT name FROM _da.views")?;
    let there = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' AND table_catalog = current_database()";
    let mine = "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' AND database_name = current_database()";
    let views = names(&transaction, mine)?;
    for name in owned.iter().filter(|name| views.contains(*name)) {
        transaction.execute_batch(&format!("DROP VIEW main.{}", quoted(name)))?;
    }
    transaction.execute_batch("DELETE FROM _da.views")?;
    let taken: BTreeSet<String> = names(&transaction, there)?
        .iter()
        .map(|n| n.to_lowercase())
        .collect();
    let (kept, free): (Vec<_>, Vec<_>) = tables
        .iter()
        .partition(|(name, _)| taken.contains(&name.to_lowercase()));
    for (name, file) in free {
        transaction.execute_batch(&view(name, file))?;
        transaction.execute(
            "INSERT INTO _da.views VALUES (?) ON CONFLICT DO NOTHING",
            [name],
        )?;
    }
    transaction.commit()?;
    Ok(kept.into_iter().map(|(name, _)| name.clone()).collect())
}

/// Whether a snapshot may have this name: nothing else in the database has it.
pub(crate) fn is_free(connection: &Connection, name: &str) -> Result<bool, Error> {
    let sql = "SELECT count(*) FROM information_schema.tables WHERE lower(table_name) = lower(?) AND table_catalog = current_database()";
    Ok(connection.query_row(sql, [name], |row| row.get::<_, i64>(0))? == 0)
}

/// Shows a snapshot's file under its name.
pub(crate) fn show(connection: &Connection, name: &str, file: &Path) -> Result<(), Error> {
    Ok(connection.execute_batch(&view(name, file))?)
}

/// Hides a snapshot that is gone.
pub(crate) fn hide(connection: &Connection, name: &str) -> Result<(), Error> {
    Ok(connection.execute_batch(&format!("DROP VIEW IF EXISTS main.{}", quoted(name)))?)
}

/// What a table consists of.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) rows: i64,
    /// `name`, `type`, `nullable`.
    pub(crate) columns: Vec<Value>,
}

/// Counts a table's rows and names its columns.
pub(crate) fn look(connection: &Connection, table: &str) -> Result<About, Error> {
    let count = format!("SELECT count(*) FROM {}", quoted(table));
    let rows = connection.query_row(&count, [], |row| row.get(0))?;
    let mut statement = connection.prepare(&format!("DESCRIBE {}", quoted(table)))?;
    let columns = statement.query_map([], |row| {
        let (name, kind): (String, String) = (row.get(0)?, row.get(1)?);
        let nullable = row.get::<_, Option<String>>(2)?.as_deref() != Some("NO");
        Ok(json!({"name": name, "type": kind, "nullable": nullable}))
    })?;
    let columns = columns.collect::<Result<_, _>>()?;
    Ok(About { rows, columns })
}

/// The rows of a query. `typed` keeps numbers, lists and structs as JSON; else all is text.
pub(crate) fn query(
    connection: &Connection,
    sql: &str,
    limit: usize,
    typed: bool,
) -> Result<Rows, Error> {
    let sql = sql.trim().trim_end_matches(';');
    let mut head = connection.prepare(&format!("SELECT * FROM ({sql}\n) LIMIT 0"))?;
    head.execute([])?;
    let names = head.column_names();
    let shape = if typed {
        "to_json(COLUMNS(*))::VARCHAR"
    } else {
        "COLUMNS(*)::VARCHAR"
    };
    let more = limit.saturating_add(1);
    let mut statement =
        connection.prepare(&format!("SELECT {shape} FROM ({sql}\n) LIMIT {more}"))?;
    let mut found = statement.query([])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let cell = |i| Ok(value(row.get::<_, Option<String>>(i)?, typed));
        rows.push(
            (0..names.len())
                .map(cell)
                .collect::<Result<Vec<_>, Error>>()?,
        );
    }
    let cut = rows.len() > limit;
    rows.truncate(limit);
    Ok(Rows { names, rows, cut })
}

fn value(text: Option<String>, typed: bool) -> Value {
    match text {
        None => Value::Null,
        Some(text) if typed => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Some(text) => Value::String(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuild_keeps_what_the_analyst_made_and_drops_what_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it's.parquet");
        let mut db = Connection::open_in_memory().unwrap();
        let copy = format!(
            "COPY (SELECT 7 AS n) TO '{}' (FORMAT parquet)",
            file.display().to_string().replace('\'', "''")
        );
        db.execute_batch(&copy).unwrap();
        db.execute_batch(
            "CREATE TABLE mine AS SELECT 1 AS n; CREATE VIEW my_view AS SELECT 2 AS n",
        )
        .unwrap();
        let tables = |names: &[&str]| {
            names
                .iter()
                .map(|n| ((*n).to_owned(), file.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            rebuild(&mut db, &tables(&["orders", "Mine", "old"])).unwrap(),
            ["Mine"]
        );
        assert_eq!(
            rebuild(&mut db, &tables(&["orders", "Mine"])).unwrap(),
            ["Mine"]
        );
        let seen = names(
            &db,
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'",
        )
        .unwrap();
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            ["mine", "my_view", "orders"]
        );
        assert_eq!(
            query(&db, "SELECT n FROM orders", 5, true).unwrap().rows,
            [[Value::from(7)]]
        );
        assert_eq!(
            query(&db, "SELECT n FROM mine;", 5, true).unwrap().rows,
            [[Value::from(1)]]
        );
    }

    #[test]
    fn a_query_says_when_it_was_cut_and_names_its_columns() {
        let db = Connection::open_in_memory().unwrap();
        let rows = query(
            &db,
            "SELECT i AS n, 'x' AS t, [1, 2] AS l FROM range(3) r(i) -- all",
            2,
            true,
        )
        .unwrap();
        assert_eq!(rows.names, ["n", "t", "l"]);
        assert!(rows.cut);
        assert_eq!(
            serde_json::json!(rows.rows),
            serde_json::json!([[0, "x", [1, 2]], [1, "x", [1, 2]]])
        );
    }
}
