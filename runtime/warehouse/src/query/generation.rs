//! Locked instances: each reads the granted files of one catalog and nothing else. Which files those are
//! cannot change once it is locked, so a new catalog means a new generation.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::QueryMode;
use domain::sql_ident::quote_text;
use duckdb::Connection;

use super::QueryError;
use crate::catalog::{Catalog, CatalogTable};
use crate::extract::{Pin, Pins, view};
use crate::open;
use crate::orchestrator::Orchestrator;

/// Instances that are kept; the one that was used longest ago leaves first.
const KEPT: usize = 32;
const MEMORY: &str = "1GB";
/// More threads than processors would only wait for each other.
const MOST_THREADS: usize = 8;

/// The tables that a principal may read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All of them.
    All,
    /// These, by their names in lower case. Names that do not exist are passed over.
    Only(BTreeSet<String>),
}

impl Scope {
    /// Whether a table is in it.
    pub fn covers(&self, table: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(&table.to_ascii_lowercase()),
        }
    }
}

/// A locked instance. A view is made when the first query names its table: a principal with thousands of
/// tables waits for those of one query.
#[derive(Debug)]
pub(super) struct Generation {
    connection: Mutex<Connection>,
    /// The granted tables by their names in lower case.
    tables: HashMap<String, Arc<CatalogTable>>,
    /// Those that have a view.
    viewed: Mutex<HashSet<String>>,
    version: u64,
    // After the connection: files may go once nobody reads them.
    _pin: Pin,
}

impl Generation {
    fn build(
        scratch: &Path,
        catalog: &Catalog,
        scope: &Scope,
        pins: &Arc<Pins>,
    ) -> Result<Self, QueryError> {
        let granted = catalog
            .tables
            .iter()
            .filter(|table| table.query_mode == QueryMode::Local)
            .filter(|table| scope.covers(table.name.as_str()));
        let tables: HashMap<_, _> = granted
            .map(|table| (table.name.folded(), Arc::clone(table)))
            .collect();
        let files = tables.values().flat_map(|table| &table.files);
        let files: Vec<PathBuf> = files.map(|file| file.path.clone()).collect();
        let pin = pins.pin(files.clone());
        let connection = locked(scratch, &files).map_err(|error| QueryError::Engine {
            reason: format!("the tables cannot be opened: {error}"),
        })?;
        Ok(Self {
            connection: Mutex::new(connection),
            tables,
            viewed: Mutex::default(),
            version: catalog.version,
            _pin: pin,
        })
    }

    /// Whether a table can be read here, by its name in lower case.
    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// A connection for one query over these tables.
    pub(super) fn connect(&self, named: &BTreeSet<String>) -> Result<Connection, QueryError> {
        let connection = {
            let connection = self
                .connection
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            connection.try_clone().map_err(|error| QueryError::Engine {
                reason: error.to_string(),
            })?
        };
        let mut viewed = self.viewed.lock().unwrap_or_else(PoisonError::into_inner);
        for name in named {
            let Some(table) = self.tables.get(name).filter(|_| !viewed.contains(name)) else {
                continue;
            };
            add_view(&connection, table)?;
            viewed.insert(name.clone());
        }
        Ok(connection)
    }
}

/// One table whose files somebody has removed costs no other.
fn add_view(connection: &Connection, table: &CatalogTable) -> Result<(), QueryError> {
    let files: Vec<&Path> = table.files.iter().map(|file| file.path.as_path()).collect();
    let made = connection.execute_batch(&view(table.name.as_str(), &files));
    made.map_err(|error| {
        let (source, name) = (&table.source, &table.name);
        tracing::warn!(%source, table = %name, %error, "a table cannot be queried: its files cannot be read");
        QueryError::Engine {
            reason: format!("the files of the table `{name}` cannot be read; run its source again"),
        }
    })
}

/// An instance that reads these files and nothing else. It cannot be opened again.
fn locked(scratch: &Path, files: &[PathBuf]) -> duckdb::Result<Connection> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MOST_THREADS));
    let connection = open::in_memory(MEMORY, threads)?;
    let allowed: Vec<String> = files
        .iter()
        .map(|path| quote_text(&path.to_string_lossy()))
        .collect();
    let (allowed, scratch) = (allowed.join(", "), quote_text(&scratch.to_string_lossy()));
    connection.execute_batch(&format!(
        "SET temp_directory = {scratch}; SET allowed_paths = [{allowed}]; SET enable_external_access = false; SET lock_configuration = true"
    ))?;
    Ok(connection)
}

type Cell = Arc<Mutex<Option<Arc<Generation>>>>;

/// The generations by scope, each with the turn in which it was used last.
type Turns = HashMap<Scope, (u64, Cell)>;

/// The newest generation of each scope.
#[derive(Debug)]
pub(super) struct Generations {
    scratch: PathBuf,
    orchestrator: Arc<Orchestrator>,
    pins: Arc<Pins>,
    /// The turn, and what it counts.
    cells: Mutex<(u64, Turns)>,
    /// How many were built.
    builds: AtomicU64,
}

impl Generations {
    pub(super) fn new(scratch: PathBuf, orchestrator: Arc<Orchestrator>, pins: Arc<Pins>) -> Self {
        Self {
            scratch,
            orchestrator,
            pins,
            cells: Mutex::default(),
            builds: AtomicU64::default(),
        }
    }

    /// The generation for the catalog as it is now. Who holds an older one goes on with it.
    pub(super) fn current(&self, scope: &Scope) -> Result<Arc<Generation>, QueryError> {
        let cell = self.cell(scope);
        let mut held = cell.lock().unwrap_or_else(PoisonError::into_inner);
        let catalog = self.orchestrator.catalog();
        if let Some(generation) = held.as_ref().filter(|held| held.version == catalog.version) {
            return Ok(Arc::clone(generation));
        }
        self.builds.fetch_add(1, Ordering::Relaxed);
        let generation = Generation::build(&self.scratch, &catalog, scope, &self.pins)?;
        Ok(Arc::clone(held.insert(Arc::new(generation))))
    }

    /// Whether the catalog is still the one that a generation was built for.
    pub(super) fn is_newest(&self, generation: &Generation) -> bool {
        self.orchestrator.catalog().version == generation.version
    }

    /// How many were built since the start.
    pub(super) fn builds(&self) -> u64 {
        self.builds.load(Ordering::Relaxed)
    }

    fn cell(&self, scope: &Scope) -> Cell {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let (turn, cells) = &mut *cells;
        *turn += 1;
        if cells.len() >= KEPT && !cells.contains_key(scope) {
            let oldest = cells
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(scope, _)| scope.clone());
            oldest.and_then(|oldest| cells.remove(&oldest));
        }
        let (used, cell) = cells.entry(scope.clone()).or_default();
        *used = *turn;
        Arc::clone(cell)
    }
}
