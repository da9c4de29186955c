//! What is known about tables beside their rows. A table that goes leaves its words behind, for when
//! it comes back.

use domain::{ColumnNote, TableProfile};
use duckdb::{Connection, Row, params};

use super::audit::{self, AuditEntry};
use super::row::{collect, from_json, json, nanos, time};
use super::{State, StateError};

impl State {
    /// What is said about the columns of a table, by column.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn column_notes(&self, table: &str) -> Result<Vec<ColumnNote>, StateError> {
        let sql = "SELECT column_name, basetype, description, confidence, source, epoch_ns(updated_at) FROM column_metadata WHERE lower(table_name) = lower(?) ORDER BY lower(column_name)";
        self.read(|connection| collect(connection, sql, &[&table], read_note))
    }

    /// Keeps what is said about columns in the place of what was said about them: all or none.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn put_column_notes(
        &self,
        table: &str,
        notes: &[ColumnNote],
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            for note in notes {
                put_note(connection, table, note)?;
            }
            audit::append(connection, entry)
        })
    }

    /// The profile of a table.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn table_profile(&self, table: &str) -> Result<Option<TableProfile>, StateError> {
        let sql = "SELECT table_name, profile, epoch_ns(profiled_at) FROM table_profiles WHERE lower(table_name) = lower(?)";
        let read = |row: &Row<'_>| {
            Ok(TableProfile {
                table: row.get(0)?,
                profile: from_json(&row.get::<_, String>(1)?)?,
                profiled_at: time(row.get(2)?)?,
            })
        };
        self.read(|connection| Ok(collect(connection, sql, &[&table], read)?.pop()))
    }

    /// Keeps the profile of a table in the place of the last one. Not in the audit: the server makes it.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn put_table_profile(&self, profile: &TableProfile) -> Result<(), StateError> {
        let text = json(&profile.profile)?;
        self.write(|connection| {
            let sql = "DELETE FROM table_profiles WHERE lower(table_name) = lower(?)";
            connection.execute(sql, params![profile.table])?;
            let sql = "INSERT INTO table_profiles VALUES (?, ?, make_timestamp_ns(?))";
            let at = nanos(profile.profiled_at);
            connection.execute(sql, params![profile.table, text, at])?;
            Ok(())
        })
    }
}

fn put_note(connection: &Connection, table: &str, note: &ColumnNote) -> Result<(), StateError> {
    let sql = "DELETE FROM column_metadata WHERE lower(table_name) = lower(?) AND lower(column_name) = lower(?)";
    connection.execute(sql, params![table, note.column])?;
    connection.execute(
        "INSERT INTO column_metadata VALUES (?, ?, ?, ?, ?, ?, make_timestamp_ns(?))",
        params![
            table,
            note.column,
            note.basetype,
            note.description,
            note.confidence,
            note.source,
            nanos(note.updated_at)
        ],
    )?;
    Ok(())
}

fn read_note(row: &Row<'_>) -> Result<ColumnNote, StateError> {
    Ok(ColumnNote {
        column: row.get(0)?,
        basetype: row.get(1)?,
        description: row.get(2)?,
        confidence: row.get(3)?,
        source: row.get(4)?,
        updated_at: time(row.get(5)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;
    use crate::state::tests::{entry, state};
    use jiff::{Timestamp, ToSpan as _};
    use serde_json::json;

    fn note(column: &str, description: &str) -> ColumnNote {
        ColumnNote {
            column: column.to_owned(),
            basetype: Some("NUMERIC".to_owned()),
            description: Some(description.to_owned()),
            confidence: "manual".to_owned(),
            source: "manual".to_owned(),
            updated_at: Timestamp::now(),
        }
    }

    #[test]
    fn words_about_a_column_replace_those_before_and_leave_other_columns_alone() {
        let (folder, state) = state();
        let notes = [note("amount", "in euros"), note("id", "its number")];
        state.put_column_notes("orders", &notes, &entry()).unwrap();
        state
            .put_column_notes("people", &notes[1..], &entry())
            .unwrap();
        let newer = note("Amount", "in cents");
        let again = std::slice::from_ref(&newer);
        state.put_column_notes("Orders", again, &entry()).unwrap();
        drop(state);
        let state = State::open(&Paths::new(folder.path()).unwrap()).unwrap();
        assert_eq!(
            state.column_notes("ORDERS").unwrap(),
            [newer, notes[1].clone()]
        );
        assert_eq!(state.column_notes("people").unwrap(), notes[1..]);
        assert_eq!(state.check().unwrap().problems, [""; 0]);
    }

    #[test]
    fn a_table_has_the_last_of_its_profiles() {
        let (_folder, state) = state();
        let first = TableProfile {
            table: "orders".to_owned(),
            profile: json!({"row_count": 3}),
            profiled_at: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(state.table_profile("orders").unwrap(), None);
        state.put_table_profile(&first).unwrap();
        let last = TableProfile {
            table: "ORDERS".to_owned(),
            profile: json!({"row_count": 5}),
            profiled_at: first.profiled_at + 1.hour(),
        };
        state.put_table_profile(&last).unwrap();
        assert_eq!(state.table_profile("orders").unwrap(), Some(last));
        assert_eq!(state.check().unwrap().problems, [""; 0]);
    }
}
