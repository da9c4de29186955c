//! Walks the audit log from its anchor to its head.

use domain::Digest;
use duckdb::Connection;

use super::chain::{AuditReport, Chain, Walk};
use super::{AuditFilter, page};
use crate::state::row::from_count;
use crate::state::{State, StateError};

/// Entries in memory at once.
const STRIDE: u32 = 10_000;

impl State {
    /// Whether the audit log is what the server wrote. A chain cannot show that its newest entries
    /// were cut off together with their trace in the head: whoever noted the head elsewhere passes
    /// it as `noted`.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`]; a break is no error but in the report.
    pub fn verify_audit(&self, noted: Option<&Digest>) -> Result<AuditReport, StateError> {
        self.read(|connection| verify(connection, noted))
    }
}

/// The whole log, as one transaction sees it.
pub(in crate::state) fn verify(
    connection: &Connection,
    noted: Option<&Digest>,
) -> Result<AuditReport, StateError> {
    let snapshot = connection.unchecked_transaction()?;
    let chain = Chain::read(&snapshot)?;
    let mut walk = Walk::new(&chain, noted);
    follow(&snapshot, &mut walk, u64::MAX)?;
    let rows = snapshot.query_row("SELECT count(*) FROM audit_log", [], |row| row.get(0))?;
    Ok(walk.finish(from_count(rows)))
}

/// Takes every entry up to a number.
pub(super) fn follow(
    connection: &Connection,
    walk: &mut Walk<'_>,
    last: u64,
) -> Result<(), StateError> {
    let mut after = 0;
    loop {
        let entries = page(connection, &AuditFilter::default(), after, STRIDE)?;
        let Some(end) = entries.last() else {
            return Ok(());
        };
        after = end.seq;
        for entry in entries {
            if entry.seq > last {
                return Ok(());
            }
            walk.step(entry);
        }
    }
}
