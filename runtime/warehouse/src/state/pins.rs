//! How sources move between versions: the versions that they left, the moves that wait or have begun,
//! and which versions nothing needs any more.

use std::collections::BTreeSet;

use domain::{Capabilities, Digest, Mark, Move, MoveKind, Pin, Source, SourceName};
use duckdb::{Connection, Row, params};
use jiff::Timestamp;
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::row::{
    any, collect, count, digest, from_count, from_json, from_word, json, nanos, parsed, time, word,
};
use super::{State, StateError};

/// How many versions back a source can go.
const PINS_KEPT: u64 = 5;

const PIN: &str = "number, version, mark, epoch_ns(left_at), left_by";
const MOVE: &str = "source, version, kind, epoch_ns(asked_at), asked_by";

/// A move of a source to another version, as it is written down.
#[derive(Debug)]
pub struct Upgrade<'a> {
    /// The source as it is before.
    pub source: &'a Source,
    /// Where it goes.
    pub to: Digest,
    /// What is granted from now on; `None` where that stays.
    pub granted: Option<&'a Capabilities>,
    /// Where its tables stand.
    pub mark: &'a Mark,
    /// Who moves it.
    pub by: Option<Uuid>,
}

impl State {
    /// The versions that a source left, newest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn pins(&self, source: &SourceName) -> Result<Vec<Pin>, StateError> {
        let sql = format!("SELECT {PIN} FROM pins WHERE source = ? ORDER BY number DESC");
        self.read(|connection| collect(connection, &sql, &[&source.as_str()], read_pin))
    }

    /// The moves that have not happened yet.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn moves(&self) -> Result<Vec<Move>, StateError> {
        let sql = format!("SELECT {MOVE} FROM moves ORDER BY asked_at");
        self.read(|connection| collect(connection, &sql, &[], read_move))
    }

    /// The move of a source that has not happened yet.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn waiting_move(&self, source: &SourceName) -> Result<Option<Move>, StateError> {
        let sql = format!("SELECT {MOVE} FROM moves WHERE source = ?");
        self.read(|connection| Ok(collect(connection, &sql, &[&source.as_str()], read_move)?.pop()))
    }

    /// Writes down a move that waits or begins, in the place of one that waits.
    ///
    /// # Errors
    /// [`StateError::NotFound`] when there is no such source, [`StateError::AlreadyExists`] when an upgrade
    /// is to wait while a rollback is under way.
    pub fn insert_move(&self, planned: &Move, entry: &AuditEntry) -> Result<(), StateError> {
        let source = planned.source.as_str();
        let kind = word(&planned.kind)?;
        let rollback = word(&MoveKind::Rollback)?;
        self.write(|connection| {
            let begun = "SELECT 1 FROM moves WHERE source = ? AND kind = ? AND kind <> ?";
            if any(connection, begun, &[&source, &rollback, &kind])? {
                return Err(StateError::exists("rollback of source", &source));
            }
            if !any(
                connection,
                "SELECT 1 FROM sources WHERE name = ?",
                &[&source],
            )? {
                return Err(StateError::missing("source", &source));
            }
            connection.execute("DELETE FROM moves WHERE source = ?", params![source])?;
            connection.execute(
                "INSERT INTO moves VALUES (?, ?, ?, make_timestamp_ns(?), ?)",
                params![
                    source,
                    planned.version.to_string(),
                    kind,
                    nanos(planned.asked_at),
                    planned.asked_by.map(|id| id.to_string())
                ],
            )?;
            audit::append(connection, entry)
        })
    }

    /// Forgets a move of this kind that has not happened.
    ///
    /// # Errors
    /// [`StateError::NotFound`] when there is none.
    pub fn delete_move(
        &self,
        source: &SourceName,
        kind: MoveKind,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        let sql = "DELETE FROM moves WHERE source = ? AND kind = ?";
        let word = word(&kind)?;
        let what = match kind {
            MoveKind::Upgrade => "waiting upgrade of source",
            MoveKind::Rollback => "rollback of source",
        };
        self.write(
            |connection| match connection.execute(sql, params![source.as_str(), word])? {
                0 => Err(StateError::missing(what, source)),
                _ => audit::append(connection, entry),
            },
        )
    }

    /// Moves a source to another version, and remembers the one that it leaves.
    ///
    /// # Errors
    /// [`StateError::NotFound`] when the source is no longer there, or no longer at this version.
    pub fn upgrade_source(
        &self,
        upgrade: &Upgrade<'_>,
        entries: &[AuditEntry],
    ) -> Result<(), StateError> {
        let source = upgrade.source;
        let granted = json(upgrade.granted.unwrap_or(&source.granted))?;
        let mark = json(upgrade.mark)?;
        self.write(|connection| {
            let sql = "UPDATE sources SET version = ?, granted = ? WHERE name = ? AND version = ?";
            let (name, left) = (source.name.as_str(), source.version.to_string());
            if connection.execute(sql, params![upgrade.to.to_string(), granted, name, left])? == 0 {
                return Err(StateError::missing("source", &name));
            }
            let number = next_number(connection, name)?;
            connection.execute(
                "INSERT INTO pins VALUES (?, ?, ?, ?, make_timestamp_ns(?), ?)",
                params![
                    name,
                    count(number),
                    left,
                    mark,
                    nanos(Timestamp::now()),
                    upgrade.by.map(|id| id.to_string())
                ],
            )?;
            let old = "DELETE FROM pins WHERE source = ? AND number + ? <= ?";
            connection.execute(old, params![name, count(PINS_KEPT), count(number)])?;
            connection.execute("DELETE FROM moves WHERE source = ?", params![name])?;
            entries
                .iter()
                .try_for_each(|entry| audit::append(connection, entry))
        })
    }

    /// Ends a rollback that has begun: the source is back at a version that it left, which is no longer
    /// one that it left.
    ///
    /// # Errors
    /// [`StateError::NotFound`] when none has begun.
    pub fn finish_rollback(
        &self,
        source: &SourceName,
        pin: &Pin,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        let name = source.as_str();
        let kind = word(&MoveKind::Rollback)?;
        self.write(|connection| {
            let begun = "DELETE FROM moves WHERE source = ? AND kind = ?";
            if connection.execute(begun, params![name, kind])? == 0 {
                return Err(StateError::missing("rollback of source", source));
            }
            let sql = "UPDATE sources SET version = ? WHERE name = ?";
            connection.execute(sql, params![pin.version.to_string(), name])?;
            let sql = "DELETE FROM pins WHERE source = ? AND number >= ?";
            connection.execute(sql, params![name, count(pin.number)])?;
            audit::append(connection, entry)
        })
    }

    /// Grants a source something else.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn set_granted(
        &self,
        source: &SourceName,
        granted: &Capabilities,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        let granted = json(granted)?;
        let sql = "UPDATE sources SET granted = ? WHERE name = ?";
        self.change_source(source, sql, params![granted, source.as_str()], entry)
    }

    /// Lets a source run, or lets it run no more.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn set_enabled(
        &self,
        source: &SourceName,
        enabled: bool,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        let sql = "UPDATE sources SET enabled = ? WHERE name = ?";
        self.change_source(source, sql, params![enabled, source.as_str()], entry)
    }

    fn change_source(
        &self,
        source: &SourceName,
        sql: &str,
        values: &[&dyn duckdb::ToSql],
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| match connection.execute(sql, values)? {
            0 => Err(StateError::missing("source", source)),
            _ => audit::append(connection, entry),
        })
    }

    /// The versions that a source is at, left and can return to, or is to move to.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn needed_versions(&self) -> Result<BTreeSet<Digest>, StateError> {
        self.read(needed)
    }

    /// Forgets a version, unless a source needs it; says whether it is forgotten.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn delete_version(&self, version: &Digest, entry: &AuditEntry) -> Result<bool, StateError> {
        self.write(|connection| {
            if needed(connection)?.contains(version) {
                return Ok(false);
            }
            let sql = "DELETE FROM versions WHERE digest = ?";
            match connection.execute(sql, params![version.to_string()])? {
                0 => Err(StateError::missing("version", version)),
                _ => audit::append(connection, entry).map(|()| true),
            }
        })
    }
}

fn needed(connection: &Connection) -> Result<BTreeSet<Digest>, StateError> {
    let sql = "SELECT version FROM sources UNION SELECT version FROM pins UNION SELECT version FROM moves";
    let found = collect(connection, sql, &[], |row| {
        digest(&row.get::<_, String>(0)?)
    })?;
    Ok(found.into_iter().collect())
}

fn next_number(connection: &Connection, source: &str) -> Result<u64, StateError> {
    let sql = "SELECT coalesce(max(number), 0) + 1 FROM pins WHERE source = ?";
    let number = connection.query_row(sql, params![source], |row| row.get(0))?;
    Ok(from_count(number))
}

fn by(id: Option<String>) -> Result<Option<Uuid>, StateError> {
    id.map(|id| parsed("user id", &id)).transpose()
}

fn read_pin(row: &Row<'_>) -> Result<Pin, StateError> {
    Ok(Pin {
        number: from_count(row.get(0)?),
        version: digest(&row.get::<_, String>(1)?)?,
        mark: from_json(&row.get::<_, String>(2)?)?,
        left_at: time(row.get(3)?)?,
        left_by: by(row.get(4)?)?,
    })
}

fn read_move(row: &Row<'_>) -> Result<Move, StateError> {
    Ok(Move {
        source: parsed("source name", &row.get::<_, String>(0)?)?,
        version: digest(&row.get::<_, String>(1)?)?,
        kind: from_word(row.get(2)?)?,
        asked_at: time(row.get(3)?)?,
        asked_by: by(row.get(4)?)?,
    })
}

#[cfg(test)]
mod tests;
