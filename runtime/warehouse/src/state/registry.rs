//! The register of tables, and how their last syncs went.

mod schemas;
mod syncs;

use domain::{QueryMode, RegisteredTable};
use duckdb::{Connection, Row, ToSql, params};

use super::audit::{self, AuditEntry};
use super::row::{any, collect, from_json, from_word, json, nanos, parsed, time};
use super::{State, StateError};

const COLUMNS: &str = "id, name, source, source_type, bucket, source_table, sync_strategy, query_mode, sync_schedule, profile_after_sync, primary_key, folder, description, registered_by, epoch_ns(registered_at)";

impl State {
    /// All registered tables by name.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn registered_tables(&self) -> Result<Vec<RegisteredTable>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM table_registry ORDER BY id");
        self.read(|connection| collect(connection, &sql, &[], read))
    }

    /// Registers a table.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`].
    pub fn register_table(
        &self,
        table: &RegisteredTable,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            if any(
                connection,
                "SELECT 1 FROM table_registry WHERE id = ?",
                &[&table.id],
            )? {
                return Err(StateError::exists("registered table", &table.id));
            }
            insert(connection, table)?;
            audit::append(connection, entry)
        })
    }

    /// Changes what is said about a table; its id stays.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn change_table(
        &self,
        id: &str,
        change: impl FnOnce(&mut RegisteredTable),
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            let mut table = find(connection, id)?
                .ok_or_else(|| StateError::missing("registered table", &id))?;
            change(&mut table);
            id.clone_into(&mut table.id);
            replace(connection, &table)?;
            audit::append(connection, entry)
        })
    }

    /// Removes a table with its sync state and history from the register. It is back with the next
    /// publish of a source that has it.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn unregister_table(&self, id: &str, entry: &AuditEntry) -> Result<(), StateError> {
        self.write(|connection| {
            for table in ["sync_state", "sync_history"] {
                let sql = format!("DELETE FROM {table} WHERE table_id = ?");
                connection.execute(&sql, params![id])?;
            }
            match connection.execute("DELETE FROM table_registry WHERE id = ?", params![id])? {
                0 => Err(StateError::missing("registered table", &id)),
                _ => audit::append(connection, entry),
            }
        })
    }
}

fn find(connection: &Connection, id: &str) -> Result<Option<RegisteredTable>, StateError> {
    let sql = format!("SELECT {COLUMNS} FROM table_registry WHERE id = ?");
    Ok(collect(connection, &sql, &[&id], read)?.pop())
}

fn replace(connection: &Connection, table: &RegisteredTable) -> Result<(), StateError> {
    let sql = "DELETE FROM table_registry WHERE id = ?";
    connection.execute(sql, params![table.id])?;
    insert(connection, table)
}

fn insert(connection: &Connection, table: &RegisteredTable) -> Result<(), StateError> {
    let (mode, key) = (table.query_mode.as_str(), json(&table.primary_key)?);
    let source = table.source.as_ref().map(ToString::to_string);
    let by = table.registered_by.map(|id| id.to_string());
    let at = nanos(table.registered_at);
    let values: [&dyn ToSql; 15] = [
        &table.id,
        &table.name,
        &source,
        &table.source_type,
        &table.bucket,
        &table.source_table,
        &table.sync_strategy,
        &mode,
        &table.sync_schedule,
        &table.profile_after_sync,
        &key,
        &table.folder,
        &table.description,
        &by,
        &at,
    ];
    connection.execute(
        "INSERT INTO table_registry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, make_timestamp_ns(?))",
        values.as_slice(),
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<RegisteredTable, StateError> {
    let source: Option<String> = row.get(2)?;
    let by: Option<String> = row.get(13)?;
    Ok(RegisteredTable {
        id: row.get(0)?,
        name: row.get(1)?,
        source: source
            .map(|name| parsed("source name", &name))
            .transpose()?,
        source_type: row.get(3)?,
        bucket: row.get(4)?,
        source_table: row.get(5)?,
        sync_strategy: row.get(6)?,
        query_mode: from_word::<QueryMode>(row.get(7)?)?,
        sync_schedule: row.get(8)?,
        profile_after_sync: row.get(9)?,
        primary_key: from_json(&row.get::<_, String>(10)?)?,
        folder: row.get(11)?,
        description: row.get(12)?,
        registered_by: by.map(|id| parsed("user id", &id)).transpose()?,
        registered_at: time(row.get(14)?)?,
    })
}

#[cfg(test)]
mod tests;
