//! Brings together what all sources published: reads their extracts, decides who owns a name, writes
//! the master views, and swaps in a new catalog.

mod master;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use domain::{QueryMode, SourceName, TableName};
use thiserror::Error;

use crate::catalog::{Catalog, CatalogTable};
use crate::extract::{Contents, Entry, ExtractError};
use crate::paths::Paths;

/// Why a rebuild could not be done at all. The views are as they were.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// The master database could not be written.
    #[error("cannot write the master views to `{path}`: {reason}")]
    Master {
        /// The database.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The folder of the extracts cannot be read.
    #[error("cannot read the extracts in `{path}`: {reason}")]
    Extracts {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

/// Something that a rebuild passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The extract's folder.
    pub source: String,
    /// The table, where it is about one.
    pub table: Option<String>,
    /// What was wrong, and what happened instead.
    pub reason: String,
}

/// What a rebuild did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// Tables that can be queried now.
    pub tables: usize,
    /// What was passed over.
    pub problems: Vec<Problem>,
}

#[derive(Debug, Default)]
struct Sources {
    /// The last good contents by source.
    contents: BTreeMap<SourceName, Contents>,
    /// Problems with reading, by source.
    broken: BTreeMap<SourceName, String>,
    /// Folders whose names are no source names.
    misnamed: Vec<String>,
    /// Who owns a name, by its folded form.
    owners: HashMap<String, SourceName>,
    owners_loaded: bool,
}

/// Keeps the catalog and the master views.
#[derive(Debug)]
pub struct Orchestrator {
    paths: Paths,
    sources: Mutex<Sources>,
    catalog: RwLock<Arc<Catalog>>,
}

impl Orchestrator {
    /// With an empty catalog until the first rebuild.
    pub(crate) fn new(paths: Paths) -> Self {
        Self {
            paths,
            sources: Mutex::default(),
            catalog: RwLock::default(),
        }
    }

    /// The catalog as it is now; it never changes once taken.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads all extracts and rebuilds the master views.
    ///
    /// # Errors
    /// When nothing could be done; a broken extract is a problem in the report.
    pub fn rebuild(&self) -> Result<RebuildReport, RebuildError> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.misnamed.clear();
        let mut found = Vec::new();
        for name in self.folders()? {
            match SourceName::parse(&name) {
                Ok(source) => found.push(source),
                Err(_) => sources.misnamed.push(name),
            }
        }
        sources.contents.retain(|source, _| found.contains(source));
        sources.broken.retain(|source, _| found.contains(source));
        for source in &found {
            sources.read(&self.paths, source);
        }
        self.publish(&mut sources)
    }

    /// Reads the extract of one source and rebuilds the master views.
    ///
    /// # Errors
    /// As [`Orchestrator::rebuild`].
    pub fn rebuild_source(&self, source: &SourceName) -> Result<RebuildReport, RebuildError> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.read(&self.paths, source);
        self.publish(&mut sources)
    }

    fn folders(&self) -> Result<Vec<String>, RebuildError> {
        let path = self.paths.extracts();
        let read = std::fs::read_dir(&path).map_err(|error| RebuildError::Extracts {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let mut names: Vec<String> = read
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("extract.duckdb").exists())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    fn publish(&self, sources: &mut Sources) -> Result<RebuildReport, RebuildError> {
        if !std::mem::replace(&mut sources.owners_loaded, true) {
            sources.owners = master::owners(&self.paths.server_db());
        }
        let mut problems = sources.problems();
        let tables = sources.resolve(&mut problems);
        let path = self.paths.server_db();
        let built =
            master::write(&path, tables, &mut problems).map_err(|error| RebuildError::Master {
                path,
                reason: error.to_string(),
            })?;
        let report = RebuildReport {
            tables: built.len(),
            problems,
        };
        for Problem {
            source,
            table,
            reason,
        } in &report.problems
        {
            tracing::warn!(source, table, reason, "passed over in a rebuild");
        }
        let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        let version = catalog.version + 1;
        *catalog = Arc::new(Catalog {
            version,
            tables: built,
        });
        tracing::info!(tables = report.tables, version, "rebuilt the master views");
        Ok(report)
    }
}

impl Sources {
    fn read(&mut self, paths: &Paths, source: &SourceName) {
        match Contents::read(&paths.extract(source)) {
            Ok(Some(contents)) => {
                self.broken.remove(source);
                self.contents.insert(source.clone(), contents);
            }
            Ok(None) => {
                self.broken.remove(source);
                self.contents.remove(source);
            }
            Err(error) => self.keep_last_good(source, &error),
        }
    }

    /// A broken extract: what it said last is served on, as far as its files are there.
    fn keep_last_good(&mut self, source: &SourceName, error: &ExtractError) {
        let mut reason = format!("the extract is broken: {error}");
        if let Some(contents) = self.contents.get_mut(source) {
            contents
                .entries
                .retain(|entry| entry.files.iter().all(|file| file.path.exists()));
            reason.push_str("; its last good tables are served");
        }
        self.broken.insert(source.clone(), reason);
    }

    fn problems(&self) -> Vec<Problem> {
        let misnamed = self.misnamed.iter().map(|folder| Problem {
            source: folder.clone(),
            table: None,
            reason: "the folder's name is not a source name".to_owned(),
        });
        let broken = self.broken.iter().map(|(source, reason)| Problem {
            source: source.to_string(),
            table: None,
            reason: reason.clone(),
        });
        let refused = self.contents.iter().flat_map(|(source, contents)| {
            contents.refused.iter().map(|name| Problem {
                source: source.to_string(),
                table: Some(name.clone()),
                reason: "this is not a table name".to_owned(),
            })
        });
        misnamed.chain(broken).chain(refused).collect()
    }

    /// The tables with an owner each: who had a name keeps it while it publishes it.
    fn resolve(&mut self, problems: &mut Vec<Problem>) -> Vec<CatalogTable> {
        let publishes = |source: &SourceName, folded: &str| {
            let contents = self.contents.get(source);
            contents.is_some_and(|c| c.entries.iter().any(|entry| entry.name.folded() == folded))
        };
        let mut owners = std::mem::take(&mut self.owners);
        owners.retain(|folded, source| publishes(source, folded));
        let mut tables = Vec::new();
        for (source, contents) in &self.contents {
            for entry in &contents.entries {
                let owner = owners
                    .entry(entry.name.folded())
                    .or_insert_with(|| source.clone());
                if owner == source {
                    tables.push(table(source, entry));
                } else {
                    problems.push(collision(source, &entry.name, owner));
                }
            }
        }
        self.owners = owners;
        tables.sort_by_key(|table| table.name.folded());
        tables.dedup_by_key(|table| table.name.folded());
        tables
    }
}

fn collision(source: &SourceName, name: &TableName, owner: &SourceName) -> Problem {
    Problem {
        source: source.to_string(),
        table: Some(name.to_string()),
        reason: format!("the source `{owner}` has a table of this name already, and keeps it"),
    }
}

fn table(source: &SourceName, entry: &Entry) -> CatalogTable {
    CatalogTable {
        name: entry.name.clone(),
        source: source.clone(),
        description: entry.description.clone(),
        rows: entry.rows,
        size_bytes: entry.size_bytes,
        extracted_at: entry.extracted_at,
        query_mode: entry.query_mode,
        files: match entry.query_mode {
            QueryMode::Local => entry.files.clone(),
            QueryMode::Remote => Vec::new(),
        },
        columns: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
