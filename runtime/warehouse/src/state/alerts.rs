//! How sources are, as far as people were told, and what still has to be told to them.

use domain::SourceName;
use domain::agenda::Health;
use domain::notify::Alert;
use duckdb::{Connection, params};
use jiff::Timestamp;
use uuid::Uuid;

use super::row::{collect, nanos, parsed, time};
use super::{State, StateError};

/// Alerts that wait for somebody to take them: more say nothing new about a receiver that is away.
const MOST_KEPT: u32 = 1_000;

impl State {
    /// The alert that has waited longest.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn next_alert(&self) -> Result<Option<Alert>, StateError> {
        let sql =
            "SELECT id, epoch_ns(noted_at), message FROM alerts ORDER BY noted_at, id LIMIT 1";
        self.read(|connection| {
            let found = collect(connection, sql, &[], |row| {
                Ok(Alert {
                    id: parsed("alert id", &row.get::<_, String>(0)?)?,
                    noted_at: time(row.get(1)?)?,
                    text: row.get(2)?,
                })
            })?;
            Ok(found.into_iter().next())
        })
    }

    /// Forgets an alert: it was delivered, or never will be.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn forget_alert(&self, id: Uuid) -> Result<(), StateError> {
        self.write(|connection| {
            connection.execute("DELETE FROM alerts WHERE id = ?", params![id.to_string()])?;
            Ok(())
        })
    }
}

pub(super) fn add(connection: &Connection, text: &str) -> Result<(), StateError> {
    connection.execute(
        "INSERT INTO alerts VALUES (?, make_timestamp_ns(?), ?)",
        params![Uuid::now_v7().to_string(), nanos(Timestamp::now()), text],
    )?;
    connection.execute(
        include_str!("../../sql/alerts_trim.sql"),
        params![MOST_KEPT],
    )?;
    Ok(())
}

pub(super) fn put_health(
    connection: &Connection,
    source: &SourceName,
    health: &Health,
) -> Result<(), StateError> {
    let name = source.as_str();
    connection.execute("DELETE FROM healths WHERE source = ?", params![name])?;
    connection.execute(
        "INSERT INTO healths VALUES (?, ?, ?, make_timestamp_ns(?))",
        params![name, health.failing, health.stale, nanos(health.fresh_at)],
    )?;
    Ok(())
}
