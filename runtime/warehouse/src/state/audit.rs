//! The audit log: who did what, on what, from where, and how it ended.
//!
//! Rows are only ever added, by the one writer, in the transaction of what they tell about. Each
//! row's hash covers the row and the hash before it, so what is altered later is found.

mod chain;
mod retention;
mod verify;

use std::net::IpAddr;

use duckdb::{Connection, Row, params};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::row::{collect, count, from_count, json, malformed};
use super::{State, StateError};

pub(super) use chain::Chain;
pub use chain::{AuditBreak, AuditFault, AuditRecord, AuditReport};
pub(super) use verify::verify;

/// What comes from outside is cut, since the log must neither fail nor grow without bounds.
const MAX_TEXT: usize = 512;
const MAX_PARAMS: usize = 16 << 10;
/// The most entries of a page.
const MAX_PAGE: u32 = 1000;

/// Something that was done, or tried. People are named by id alone: addresses are personal data.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who; nobody for the server itself and for those who are not signed in.
    pub user: Option<Uuid>,
    /// The token that acted for the user.
    pub token: Option<Uuid>,
    /// What was done: a noun and a verb, such as `user.create`.
    pub action: &'static str,
    /// On what.
    pub resource: Option<String>,
    /// What else tells it apart; no secrets and no addresses. `Null` is nothing.
    pub params: Value,
    /// How it ended, such as `ok` or `denied`.
    pub result: Option<String>,
    /// How long it took.
    pub duration_ms: Option<u32>,
    /// From where.
    pub address: Option<IpAddr>,
    /// The request, as the server's log names it.
    pub request_id: Option<String>,
}

impl AuditEntry {
    /// Something that is done now, of which nothing else is known yet.
    pub fn new(action: &'static str) -> Self {
        Self {
            at: Timestamp::now(),
            user: None,
            token: None,
            action,
            resource: None,
            params: Value::Null,
            result: None,
            duration_ms: None,
            address: None,
            request_id: None,
        }
    }

    /// The row that this entry becomes behind another.
    fn record(&self, seq: u64, previous: String) -> Result<AuditRecord, StateError> {
        let mut record = AuditRecord {
            seq,
            id: Uuid::now_v7().to_string(),
            timestamp: chain::micros(self.at.as_microsecond()),
            user_id: self.user.map(|id| id.to_string()),
            token_id: self.token.map(|id| id.to_string()),
            action: self.action.to_owned(),
            resource: self.resource.as_deref().map(cut),
            params: stored_params(&self.params)?,
            result: self.result.as_deref().map(cut),
            duration_ms: self
                .duration_ms
                .map(|ms| i32::try_from(ms).unwrap_or(i32::MAX)),
            address: self.address.map(|address| address.to_string()),
            request_id: self.request_id.as_deref().map(cut),
            previous_hash: previous,
            hash: String::new(),
        };
        record.hash = record.computed_hash();
        Ok(record)
    }
}

/// The entries that are wanted; by default all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Of this user.
    pub user: Option<Uuid>,
    /// Of this action.
    pub action: Option<String>,
    /// On this resource.
    pub resource: Option<String>,
    /// From then on.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
}

impl State {
    /// Adds an entry in a transaction of its own.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn audit(&self, entry: &AuditEntry) -> Result<(), StateError> {
        self.write(|connection| append(connection, entry))
    }

    /// The entries with a number above `after_seq`, oldest first, at most `limit` or a thousand.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn audit_page(
        &self,
        filter: &AuditFilter,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StateError> {
        self.read(|connection| page(connection, filter, after_seq, limit.min(MAX_PAGE)))
    }

    /// The newest entries of a kind, newest first, at most `limit` or a thousand: of this action, or of
    /// all whose name begins like that.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn latest_audit(
        &self,
        prefix: &str,
        action: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StateError> {
        let sql = include_str!("../../sql/audit_latest.sql");
        let limit = limit.min(MAX_PAGE);
        self.read(|connection| {
            collect(connection, sql, params![prefix, action, limit], read_record)
        })
    }
}

/// Adds an entry inside the caller's transaction: both are kept or neither.
pub(super) fn append(connection: &Connection, entry: &AuditEntry) -> Result<(), StateError> {
    let chain = Chain::read(connection)?;
    let row = entry.record(chain.head_seq + 1, chain.head_hash)?;
    connection.execute(
        include_str!("../../sql/audit_insert.sql"),
        params![
            count(row.seq),
            row.id,
            row.timestamp.as_microsecond(),
            row.user_id,
            row.token_id,
            row.action,
            row.resource,
            row.params,
            row.result,
            row.duration_ms,
            row.address,
            row.request_id,
            row.previous_hash,
            row.hash
        ],
    )?;
    let sql = "UPDATE audit_chain SET head_seq = ?, head_hash = ?";
    connection.execute(sql, params![count(row.seq), row.hash])?;
    Ok(())
}

fn page(
    connection: &Connection,
    filter: &AuditFilter,
    after_seq: u64,
    limit: u32,
) -> Result<Vec<AuditRecord>, StateError> {
    let user = filter.user.map(|id| id.to_string());
    let (since, until) = (filter.since, filter.until);
    collect(
        connection,
        include_str!("../../sql/audit_page.sql"),
        params![
            count(after_seq),
            user,
            filter.action,
            filter.resource,
            since.map(Timestamp::as_microsecond),
            until.map(Timestamp::as_microsecond),
            limit
        ],
        read_record,
    )
}

fn read_record(row: &Row<'_>) -> Result<AuditRecord, StateError> {
    Ok(AuditRecord {
        seq: from_count(row.get(0)?),
        id: row.get(1)?,
        timestamp: chain::micros(row.get(2)?),
        user_id: row.get(3)?,
        token_id: row.get(4)?,
        action: row.get(5)?,
        resource: row.get(6)?,
        params: row.get(7)?,
        result: row.get(8)?,
        duration_ms: row.get(9)?,
        address: row.get(10)?,
        request_id: row.get(11)?,
        previous_hash: row.get(12)?,
        hash: row.get(13)?,
    })
}

fn stored_params(params: &Value) -> Result<Option<String>, StateError> {
    if params.is_null() {
        return Ok(None);
    }
    let text = json(params)?;
    if text.len() <= MAX_PARAMS {
        return Ok(Some(text));
    }
    json(&serde_json::json!({"left_out_bytes": text.len()})).map(Some)
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

impl Chain {
    /// The one row of where the chain begins and ends.
    pub(super) fn read(connection: &Connection) -> Result<Self, StateError> {
        let sql = "SELECT head_seq, head_hash, anchor_seq, anchor_hash, removed FROM audit_chain";
        let mut found = collect(connection, sql, &[], |row| {
            Ok(Self {
                head_seq: from_count(row.get(0)?),
                head_hash: row.get(1)?,
                anchor_seq: from_count(row.get(2)?),
                anchor_hash: row.get(3)?,
                removed: from_count(row.get(4)?),
            })
        })?;
        match (found.pop(), found.is_empty()) {
            (Some(chain), true) => Ok(chain),
            _ => Err(malformed(
                "audit log",
                "`audit_chain` must have one row; stop the server and put back a backup",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
