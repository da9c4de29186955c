//! What an admin changes in an extract between runs: where reading goes on from. Each is one publish of
//! the files that are there.

use std::path::Path;
use std::sync::PoisonError;

use domain::ports::{Cursors, INBOX};
use domain::{Failure, QueryMode, RunId, SourceName, TableName};

use super::contents::Contents;
use super::publish::Publish;
use super::{Extracts, damaged_extract, disk_failure};

/// What a damaged `extract.duckdb` is called afterwards.
const DAMAGED: &str = "extract.duckdb.damaged";

impl Extracts {
    /// Lets the next run bring tables anew, all where none is named: it finds no cursor, and its first
    /// publish of a table takes the place of all rows. Until then the rows stay. This holds across crashes
    /// and failed runs, table by table. Where all are brought anew, the extract may be damaged. Returns the
    /// tables that are known.
    ///
    /// # Errors
    /// `config` when a table is not there, `limit` when the extract cannot be read or written.
    pub fn bring_anew(
        &self,
        source: &SourceName,
        tables: &[TableName],
    ) -> Result<Vec<String>, Failure> {
        if tables.is_empty() && self.set_aside_damaged(source)? {
            return Ok(Vec::new());
        }
        self.amend(source, |contents| {
            let chosen = chosen(contents, source, tables)?;
            contents.anew.extend(chosen.iter().cloned());
            Ok(chosen)
        })
    }

    /// Forgets the cursors of tables, of all where none is named. The rows stay. Returns the tables that
    /// had one.
    ///
    /// # Errors
    /// `config` when a table is not there, `limit` when the extract cannot be read or written.
    pub fn reset_cursors(
        &self,
        source: &SourceName,
        tables: &[TableName],
    ) -> Result<Vec<String>, Failure> {
        self.amend(source, |contents| {
            let mut chosen = chosen(contents, source, tables)?;
            chosen.retain(|table| contents.cursors.remove(table).is_some());
            Ok(chosen)
        })
    }

    /// Whether the extract cannot be read; it is then moved out of the way of a publish that needs nothing of it, and
    /// kept for whoever wants to save something. What was read of it before is served until that publish.
    fn set_aside_damaged(&self, source: &SourceName) -> Result<bool, Failure> {
        let lock = self.0.lock(source);
        let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.0.paths.extract(source);
        let Err(error) = Contents::read(&folder) else {
            return Ok(false);
        };
        let (from, to) = (folder.join("extract.duckdb"), folder.join(DAMAGED));
        std::fs::rename(&from, &to).map_err(|error| disk_failure(&from, &error))?;
        tracing::warn!(%source, kept = %to.display(), %error, "set a damaged extract aside");
        Ok(true)
    }

    /// Publishes an extract with a change that leaves its files alone.
    fn amend<T>(
        &self,
        source: &SourceName,
        change: impl FnOnce(&mut Contents) -> Result<Vec<T>, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let lock = self.0.lock(source);
        let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.0.paths.extract(source);
        let before = read(&folder, source)?;
        // Nothing was published, or by another program, which keeps its cursors elsewhere.
        let Some(before) = before.filter(|contents| contents.ours) else {
            return Ok(Vec::new());
        };
        let mut after = before.clone();
        let changed = change(&mut after)?;
        if after != before {
            let cursors = Cursors::new();
            let publish = Publish::new(source, RunId::generate(), &folder, &cursors);
            publish.commit(&publish.build(&after)?)?;
        }
        Ok(changed)
    }
}

pub(super) fn read(folder: &Path, source: &SourceName) -> Result<Option<Contents>, Failure> {
    Contents::read(folder).map_err(|error| damaged_extract(source, &error))
}

/// The folded names of tables, or of everything that has rows or a cursor.
fn chosen(
    contents: &Contents,
    source: &SourceName,
    tables: &[TableName],
) -> Result<Vec<String>, Failure> {
    let local = contents
        .entries
        .iter()
        .filter(|entry| entry.query_mode == QueryMode::Local);
    let mut all: Vec<_> = local.map(|entry| entry.name.folded()).collect();
    // Deliveries that are rows already are not there any more to be taken again.
    let of_tables = contents.cursors.keys().filter(|name| *name != INBOX);
    all.extend(of_tables.cloned());
    all.sort();
    all.dedup();
    if let Some(unknown) = tables.iter().find(|table| !all.contains(&table.folded())) {
        return Err(Failure::config(format!(
            "the source `{source}` has no table `{unknown}` with rows or a cursor"
        )));
    }
    all.retain(|name| tables.is_empty() || tables.iter().any(|table| table.folded() == *name));
    Ok(all)
}
