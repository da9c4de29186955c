//! The extracts of all sources: where runs write, and the atomic act that makes it visible.

mod compact;
mod contents;
mod encoder;
mod foreign;
mod gc;
mod hashing;
mod input;
mod intake;
mod keys;
mod known;
mod layout;
mod mark;
mod publish;
mod refresh;
mod remembered;
mod settle;
mod split;
mod stage;
mod staged;
mod verify;
mod whole;
mod writer;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use domain::ports::{self, Cursors};
use domain::{Failure, PublishedTable, RunId, SourceName};

use crate::orchestrator::Orchestrator;
use crate::paths::Paths;

pub use compact::{Compaction, has_small_files};
pub use contents::{AttachRow, TableFile};
pub(crate) use contents::{Contents, Entry, ExtractError, rows_of, view};
pub(crate) use gc::{Pin, Pins};
pub(crate) use publish::{remove_database, sync_folder};
pub use verify::{Verified, published_sources, verify_beside};
pub use whole::{Whole, Wholes};

/// The extracts of all sources. Shared by its clones.
#[derive(Debug, Clone)]
pub struct Extracts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    paths: Paths,
    orchestrator: Arc<Orchestrator>,
    pins: Arc<Pins>,
    /// One publish of a source at a time.
    publishing: Mutex<HashMap<SourceName, Arc<Mutex<()>>>>,
}

impl Extracts {
    /// Takes over the extracts, and removes what a server that died has left behind.
    ///
    /// # Errors
    /// When the folder cannot be read. What cannot be removed is logged and left.
    pub(crate) fn new(
        paths: Paths,
        orchestrator: Arc<Orchestrator>,
        pins: Arc<Pins>,
    ) -> io::Result<Self> {
        gc::clean_up(&paths)?;
        Ok(Self(Arc::new(Shared {
            paths,
            orchestrator,
            pins,
            publishing: Mutex::default(),
        })))
    }

    /// Compares the files of a source with the receipts that were taken when they were written.
    ///
    /// # Errors
    /// `config` when the source has published nothing, `limit` when its extract cannot be read.
    pub fn verify(&self, source: &SourceName) -> Result<Verified, Failure> {
        verify::verify(&self.0.paths.extract(source), source)
    }

    /// Removes the extract of a source for good; rebuild afterwards.
    ///
    /// # Errors
    /// `limit` when it cannot be removed.
    pub fn remove(&self, source: &SourceName) -> Result<(), Failure> {
        let lock = self.0.lock(source);
        let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.0.paths.extract(source);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(disk_failure(&folder, &error))
            }
            _ => Ok(()),
        }
    }
}

impl Shared {
    fn lock(&self, source: &SourceName) -> Arc<Mutex<()>> {
        let mut locks = self
            .publishing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(source.clone()).or_default())
    }
}

impl ports::Extracts for Extracts {
    fn stage(&self, source: &SourceName, run: RunId) -> Result<Box<dyn ports::Stage>, Failure> {
        Ok(Box::new(stage::Stage::open(
            Arc::clone(&self.0),
            source,
            run,
        )?))
    }

    fn cursors(&self, source: &SourceName) -> Result<Cursors, Failure> {
        let contents = Contents::read(&self.0.paths.extract(source));
        let contents = contents.map_err(|error| damaged_extract(source, &error))?;
        Ok(contents.map(Contents::open_cursors).unwrap_or_default())
    }

    fn rebuild(&self, source: &SourceName) -> Result<Vec<PublishedTable>, Failure> {
        let report = self.0.orchestrator.rebuild_source(source);
        report.map_err(|error| Failure::limit(error.to_string()))?;
        Ok(self.0.orchestrator.catalog().published(source))
    }
}

/// The failure for an extract whose files are not what was published.
fn damaged_extract(source: &SourceName, error: &ExtractError) -> Failure {
    Failure::limit(format!(
        "the extract of `{source}` is damaged: {error}; put its folder back from a backup, or bring all tables \
         anew with `sluice run {source} --full-refresh`"
    ))
}

/// The failure for an extract that cannot be written.
fn extract_failure(source: &SourceName, error: &ExtractError) -> Failure {
    Failure::limit(format!("the extract of `{source}` cannot be used: {error}"))
}

/// The failure for a disk that does not do what it should.
pub(crate) fn disk_failure(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    Failure::limit(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("the disk is full: cannot write `{path}`; free some space and run again")
        }
        io::ErrorKind::FileTooLarge => format!(
            "cannot write `{path}`: it becomes larger than this server may write; raise the limit (`ulimit -f`)"
        ),
        _ => format!("cannot write `{path}`: {error}"),
    })
}

#[cfg(test)]
pub(crate) mod tests;
