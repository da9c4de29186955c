//! Removes old entries of the audit log so that the rest still proves itself.

use duckdb::{Connection, params};
use jiff::Timestamp;

use super::chain::{Chain, EXPIRED, Walk, anchor_params};
use super::verify::follow;
use super::{AuditEntry, append};
use crate::state::row::{count, from_count, malformed};
use crate::state::{State, StateError};

impl State {
    /// Removes the entries before the first that is not older than `before`, and returns how many.
    /// The last of them stays as an anchor, by number and hash, and an entry vouches for it.
    ///
    /// # Errors
    /// [`StateError::Malformed`] when what would be removed is not intact: that is evidence.
    pub fn expire_audit(&self, before: Timestamp) -> Result<u64, StateError> {
        self.write(|connection| {
            let sql = include_str!("../../../sql/audit_first_kept.sql");
            let kept =
                connection.query_row(sql, params![before.as_microsecond()], |row| row.get(0))?;
            let last = from_count(kept).saturating_sub(1);
            let old = Chain::read(connection)?;
            if last <= old.anchor_seq {
                return Ok(0);
            }
            remove(connection, &old, last)
        })
    }
}

fn remove(connection: &Connection, old: &Chain, last: u64) -> Result<u64, StateError> {
    let hash = intact_until(connection, old, last)?;
    let sql = "DELETE FROM audit_log WHERE seq <= ?";
    let removed = connection.execute(sql, params![count(last)])? as u64;
    let new = Chain {
        anchor_seq: last,
        anchor_hash: hash,
        removed: old.removed + removed,
        ..old.clone()
    };
    connection.execute(
        "UPDATE audit_chain SET anchor_seq = ?, anchor_hash = ?, removed = ?",
        params![count(new.anchor_seq), new.anchor_hash, count(new.removed)],
    )?;
    let entry = AuditEntry {
        params: anchor_params(&new),
        result: Some("ok".to_owned()),
        ..AuditEntry::new(EXPIRED)
    };
    append(connection, &entry)?;
    Ok(removed)
}

/// The hash of an entry, when the chain holds up to there.
fn intact_until(connection: &Connection, chain: &Chain, last: u64) -> Result<String, StateError> {
    let mut walk = Walk::new(chain, None);
    follow(connection, &mut walk, last)?;
    match walk.first_break {
        Some(found) => Err(malformed(
            "audit log",
            format!("{found}; nothing is removed, `sluice admin audit verify` tells more"),
        )),
        None => Ok(walk.hash),
    }
}
