//! Where a source's tables stand, and how they return there: one publish of the files that are there,
//! with the cursors of before.
//!
//! A cursor and the rows that it covers belong together. So where a table's cursor goes back, the rows
//! that were appended since go too: they are read again, and would be there twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::PoisonError;

use domain::ports::{Cursors, Extracts as _};
use domain::{Failure, Mark, QueryMode, RunId, SourceName, TableMark};

use super::contents::{Contents, Entry, TableFile, within};
use super::publish::Publish;
use super::{Extracts, damaged_extract, gc};

impl Extracts {
    /// Where the tables of a source stand now. No run of it may be under way.
    ///
    /// # Errors
    /// `limit` when its extract cannot be read.
    pub fn mark(&self, source: &SourceName) -> Result<Mark, Failure> {
        let folder = self.0.paths.extract(source);
        let contents = Contents::read(&folder).map_err(|error| damaged_extract(source, &error))?;
        Ok(contents
            .map(|contents| mark(&folder, &contents))
            .unwrap_or_default())
    }

    /// Brings the tables of a source back to a mark, in one atomic publish; again changes nothing. No
    /// run of it may be under way. Says by how many rows each table became shorter.
    ///
    /// # Errors
    /// `limit` when its extract cannot be read or written; it is then as it was.
    pub fn return_to(
        &self,
        source: &SourceName,
        mark: &Mark,
    ) -> Result<BTreeMap<String, u64>, Failure> {
        let lock = self.0.lock(source);
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.0.paths.extract(source);
        let before = Contents::read(&folder).map_err(|error| damaged_extract(source, &error))?;
        // Nothing was published, or by another program, which keeps its cursors elsewhere.
        let Some(before) = before.filter(|contents| contents.ours) else {
            return Ok(BTreeMap::new());
        };
        let cursors = mark.cursors();
        let (after, shorter) = returned(&folder, before.clone(), mark, &cursors);
        if after == before {
            return Ok(shorter);
        }
        let publish = Publish::new(source, RunId::generate(), &folder, &cursors);
        let built = publish.build(&after)?;
        publish.commit(&built)?;
        let mut keep = gc::named(Some(&after));
        keep.extend(gc::named(Some(&before)));
        gc::sweep(&folder, &keep, &self.0.pins);
        drop(guard);
        // What was published is published: the views follow at the latest at the next start.
        if let Err(failure) = self.rebuild(source) {
            tracing::error!(%source, %failure, "the master views do not follow a rollback");
        }
        Ok(shorter)
    }
}

fn mark(folder: &Path, contents: &Contents) -> Mark {
    let mut tables: BTreeMap<String, TableMark> = BTreeMap::new();
    for entry in &contents.entries {
        let table = tables.entry(entry.name.folded()).or_default();
        table.files = entry.files.len();
        table.last = entry.files.last().map(|file| known_by(folder, file));
    }
    for (table, cursor) in &contents.cursors {
        tables.entry(table.clone()).or_default().cursor = Some(hex::encode(cursor));
    }
    Mark(tables)
}

/// The name by which a mark knows a file: one that was written anew keeps that of the first.
pub(super) fn known_by(folder: &Path, file: &TableFile) -> String {
    within(folder, file.origin.as_ref().unwrap_or(&file.path))
}

fn returned(
    folder: &Path,
    mut contents: Contents,
    mark: &Mark,
    cursors: &Cursors,
) -> (Contents, BTreeMap<String, u64>) {
    let now = std::mem::replace(&mut contents.cursors, cursors.clone());
    let mut shorter = BTreeMap::new();
    for entry in &mut contents.entries {
        let key = entry.name.folded();
        if entry.query_mode == QueryMode::Remote || now.get(&key) == cursors.get(&key) {
            continue;
        }
        let rows = entry.rows;
        shorten(folder, entry, mark.0.get(&key));
        if entry.rows < rows {
            shorter.insert(key, rows - entry.rows);
        }
    }
    // A table that began since then is read from its start again, if at all.
    contents
        .entries
        .retain(|entry| entry.query_mode == QueryMode::Remote || !entry.files.is_empty());
    (contents, shorter)
}

/// Leaves the files that a table had, if they still are its first ones. A table that was replaced since
/// keeps what it has: all of it came anew.
fn shorten(folder: &Path, entry: &mut Entry, mark: Option<&TableMark>) {
    let kept = mark.map_or(0, |mark| mark.files);
    let last = kept
        .checked_sub(1)
        .and_then(|at| entry.files.get(at))
        .map(|file| known_by(folder, file));
    if last != mark.and_then(|mark| mark.last.clone()) {
        return;
    }
    for file in entry.files.drain(kept.min(entry.files.len())..) {
        entry.rows = entry.rows.saturating_sub(file.rows);
        entry.size_bytes = entry.size_bytes.saturating_sub(file.size_bytes);
    }
}

#[cfg(test)]
mod tests;
