//! `cursors` as the runner calls it: what the last publish left, and what this run changed.

use domain::ports::Cursors;
use domain::protocol::{MAX_CURSOR, Reply};
use domain::{Failure, TableName};

use super::{Answered, done};

/// The most bytes of all cursors of a source together.
const MOST_BYTES: usize = 64 << 20;

/// The cursors of a run.
#[derive(Debug)]
pub(crate) struct CursorBook {
    cursors: Cursors,
}

impl CursorBook {
    /// Begins with what the last publish left.
    pub(crate) fn new(cursors: Cursors) -> Self {
        Self { cursors }
    }

    pub(super) fn get(&self, table: &str) -> Answered {
        let cursor = self.cursors.get(&folded(table)?).cloned();
        let found = cursor.is_some();
        Ok((Reply::Cursor { found }, cursor.unwrap_or_default()))
    }

    pub(super) fn set(&mut self, table: &str, cursor: &[u8]) -> Answered {
        let table = folded(table)?;
        if cursor.len() > MAX_CURSOR {
            return Err(Failure::bug(format!(
                "the cursor of `{table}` has {} bytes, more than {MAX_CURSOR}",
                cursor.len()
            )));
        }
        let others: usize = self
            .cursors
            .iter()
            .filter(|(name, _)| **name != table)
            .map(|(_, bytes)| bytes.len())
            .sum();
        if others + cursor.len() > MOST_BYTES {
            return Err(Failure::limit(format!(
                "the cursors of all tables have more than {MOST_BYTES} bytes"
            )));
        }
        self.cursors.insert(table, cursor.to_vec());
        done()
    }

    pub(super) fn all(&self) -> &Cursors {
        &self.cursors
    }
}

fn folded(table: &str) -> Result<String, Failure> {
    TableName::parse(table)
        .map(|name| name.folded())
        .map_err(|error| Failure::bug(error.to_string()))
}
