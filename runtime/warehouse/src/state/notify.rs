//! Users' chats, the codes that prove them, and scripts.

use domain::{Digest, Script, TelegramCode, TelegramLink};
use duckdb::{Connection, Row, params};
use jiff::Timestamp;
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::row::{any, collect, nanos, parsed, time};
use super::{State, StateError};

impl State {
    /// Keeps the code that was shown in a chat, in the place of the chat's earlier one.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when another chat was shown the same one: draw again.
    pub fn put_telegram_code(&self, code: &TelegramCode) -> Result<(), StateError> {
        let hash = code.hash.to_string();
        self.write(|connection| {
            let sql = "DELETE FROM telegram_codes WHERE chat = ?";
            connection.execute(sql, params![code.chat])?;
            let taken = "SELECT 1 FROM telegram_codes WHERE hash = ?";
            if any(connection, taken, &[&hash])? {
                return Err(StateError::exists("code for chat", &code.chat));
            }
            let sql = "INSERT INTO telegram_codes VALUES (?, ?, make_timestamp_ns(?))";
            connection.execute(sql, params![hash, code.chat, nanos(code.expires_at)])?;
            Ok(())
        })
    }

    /// Uses a code up, and links its chat to the user in the place of an earlier one. Of two who come
    /// with it at the same time, one gets the chat; nobody does once it has ended.
    ///
    /// # Errors
    /// [`StateError::NotFound`] for the user.
    pub fn link_telegram(
        &self,
        user: Uuid,
        code: &Digest,
        now: Timestamp,
        entry: &AuditEntry,
    ) -> Result<Option<TelegramLink>, StateError> {
        self.write(|connection| {
            let Some(chat) = consume(connection, code, now)? else {
                return Ok(None);
            };
            let link = TelegramLink {
                user,
                chat,
                linked_at: now,
            };
            put_link(connection, &link)?;
            audit::append(connection, entry)?;
            Ok(Some(link))
        })
    }

    /// The chat of a user.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn telegram_link(&self, user: Uuid) -> Result<Option<TelegramLink>, StateError> {
        let sql = "SELECT chat, epoch_ns(linked_at) FROM telegram_links WHERE user_id = ?";
        let read = |row: &Row<'_>| {
            Ok(TelegramLink {
                user,
                chat: row.get(0)?,
                linked_at: time(row.get(1)?)?,
            })
        };
        self.read(|connection| Ok(collect(connection, sql, &[&user.to_string()], read)?.pop()))
    }

    /// Forgets the chat of a user, if there is one.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn unlink_telegram(&self, user: Uuid, entry: &AuditEntry) -> Result<(), StateError> {
        let sql = "DELETE FROM telegram_links WHERE user_id = ?";
        self.write(
            |connection| match connection.execute(sql, params![user.to_string()])? {
                0 => Ok(()),
                _ => audit::append(connection, entry),
            },
        )
    }

    /// All scripts by name.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn scripts(&self) -> Result<Vec<Script>, StateError> {
        let sql = "SELECT id, name, owner, schedule, source, epoch_ns(deployed_at) FROM script_registry ORDER BY lower(name), deployed_at, id";
        self.read(|connection| collect(connection, sql, &[], read_script))
    }

    /// Adds a script.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] for an id that is taken.
    pub fn insert_script(&self, script: &Script, entry: &AuditEntry) -> Result<(), StateError> {
        let id = script.id.to_string();
        self.write(|connection| {
            let taken = "SELECT 1 FROM script_registry WHERE id = ?";
            if any(connection, taken, &[&id])? {
                return Err(StateError::exists("script", &script.id));
            }
            let owner = script.owner.map(|id| id.to_string());
            let at = nanos(script.deployed_at);
            connection.execute(
                "INSERT INTO script_registry VALUES (?, ?, ?, ?, ?, make_timestamp_ns(?))",
                params![id, script.name, owner, script.schedule, script.source, at],
            )?;
            audit::append(connection, entry)
        })
    }

    /// Removes a script.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn delete_script(&self, id: Uuid, entry: &AuditEntry) -> Result<(), StateError> {
        let sql = "DELETE FROM script_registry WHERE id = ?";
        self.write(
            |connection| match connection.execute(sql, params![id.to_string()])? {
                0 => Err(StateError::missing("script", &id)),
                _ => audit::append(connection, entry),
            },
        )
    }
}

/// The chat of a code that is still good; the code is gone either way.
fn consume(
    connection: &Connection,
    code: &Digest,
    now: Timestamp,
) -> Result<Option<i64>, StateError> {
    let hash = code.to_string();
    let sql =
        "SELECT chat FROM telegram_codes WHERE hash = ? AND expires_at > make_timestamp_ns(?)";
    let values: [&dyn duckdb::ToSql; 2] = [&hash, &nanos(now)];
    let chat = collect(connection, sql, &values, |row| Ok(row.get(0)?))?.pop();
    let sql = "DELETE FROM telegram_codes WHERE hash = ?";
    let gone = connection.execute(sql, params![hash])?;
    Ok(chat.filter(|_| gone > 0))
}

fn put_link(connection: &Connection, link: &TelegramLink) -> Result<(), StateError> {
    let user = link.user.to_string();
    if !any(connection, "SELECT 1 FROM users WHERE id = ?", &[&user])? {
        return Err(StateError::missing("user", &link.user));
    }
    let sql = "DELETE FROM telegram_links WHERE user_id = ?";
    connection.execute(sql, params![user])?;
    let sql = "INSERT INTO telegram_links VALUES (?, ?, make_timestamp_ns(?))";
    connection.execute(sql, params![user, link.chat, nanos(link.linked_at)])?;
    Ok(())
}

fn read_script(row: &Row<'_>) -> Result<Script, StateError> {
    let owner: Option<String> = row.get(2)?;
    Ok(Script {
        id: parsed("script id", &row.get::<_, String>(0)?)?,
        name: row.get(1)?,
        owner: owner.map(|id| parsed("user id", &id)).transpose()?,
        schedule: row.get(3)?,
        source: row.get(4)?,
        deployed_at: time(row.get(5)?)?,
    })
}

#[cfg(test)]
mod tests;
