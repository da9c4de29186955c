//! How syncs went, table by table: written at the end of each, and at a start for publishes whose end
//! a dead server could not write down.

use domain::registry::{SyncEvent, SyncState, SyncStatus};
use domain::{PublishedTable, RegisteredTable, SyncReport};
use duckdb::{Connection, Row, params};
use uuid::Uuid;

use super::{find, replace, schemas};
use crate::state::row::{collect, count, from_count, malformed, nanos, parsed, time};
use crate::state::{State, StateError};

/// Syncs of one table that are kept.
const KEPT: u32 = 200;

impl State {
    /// Writes down how a sync ended for the tables of its source, and registers those that are new.
    /// What was written down already stays as it is.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn record_sync(&self, report: &SyncReport) -> Result<(), StateError> {
        self.write(|connection| {
            for table in &report.tables {
                record_table(connection, report, table)?;
            }
            match &report.failure {
                Some(failure) => record_failure(connection, report, failure),
                None => Ok(()),
            }
        })
    }

    /// What is known of the rows of all tables that were ever published.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn sync_states(&self) -> Result<Vec<SyncState>, StateError> {
        let sql = "SELECT table_id, epoch_ns(last_sync), rows, file_size_bytes, columns, hash, status, error FROM sync_state ORDER BY table_id";
        self.read(|connection| collect(connection, sql, &[], read_state))
    }

    /// The last syncs of a table, newest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn sync_history(&self, table: &str) -> Result<Vec<SyncEvent>, StateError> {
        let sql = "SELECT id, table_id, epoch_ns(synced_at), rows, duration_ms, status, error FROM sync_history WHERE table_id = ? ORDER BY synced_at DESC, id DESC";
        self.read(|connection| collect(connection, sql, &[&table], read_event))
    }
}

/// A table that was published since it was last looked at.
fn record_table(
    connection: &Connection,
    report: &SyncReport,
    table: &PublishedTable,
) -> Result<(), StateError> {
    let id = table.name.folded();
    let sql = "SELECT epoch_ns(last_sync) FROM sync_state WHERE table_id = ?";
    let known = collect(connection, sql, &[&id], |row| Ok(row.get::<_, i64>(0)?))?;
    if known.first() == Some(&nanos(table.published_at)) {
        return Ok(());
    }
    register(connection, report, table)?;
    schemas::record(connection, report, table)?;
    let sql = "DELETE FROM sync_state WHERE table_id = ?";
    connection.execute(sql, params![id])?;
    connection.execute(
        "INSERT INTO sync_state VALUES (?, make_timestamp_ns(?), ?, ?, ?, ?, 'ok', NULL)",
        params![
            id,
            nanos(table.published_at),
            count(table.rows),
            count(table.size_bytes),
            count(table.columns),
            table.hash
        ],
    )?;
    let event = SyncEvent {
        id: Uuid::now_v7(),
        table: id,
        synced_at: table.published_at,
        rows: table.rows,
        duration_ms: report.duration_ms,
        status: SyncStatus::Ok,
        error: None,
    };
    insert_event(connection, &event)
}

/// What the source says goes into the register; what an admin said stays.
fn register(
    connection: &Connection,
    report: &SyncReport,
    table: &PublishedTable,
) -> Result<(), StateError> {
    let id = table.name.folded();
    let known = find(connection, &id)?;
    let mut entry = known.unwrap_or_else(|| RegisteredTable {
        id,
        name: table.name.to_string(),
        source: None,
        source_type: None,
        bucket: None,
        source_table: None,
        sync_strategy: "full_refresh".to_owned(),
        query_mode: table.query_mode,
        sync_schedule: None,
        profile_after_sync: true,
        primary_key: Vec::new(),
        folder: None,
        description: None,
        registered_by: None,
        registered_at: report.at,
    });
    entry.source = Some(report.source.clone());
    entry.source_type = Some(report.connector.clone());
    entry.query_mode = table.query_mode;
    let said = (!table.description.is_empty()).then(|| table.description.clone());
    entry.description = entry.description.or(said);
    let name = Some(table.name.to_string());
    entry.source_table = entry.source_table.or(name);
    replace(connection, &entry)
}

/// Earlier rows are still there, so only how it went changes.
fn record_failure(
    connection: &Connection,
    report: &SyncReport,
    failure: &str,
) -> Result<(), StateError> {
    let sql = "SELECT table_id, rows FROM sync_state JOIN table_registry ON id = table_id WHERE source = ?";
    let source = report.source.as_str();
    let known = collect(connection, sql, &[&source], |row| {
        Ok((row.get::<_, String>(0)?, from_count(row.get(1)?)))
    })?;
    for (table, rows) in known {
        if !report.concerns(&table) {
            continue;
        }
        connection.execute(
            "UPDATE sync_state SET status = 'error', error = ? WHERE table_id = ?",
            params![failure, table],
        )?;
        let event = SyncEvent {
            id: Uuid::now_v7(),
            table,
            synced_at: report.at,
            rows,
            duration_ms: report.duration_ms,
            status: SyncStatus::Error,
            error: Some(failure.to_owned()),
        };
        insert_event(connection, &event)?;
    }
    Ok(())
}

fn insert_event(connection: &Connection, event: &SyncEvent) -> Result<(), StateError> {
    connection.execute(
        "INSERT INTO sync_history VALUES (?, ?, make_timestamp_ns(?), ?, ?, ?, ?)",
        params![
            event.id.to_string(),
            event.table,
            nanos(event.synced_at),
            count(event.rows),
            count(event.duration_ms),
            event.status.as_str(),
            event.error
        ],
    )?;
    let sql = format!(
        "DELETE FROM sync_history WHERE table_id = ? AND id NOT IN \
         (SELECT id FROM sync_history WHERE table_id = ? ORDER BY synced_at DESC, id DESC LIMIT {KEPT})"
    );
    connection.execute(&sql, params![event.table, event.table])?;
    Ok(())
}

fn status(word: &str) -> Result<SyncStatus, StateError> {
    SyncStatus::parse(word).ok_or_else(|| malformed("sync status", word))
}

fn read_state(row: &Row<'_>) -> Result<SyncState, StateError> {
    Ok(SyncState {
        table: row.get(0)?,
        last_sync: time(row.get(1)?)?,
        rows: from_count(row.get(2)?),
        file_size_bytes: from_count(row.get(3)?),
        columns: from_count(row.get(4)?),
        hash: row.get(5)?,
        status: status(&row.get::<_, String>(6)?)?,
        error: row.get(7)?,
    })
}

fn read_event(row: &Row<'_>) -> Result<SyncEvent, StateError> {
    Ok(SyncEvent {
        id: parsed("sync id", &row.get::<_, String>(0)?)?,
        table: row.get(1)?,
        synced_at: time(row.get(2)?)?,
        rows: from_count(row.get(3)?),
        duration_ms: from_count(row.get(4)?),
        status: status(&row.get::<_, String>(5)?)?,
        error: row.get(6)?,
    })
}
