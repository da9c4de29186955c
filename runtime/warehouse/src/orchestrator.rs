//! Brings together what all sources published: reads the extracts that changed, decides who owns a
//! name, swaps in a new catalog, and has the master views written.

mod identity;
mod kept;
mod master;
mod sources;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use domain::SourceName;
use thiserror::Error;

use crate::catalog::{Catalog, CatalogTable};
use crate::paths::Paths;
use crate::remote::{Lookup, Prober, RemotePolicy, Remotes, Setup};
use master::Snapshot;
use sources::Sources;
use writer::Writer;

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
    /// Sources whose extracts were read, since they had changed.
    pub read: Vec<SourceName>,
    /// What was passed over.
    pub problems: Vec<Problem>,
}

/// Keeps the catalog and the master views.
#[derive(Debug)]
pub struct Orchestrator {
    paths: Paths,
    sources: Mutex<Sources>,
    catalog: RwLock<Arc<Catalog>>,
    master: Writer,
    remotes: Remotes,
    prober: Prober,
}

impl Orchestrator {
    /// With an empty catalog until the first rebuild.
    pub(crate) fn new(paths: Paths) -> Self {
        Self {
            master: Writer::new(paths.server_db()),
            paths,
            sources: Mutex::default(),
            catalog: RwLock::default(),
            remotes: Remotes::default(),
            prober: Prober::default(),
        }
    }

    /// The catalog as it is now; it never changes once taken.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at all extracts, reads those that changed, and swaps in a new catalog. The master views
    /// are written soon after, by a thread of their own.
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
        let first = !sources.loaded;
        sources.load(&self.paths);
        let forgot = sources.forget_all_but(&found);
        let read = self.read(&mut sources, &found)?;
        // Nothing has changed since the last server wrote its views.
        let as_written = first && read.is_empty() && !forgot;
        self.publish(&mut sources, read, as_written)
    }

    /// Reads the extract of one source, if it changed, and swaps in a new catalog.
    ///
    /// # Errors
    /// As [`Orchestrator::rebuild`].
    pub fn rebuild_source(&self, source: &SourceName) -> Result<RebuildReport, RebuildError> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.load(&self.paths);
        let read = self.read(&mut sources, std::slice::from_ref(source))?;
        self.publish(&mut sources, read, false)
    }

    /// Attaches what tables of remote databases need, within this policy, from now on.
    ///
    /// # Errors
    /// When no thread can be started to look at them.
    pub fn serve_remote(self: &Arc<Self>, policy: RemotePolicy, lookup: Lookup) -> io::Result<()> {
        self.remotes.allow(Setup {
            policy,
            lookup,
            extensions: self.paths.extensions(),
        });
        self.prober.start(self)
    }

    /// Looks at the remote databases that are due; says when the next is.
    pub(crate) fn probe(&self) -> Option<Duration> {
        let (any, next) = self.remotes.probe();
        if any {
            let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = self.publish(&mut sources, Vec::new(), false) {
                tracing::error!(%error, "what remote databases said is not in the catalog");
            }
        }
        next
    }

    pub(crate) fn remotes(&self) -> &Remotes {
        &self.remotes
    }

    /// A remote database may have to be looked at.
    pub(crate) fn wake_prober(&self) {
        self.prober.wake();
    }

    /// Waits until the master views say what the catalog says.
    ///
    /// # Errors
    /// [`RebuildError::Master`] where they cannot be written.
    pub fn flush(&self) -> Result<(), RebuildError> {
        self.master.flush()
    }

    fn read(
        &self,
        sources: &mut Sources,
        found: &[SourceName],
    ) -> Result<Vec<SourceName>, RebuildError> {
        let read = sources.read(&self.paths, found);
        read.map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> RebuildError {
        RebuildError::Extracts {
            path: self.paths.extracts(),
            reason: error.to_string(),
        }
    }

    fn folders(&self) -> Result<Vec<String>, RebuildError> {
        let read = std::fs::read_dir(self.paths.extracts());
        let read = read.map_err(|error| self.unreadable(&error))?;
        let mut names: Vec<String> = read
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("extract.duckdb").exists())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    fn publish(
        &self,
        sources: &mut Sources,
        read: Vec<SourceName>,
        as_written: bool,
    ) -> Result<RebuildReport, RebuildError> {
        let mut problems = sources.problems();
        let tables = sources.resolve(&mut problems);
        self.remotes.follow(&tables);
        self.prober.wake();
        let (completed, remote) = self.remotes.complete(&tables);
        problems.extend(remote);
        let report = RebuildReport {
            tables: tables.len(),
            read,
            problems,
        };
        tell(sources, &report.problems);
        let snapshot = Snapshot {
            tables,
            kept: sources.kept.clone(),
        };
        let changed = self.swap(completed);
        if as_written {
            self.master.is_written(snapshot);
        } else if changed || !report.read.is_empty() || !self.paths.server_db().exists() {
            self.master.write(snapshot)?;
        }
        Ok(report)
    }

    /// Swaps in a new catalog where one of its tables changed; whether it did.
    fn swap(&self, tables: Vec<Arc<CatalogTable>>) -> bool {
        let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        if catalog.version > 0 && catalog.tables == tables {
            return false;
        }
        let version = catalog.version + 1;
        tracing::info!(tables = tables.len(), version, "rebuilt the master views");
        *catalog = Arc::new(Catalog { version, tables });
        true
    }
}

/// Writes to the log what it does not say yet.
fn tell(sources: &mut Sources, problems: &[Problem]) {
    for problem in problems {
        let Problem {
            source,
            table,
            reason,
        } = problem;
        if !sources.told.contains(problem) {
            tracing::warn!(source, table, reason, "passed over in a rebuild");
        }
    }
    sources.told = problems.to_vec();
}

#[cfg(test)]
mod tests;
