//! How the columns of tables changed: compared at the end of each sync, and at a start for publishes
//! whose end a dead server could not write down.

use domain::schema_change::{SchemaChange, StoredColumn, differences};
use domain::{PublishedTable, RunId, SourceName, SyncReport};
use duckdb::{Connection, Row, params};
use uuid::Uuid;

use crate::state::row::{collect, count, from_word, nanos, time, word};
use crate::state::{State, StateError};

/// Changes of one table that are kept.
const KEPT: u32 = 1_000;

impl State {
    /// How the columns of a source's tables changed, newest first; of one table where its folded name is
    /// given.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn schema_history(
        &self,
        source: &SourceName,
        table: Option<&str>,
        most: u32,
    ) -> Result<Vec<SchemaChange>, StateError> {
        let sql = format!(
            "SELECT table_name, run, epoch_ns(changed_at), kind, column_name, type_before, type_after FROM schema_changes \
             WHERE source = ? AND (? IS NULL OR table_name = ?) ORDER BY changed_at DESC, id LIMIT {most}"
        );
        let source = source.as_str();
        self.read(|connection| collect(connection, &sql, &[&source, &table, &table], read_change))
    }
}

/// Writes down what differs from the last publish of a table. The first one is only remembered.
pub(super) fn record(
    connection: &Connection,
    report: &SyncReport,
    table: &PublishedTable,
) -> Result<(), StateError> {
    let (source, name) = (report.source.as_str(), table.name.folded());
    let sql = "SELECT column_name, data_type FROM table_columns WHERE source = ? AND table_name = ? ORDER BY position";
    let known = collect(connection, sql, &[&source, &name], read_column)?;
    if known == table.types || table.types.is_empty() {
        return Ok(());
    }
    if !known.is_empty() {
        for (kind, column, before, after) in differences(&known, &table.types) {
            let change = SchemaChange {
                table: name.clone(),
                run: report.run,
                at: table.published_at,
                kind,
                column,
                before,
                after,
            };
            insert(connection, source, &change)?;
        }
    }
    let sql = "DELETE FROM table_columns WHERE source = ? AND table_name = ?";
    connection.execute(sql, params![source, name])?;
    for (position, column) in table.types.iter().enumerate() {
        connection.execute(
            "INSERT INTO table_columns VALUES (?, ?, ?, ?, ?)",
            params![
                source,
                name,
                count(position as u64),
                column.name,
                column.data_type
            ],
        )?;
    }
    Ok(())
}

fn insert(connection: &Connection, source: &str, change: &SchemaChange) -> Result<(), StateError> {
    connection.execute(
        "INSERT INTO schema_changes VALUES (?, ?, ?, ?, make_timestamp_ns(?), ?, ?, ?, ?)",
        params![
            Uuid::now_v7().to_string(),
            source,
            change.table,
            change.run.map(|run| run.to_string()),
            nanos(change.at),
            word(&change.kind)?,
            change.column,
            change.before,
            change.after
        ],
    )?;
    let sql = format!(
        "DELETE FROM schema_changes WHERE source = ? AND table_name = ? AND id NOT IN \
         (SELECT id FROM schema_changes WHERE source = ? AND table_name = ? ORDER BY changed_at DESC, id DESC LIMIT {KEPT})"
    );
    connection.execute(&sql, params![source, change.table, source, change.table])?;
    Ok(())
}

fn read_column(row: &Row<'_>) -> Result<StoredColumn, StateError> {
    Ok(StoredColumn {
        name: row.get(0)?,
        data_type: row.get(1)?,
    })
}

fn read_change(row: &Row<'_>) -> Result<SchemaChange, StateError> {
    let run: Option<String> = row.get(1)?;
    Ok(SchemaChange {
        table: row.get(0)?,
        run: run.as_deref().and_then(RunId::parse),
        at: time(row.get(2)?)?,
        kind: from_word(row.get(3)?)?,
        column: row.get(4)?,
        before: row.get(5)?,
        after: row.get(6)?,
    })
}
