//! Where a table's reading stands, kept by the host between runs.

use crate::{Failure, host};

/// The cursor of a table, `None` before the first.
pub fn get(table: &str) -> Option<Vec<u8>> {
    host::cursor(table)
}

/// The cursor of a table as text, `None` before the first and for one that is not UTF-8.
pub fn text(table: &str) -> Option<String> {
    get(table).and_then(|cursor| String::from_utf8(cursor).ok())
}

/// Changes the cursor of a table, at most 1 MiB. It becomes durable with the rows written before it: at the next
/// [`checkpoint`](crate::checkpoint), or when `sync` returns `Ok`. Fails with [`Failure::Bug`] outside of `sync`.
pub fn set(table: &str, cursor: &[u8]) -> Result<(), Failure> {
    host::set_cursor(table, cursor)
}
