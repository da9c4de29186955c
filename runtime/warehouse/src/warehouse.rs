//! The whole of it, opened in the right order.

use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use crate::extract::{Extracts, Pins, Wholes};
use crate::hybrid::Landing;
use crate::orchestrator::Orchestrator;
use crate::paths::{DirError, DirLock, Paths, lock_data_dir};
use crate::profile::Profiler;
use crate::query::{QueryEngine, QueryError};
use crate::state::{State, StateError};

/// Why the data folder cannot be opened.
#[derive(Debug, Error)]
pub enum OpenWarehouseError {
    /// The folder itself.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// The system database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The folder of the extracts, or of the data.
    #[error("the data folder cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The query engine.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Everything of a data folder. The folder is locked while this lives.
#[derive(Debug)]
pub struct Warehouse {
    /// Where things lie.
    pub paths: Paths,
    /// What the server remembers.
    pub state: Arc<State>,
    /// Where runs write.
    pub extracts: Extracts,
    /// Master views and catalog; call `rebuild` once after opening.
    pub orchestrator: Arc<Orchestrator>,
    /// Tables as one file each, for downloads.
    pub wholes: Wholes,
    /// Answers SQL.
    pub queries: Arc<QueryEngine>,
    /// Says what tables look like.
    pub profiler: Arc<Profiler>,
    _lock: DirLock,
}

impl Warehouse {
    /// Locks and opens a data folder, creating what is missing and removing what dead runs left.
    ///
    /// # Errors
    /// [`OpenWarehouseError`], whose text says what to do.
    pub fn open(data_dir: impl AsRef<Path>) -> Result<Self, OpenWarehouseError> {
        let paths = Paths::new(data_dir)?;
        let lock = lock_data_dir(&paths)?;
        if let Err(error) = Landing::sweep(&paths) {
            tracing::warn!(%error, "results that a last server left could not be removed");
        }
        let state = Arc::new(State::open(&paths)?);
        let pins = Arc::new(Pins::default());
        let orchestrator = Arc::new(Orchestrator::new(paths.clone()));
        let extracts = Extracts::new(paths.clone(), Arc::clone(&orchestrator), Arc::clone(&pins))?;
        let profiler = Arc::new(Profiler::new(&paths, Arc::clone(&pins)));
        let wholes = Wholes::open(&paths, Arc::clone(&pins))?;
        let queries = Arc::new({
            let (orchestrator, key) = (Arc::clone(&orchestrator), state.mask_key()?);
            QueryEngine::new(&paths, orchestrator, pins, key)?
        });
        Ok(Self {
            paths,
            state,
            extracts,
            orchestrator,
            wholes,
            queries,
            profiler,
            _lock: lock,
        })
    }
}
