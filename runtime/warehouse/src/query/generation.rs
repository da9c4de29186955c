//! Locked instances: each reads the granted files of one catalog and nothing else. Which files those are
//! cannot change once it is locked, so a new catalog means a new generation.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::restriction::Extent;
use domain::sql_ident::{quote_ident, quote_text};
use duckdb::Connection;

use super::gate::Gate;
use super::restricted::{Restricted, Unfit};
use super::{QueryError, Scope};
use crate::catalog::{Catalog, CatalogTable};
use crate::extract::{Pin, Pins, rows_of};
use crate::hybrid::Landing;
use crate::open;
use crate::orchestrator::Orchestrator;
use crate::remote::{Attached, Key, Remotes, Target, clean, rows_of as rows_of_remote};

/// Instances that are kept; the one that was used longest ago leaves first.
const KEPT: usize = 32;
const MEMORY: &str = "1GB";
/// More threads than processors would only wait for each other.
const MOST_THREADS: usize = 8;

/// A locked instance. A view is made when the first query names its table: a principal with thousands of
/// tables waits for those of one query.
#[derive(Debug)]
pub(super) struct Generation {
    connection: Mutex<Connection>,
    /// The granted tables by their names in lower case, and how much of each.
    tables: HashMap<String, (Arc<CatalogTable>, Extent)>,
    /// Those that have a view.
    viewed: Mutex<HashSet<String>>,
    /// What attached databases are called here.
    databases: BTreeMap<Key, String>,
    /// What must not be seen in any message.
    hidden: Vec<String>,
    version: u64,
    // After the connection: files may go once nobody reads them.
    _pin: Pin,
}

impl Generation {
    fn build(place: &Place<'_>, catalog: &Catalog, wanted: &Wanted) -> Result<Self, QueryError> {
        let tables = catalog.tables.iter();
        let granted = tables.filter_map(|table| {
            let extent = wanted.scope.extent(table.name.as_str())?;
            Some((table.name.folded(), (Arc::clone(table), extent)))
        });
        let tables: HashMap<_, _> = granted.collect();
        let files = tables.values().flat_map(|(table, _)| &table.files);
        let files: Vec<PathBuf> = files.map(|file| file.path.clone()).collect();
        let pin = place.pins.pin(files.clone());
        let attached = locked(place, &wanted.databases, &files)?;
        let databases = attached.names();
        let mut hidden = attached.hidden;
        hidden.push(place.key.to_owned());
        Ok(Self {
            databases,
            connection: Mutex::new(attached.connection),
            tables,
            viewed: Mutex::default(),
            hidden,
            version: catalog.version,
            _pin: pin,
        })
    }

    /// Whether a table can be read here, by its name in lower case.
    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// The databases that must be attached for these tables.
    pub(super) fn databases_of(&self, named: &BTreeSet<String>) -> BTreeSet<Target> {
        let tables = named.iter().filter_map(|name| self.tables.get(name));
        let remote = tables.filter_map(|(table, _)| {
            let place = table.remote.as_ref()?;
            Some(Target {
                source: table.source.clone(),
                row: place.database.clone(),
            })
        });
        remote.collect()
    }

    /// Whether it has databases beside its files.
    pub(super) fn is_attached(&self) -> bool {
        !self.databases.is_empty()
    }

    /// What must not be seen in any message.
    pub(super) fn hidden(&self) -> &[String] {
        &self.hidden
    }

    /// Whether a part of one of these tables is left out.
    pub(super) fn is_part(&self, named: &BTreeSet<String>) -> bool {
        let mut tables = named.iter().filter_map(|name| self.tables.get(name));
        tables.any(|(_, extent)| extent.is_part())
    }

    /// A connection for one query over these tables.
    pub(super) fn connect(
        &self,
        named: &BTreeSet<String>,
        view: &ViewMaker<'_>,
    ) -> Result<Connection, QueryError> {
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
            let Some((table, extent)) = self.tables.get(name).filter(|_| !viewed.contains(name))
            else {
                continue;
            };
            self.add_view(&connection, table, extent, view)?;
            viewed.insert(name.clone());
        }
        Ok(connection)
    }

    /// One table that cannot be read costs no other.
    fn add_view(
        &self,
        connection: &Connection,
        table: &CatalogTable,
        extent: &Extent,
        maker: &ViewMaker<'_>,
    ) -> Result<(), QueryError> {
        let (source, name) = (&table.source, &table.name);
        let Some(rows) = rows(table, &self.databases) else {
            return Ok(());
        };
        let unfit = |reason: String| {
            tracing::warn!(%source, table = %name, reason, "a table cannot be queried");
        };
        let select = maker.select(table, extent, &rows).map_err(|error| {
            unfit(error.to_string());
            QueryError::Engine {
                reason: format!(
                    "what you were granted of the table `{name}` does not fit it any more; ask an admin"
                ),
            }
        })?;
        let view = quote_ident(name.as_str());
        let made = connection.execute_batch(&format!("CREATE VIEW {view} AS {select}"));
        made.map_err(|error| {
            unfit(clean(&error, &self.hidden));
            QueryError::Engine {
                reason: format!("the table `{name}` cannot be read; run its source again"),
            }
        })
    }
}

/// What views are made with.
#[derive(Debug)]
pub(super) struct ViewMaker<'a> {
    pub(super) gate: &'a Gate,
    /// Of hashes.
    pub(super) key: &'a str,
}

impl ViewMaker<'_> {
    pub(super) fn select(
        &self,
        table: &CatalogTable,
        extent: &Extent,
        rows: &str,
    ) -> Result<String, Unfit> {
        let restricted = Restricted {
            gate: self.gate,
            table,
            key: self.key,
        };
        restricted.select(extent, rows)
    }
}

/// The query for all rows of a table.
fn rows(table: &CatalogTable, databases: &BTreeMap<Key, String>) -> Option<String> {
    match &table.remote {
        Some(place) => {
            let key = (table.source.clone(), place.database.alias.clone());
            let alias = databases.get(&key)?;
            Some(rows_of_remote(alias, &place.name))
        }
        None => {
            let files = table.files.iter().map(|file| file.path.as_path());
            Some(rows_of(&files.collect::<Vec<_>>()))
        }
    }
}

/// An instance in which these databases are attached, and these files can be read, and nothing else. It
/// cannot be opened again.
fn locked(
    place: &Place<'_>,
    databases: &BTreeSet<Target>,
    files: &[PathBuf],
) -> Result<Attached, QueryError> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MOST_THREADS));
    let failed = |error: duckdb::Error| QueryError::Engine {
        reason: format!("the tables cannot be opened: {error}"),
    };
    let connection = open::in_memory(MEMORY, threads).map_err(failed)?;
    let scratch = quote_text(&place.scratch.to_string_lossy());
    let spill = connection.execute_batch(&format!("SET temp_directory = {scratch}"));
    spill.map_err(failed)?;
    let attached = match databases.is_empty() {
        true => Attached::none(connection),
        false => place
            .remotes
            .attach(databases, connection)
            .map_err(|reason| {
                tracing::warn!(reason, "a remote database cannot be attached for a query");
                QueryError::Unreachable
            })?,
    };
    open::lock(&attached.connection, files, &attached.folders).map_err(failed)?;
    Ok(attached)
}

type Cell = Arc<Mutex<Option<Arc<Generation>>>>;

/// What a generation is for: most queries need no database attached, and wait for none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Wanted {
    scope: Scope,
    databases: BTreeSet<Target>,
}

/// Where generations are built.
struct Place<'a> {
    scratch: &'a Path,
    pins: &'a Arc<Pins>,
    remotes: &'a Remotes,
    /// Of hashes.
    key: &'a str,
}

/// The generations by what they are for, each with the turn in which it was used last.
type Turns = HashMap<Wanted, (u64, Cell)>;

/// The newest generation of each scope.
#[derive(Debug)]
pub(super) struct Generations {
    scratch: PathBuf,
    orchestrator: Arc<Orchestrator>,
    pins: Arc<Pins>,
    /// Of the hashes that stand in place of masked values.
    key: String,
    /// The turn, and what it counts.
    cells: Mutex<(u64, Turns)>,
    /// How many were built.
    builds: AtomicU64,
}

impl Generations {
    pub(super) fn new(
        scratch: PathBuf,
        orchestrator: Arc<Orchestrator>,
        pins: Arc<Pins>,
        key: String,
    ) -> Self {
        Self {
            scratch,
            orchestrator,
            pins,
            key,
            cells: Mutex::default(),
            builds: AtomicU64::default(),
        }
    }

    /// The generation for the catalog as it is now. Who holds an older one goes on with it.
    pub(super) fn current(
        &self,
        scope: &Scope,
        databases: BTreeSet<Target>,
    ) -> Result<Arc<Generation>, QueryError> {
        let wanted = Wanted {
            scope: scope.clone(),
            databases,
        };
        let cell = self.cell(&wanted);
        let mut held = cell.lock().unwrap_or_else(PoisonError::into_inner);
        let catalog = self.orchestrator.catalog();
        if let Some(generation) = held.as_ref().filter(|held| held.version == catalog.version) {
            return Ok(Arc::clone(generation));
        }
        let built = self.build(&catalog, &wanted)?;
        Ok(Arc::clone(held.insert(built)))
    }

    /// A generation that nobody else uses, with results of other engines beside the scope.
    pub(super) fn once(
        &self,
        scope: &Scope,
        landing: &Landing,
        databases: BTreeSet<Target>,
    ) -> Result<Arc<Generation>, QueryError> {
        let catalog = landing.beside(&self.orchestrator.catalog());
        let scope = scope.with(landing.names());
        self.build(&catalog, &Wanted { scope, databases })
    }

    fn build(&self, catalog: &Catalog, wanted: &Wanted) -> Result<Arc<Generation>, QueryError> {
        self.builds.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            scratch: &self.scratch,
            pins: &self.pins,
            remotes: self.orchestrator.remotes(),
            key: &self.key,
        };
        let built = Generation::build(&place, catalog, wanted);
        if !wanted.databases.is_empty() {
            // One that is down is to be looked at, so that it comes back by itself.
            self.orchestrator.wake_prober();
        }
        Ok(Arc::new(built?))
    }

    /// Has the databases of a generation looked at that has lost one.
    pub(super) fn doubt(&self, generation: &Generation) {
        let databases = generation.databases.keys();
        self.orchestrator.remotes().doubt(databases);
        self.orchestrator.wake_prober();
    }

    /// Forgets a generation whose databases may have gone away: the next query attaches them anew.
    pub(super) fn forget(&self, generation: &Arc<Generation>) {
        if !generation.is_attached() {
            return;
        }
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.1.retain(|_, (_, cell)| {
            // One that is being built is another.
            let held = cell.try_lock();
            !held.is_ok_and(|held| {
                held.as_ref()
                    .is_some_and(|held| Arc::ptr_eq(held, generation))
            })
        });
    }

    /// Whether the catalog is still the one that a generation was built for.
    pub(super) fn is_newest(&self, generation: &Generation) -> bool {
        self.orchestrator.catalog().version == generation.version
    }

    /// The key of hashes.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// How many were built since the start.
    pub(super) fn builds(&self) -> u64 {
        self.builds.load(Ordering::Relaxed)
    }

    fn cell(&self, wanted: &Wanted) -> Cell {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let (turn, cells) = &mut *cells;
        *turn += 1;
        if cells.len() >= KEPT && !cells.contains_key(wanted) {
            let oldest = cells
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(wanted, _)| wanted.clone());
            oldest.and_then(|oldest| cells.remove(&oldest));
        }
        let (used, cell) = cells.entry(wanted.clone()).or_default();
        *used = *turn;
        Arc::clone(cell)
    }
}
