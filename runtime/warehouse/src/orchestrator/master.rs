//! The master database: one view a table, for every program that reads DuckDB. Always written as a
//! new file and renamed, so that whoever has the old one open goes on with it.
//!
//! It also holds what the next server takes over: who owns a name, and what each source published last.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::sql_ident::quote_ident;
use domain::{QueryMode, SourceName};
use duckdb::{Connection, params};

use super::kept::Kept;
use crate::catalog::CatalogTable;
use crate::extract::{ExtractError, remove_database, sync_folder, view};
use crate::open::{Database, Patience, copy_closed};

/// All that the database says.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// The tables, by name.
    pub(super) tables: Vec<Arc<CatalogTable>>,
    pub(super) kept: BTreeMap<SourceName, Arc<Kept>>,
}

/// The database, and what it says now.
#[derive(Debug)]
pub(super) struct Master {
    path: PathBuf,
    /// `None` where that is not known: it is then written from nothing.
    pub(super) written: Option<Snapshot>,
}

/// What the last server left.
#[derive(Debug, Default)]
pub(super) struct Last {
    pub(super) owners: HashMap<String, SourceName>,
    pub(super) kept: BTreeMap<SourceName, Arc<Kept>>,
}

impl Master {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            written: None,
        }
    }

    /// Writes a new file: a copy of the last one in which only changes are made, where that goes.
    pub(super) fn write(&mut self, wanted: &Snapshot) -> Result<(), ExtractError> {
        let next = self.path.with_file_name(".server-next.duckdb");
        self.build(&next, wanted)?;
        File::open(&next)
            .and_then(|file| file.sync_all())
            .map_err(io)?;
        std::fs::rename(&next, &self.path).map_err(io)?;
        self.path.parent().map_or(Ok(()), sync_folder).map_err(io)?;
        self.written = Some(wanted.clone());
        Ok(())
    }

    fn build(&mut self, next: &Path, wanted: &Snapshot) -> Result<(), ExtractError> {
        if let Some(before) = self.written.take() {
            match self.change(next, &before, wanted) {
                Ok(None) => return Ok(()),
                Ok(Some(table)) => {
                    tracing::debug!(%table, "a view cannot be made; all are made anew");
                }
                Err(error) => tracing::debug!(%error, "the master views are made anew"),
            }
        }
        let mut without = HashSet::new();
        while let Some(table) = create(next, wanted, &without)? {
            without.insert(table);
        }
        Ok(())
    }

    fn change(
        &self,
        next: &Path,
        before: &Snapshot,
        wanted: &Snapshot,
    ) -> Result<Option<String>, ExtractError> {
        remove_database(next).map_err(io)?;
        copy_closed(&self.path, next).map_err(io)?;
        let database = Database::create(next, Patience::Wait)?;
        database.execute_batch("BEGIN")?;
        apply(&database, before, wanted, &HashSet::new())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn io(error: std::io::Error) -> ExtractError {
    ExtractError::Content(error.to_string())
}

fn create(
    next: &Path,
    wanted: &Snapshot,
    without: &HashSet<String>,
) -> Result<Option<String>, ExtractError> {
    remove_database(next).map_err(io)?;
    let database = Database::create(next, Patience::Wait)?;
    database.execute_batch("BEGIN")?;
    database.execute_batch(include_str!("../../sql/master_create.sql"))?;
    apply(&database, &Snapshot::default(), wanted, without)
}

/// Makes of what stands there what is wanted. A view that cannot be made ends the transaction, and is
/// the answer.
fn apply(
    database: &Connection,
    before: &Snapshot,
    wanted: &Snapshot,
    without: &HashSet<String>,
) -> Result<Option<String>, ExtractError> {
    let had = by_name(&before.tables);
    let has = by_name(&wanted.tables);
    let mut drop_owner = database.prepare("DELETE FROM _sluice_owner WHERE table_name = ?")?;
    let mut add_owner = database.prepare("INSERT INTO _sluice_owner VALUES (?, ?)")?;
    for (name, table) in &had {
        if !has.get(name).is_some_and(|now| now == table) {
            let view = quote_ident(table.name.as_str());
            database.execute_batch(&format!("DROP VIEW IF EXISTS {view}"))?;
            drop_owner.execute(params![name])?;
        }
    }
    let mut incomplete = HashSet::new();
    for (name, table) in &has {
        if had.get(name).is_some_and(|then| then == table) {
            continue;
        }
        add_owner.execute(params![name, table.source.as_str()])?;
        if without.contains(name) {
            incomplete.insert(table.source.clone());
        } else if let Err(error) = add_view(database, table) {
            let (source, table) = (&table.source, &table.name);
            tracing::warn!(%source, %table, %error, "a table has no master view: its files cannot be read");
            return Ok(Some(name.clone()));
        }
    }
    // A source of which something is missing is looked at anew by the next server.
    write_kept(database, before, wanted, &incomplete)?;
    database.execute_batch("COMMIT; CHECKPOINT")?;
    Ok(None)
}

fn by_name(tables: &[Arc<CatalogTable>]) -> BTreeMap<String, &Arc<CatalogTable>> {
    let named = tables.iter().map(|table| (table.name.folded(), table));
    named.collect()
}

/// A remote table has none: whoever opens the file has not attached its database.
fn add_view(database: &Connection, table: &CatalogTable) -> Result<(), ExtractError> {
    if table.query_mode == QueryMode::Remote {
        return Ok(());
    }
    let files: Vec<&Path> = table.files.iter().map(|file| file.path.as_path()).collect();
    Ok(database.execute_batch(&view(table.name.as_str(), &files))?)
}

fn write_kept(
    database: &Connection,
    before: &Snapshot,
    wanted: &Snapshot,
    incomplete: &HashSet<SourceName>,
) -> Result<(), ExtractError> {
    let mut remove = database.prepare("DELETE FROM _sluice_source WHERE source = ?")?;
    let mut insert = database.prepare("INSERT INTO _sluice_source VALUES (?, ?)")?;
    for (source, kept) in &before.kept {
        if !wanted
            .kept
            .get(source)
            .is_some_and(|now| Arc::ptr_eq(now, kept))
        {
            remove.execute(params![source.as_str()])?;
        }
    }
    for (source, kept) in &wanted.kept {
        let same = before.kept.get(source);
        let same = same.is_some_and(|then| Arc::ptr_eq(then, kept));
        if same || incomplete.contains(source) {
            continue;
        }
        let text = serde_json::to_string(kept.as_ref())
            .map_err(|error| ExtractError::Content(error.to_string()))?;
        insert.execute(params![source.as_str(), text])?;
    }
    Ok(())
}

/// What the last server wrote down. A file that cannot be read is written anew anyway, so nothing is
/// lost but who came first, and what broken extracts said before.
pub(super) fn load(path: &Path) -> Last {
    if !path.exists() {
        return Last::default();
    }
    let unreadable = |error: ExtractError| {
        tracing::warn!(%error, "the master views cannot be read; names go to the first source by name");
        Last::default()
    };
    read(path).unwrap_or_else(unreadable)
}

fn read(path: &Path) -> Result<Last, ExtractError> {
    let database = Database::read(path)?;
    let pairs = |sql: &str| -> Result<Vec<(String, String)>, duckdb::Error> {
        let mut statement = database.prepare(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    };
    let owners = pairs("SELECT table_name, source FROM _sluice_owner")?.into_iter();
    let owners =
        owners.filter_map(|(table, source)| Some((table, SourceName::parse(&source).ok()?)));
    // A server before this table was there has none; then all extracts are read.
    let kept = pairs("SELECT source, contents FROM _sluice_source").unwrap_or_default();
    let kept = kept.into_iter().filter_map(|(source, contents)| {
        let kept: Kept = serde_json::from_str(&contents).ok()?;
        Some((SourceName::parse(&source).ok()?, Arc::new(kept)))
    });
    Ok(Last {
        owners: owners.collect(),
        kept: kept.collect(),
    })
}
