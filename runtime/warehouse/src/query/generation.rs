//! Locked instances: each reads the granted files of one catalog and nothing else. Which files those are
//! cannot change once it is locked, so a new catalog means a new generation.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use domain::restriction::Extent;
use domain::sql_ident::{quote_ident, quote_text};
use duckdb::Connection;

use super::gate::Gate;
use super::restricted::{Restricted, Unfit};
use super::{QueryError, Scope};
use crate::catalog::{Catalog, CatalogTable};
use crate::extract::{Pin, Pins, rows_of};
use crate::open;
use crate::remote::{Attached, Key, Remotes, Target, clean, rows_of as rows_of_remote};

const MEMORY: &str = "1GB";
/// Connections that wait in each; more queries than that at once are rare.
const MOST_IDLE: usize = 4;
/// A thread of DuckDB reads at least so many rows: the usual row group.
const FEW_ROWS: u64 = 122_880;
/// More threads than processors would only wait for each other.
const MOST_THREADS: usize = 8;

/// A locked instance. A view is made when the first query names its table: a principal with thousands of
/// tables waits for those of one query.
#[derive(Debug)]
pub(super) struct Generation {
    connection: Mutex<Connection>,
    /// Connections of queries that are done.
    idle: Mutex<Vec<Connection>>,
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
    pub(super) fn build(
        place: &Place<'_>,
        catalog: &Catalog,
        wanted: &Wanted,
    ) -> Result<Self, QueryError> {
        let tables = catalog.tables.iter();
        let granted = tables.filter_map(|table| {
            let extent = wanted.scope.extent(table.name.as_str())?;
            Some((table.name.folded(), (Arc::clone(table), extent)))
        });
        let tables: HashMap<_, _> = granted.collect();
        let files = tables.values().flat_map(|(table, _)| &table.files);
        let files: Vec<PathBuf> = files.map(|file| file.path.clone()).collect();
        let pin = place.pins.pin(files.clone());
        let attached = locked(place, &wanted.needs, &files)?;
        let databases = attached.names();
        let mut hidden = attached.hidden;
        hidden.push(place.key.to_owned());
        Ok(Self {
            databases,
            connection: Mutex::new(attached.connection),
            idle: Mutex::default(),
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

    /// Whether it has databases beside its files.
    pub(super) fn is_attached(&self) -> bool {
        !self.databases.is_empty()
    }

    /// The databases that it has.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.databases.keys()
    }

    /// Of the catalog that it was built for.
    pub(super) fn version(&self) -> u64 {
        self.version
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
        let connection = self.connection()?;
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

    fn connection(&self) -> Result<Connection, QueryError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = idle.pop() {
            return Ok(connection);
        }
        drop(idle);
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connection.try_clone().map_err(|error| QueryError::Engine {
            reason: error.to_string(),
        })
    }

    /// Keeps the connection of a query that succeeded for the next: what the gate lets pass changes nothing in it.
    pub(super) fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(connection);
        }
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
fn locked(place: &Place<'_>, needs: &Needs, files: &[PathBuf]) -> Result<Attached, QueryError> {
    let threads = match needs.all_processors {
        true => std::thread::available_parallelism().map_or(1, |n| n.get().min(MOST_THREADS)),
        false => 1,
    };
    let failed = |error: duckdb::Error| QueryError::Engine {
        reason: format!("the tables cannot be opened: {error}"),
    };
    let connection = open::in_memory(MEMORY, threads).map_err(failed)?;
    let scratch = quote_text(&place.scratch.to_string_lossy());
    // Published files never change, and DuckDB looks at a file's time all the same.
    let settings = connection.execute_batch(&format!(
        "SET temp_directory = {scratch}; SET parquet_metadata_cache = true"
    ));
    settings.map_err(failed)?;
    let attached = match needs.databases.is_empty() {
        true => Attached::none(connection),
        false => place
            .remotes
            .attach(&needs.databases, connection)
            .map_err(|reason| {
                tracing::warn!(reason, "a remote database cannot be attached for a query");
                QueryError::Unreachable
            })?,
    };
    open::lock(&attached.connection, files, &attached.folders).map_err(failed)?;
    Ok(attached)
}

/// What a generation is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    pub(super) scope: Scope,
    pub(super) needs: Needs,
}

/// What a query needs: most need no database attached, and wait for none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Needs {
    pub(super) databases: BTreeSet<Target>,
    /// Where there is little to read, threads wake each other for nothing.
    all_processors: bool,
}

impl Needs {
    /// Of a query that names these tables; one of them may have just landed, with a number of rows that nobody knows.
    pub(super) fn of<'a>(
        tables: impl Iterator<Item = &'a Arc<CatalogTable>>,
        has_landed: bool,
    ) -> Self {
        let mut needs = Self {
            databases: BTreeSet::new(),
            all_processors: has_landed,
        };
        let mut rows: u64 = 0;
        for table in tables {
            rows = rows.saturating_add(table.rows);
            needs
                .databases
                .extend(table.remote.as_ref().map(|place| Target {
                    source: table.source.clone(),
                    row: place.database.clone(),
                }));
        }
        // One that names no table makes its rows itself.
        needs.all_processors |= rows > FEW_ROWS || rows == 0 || !needs.databases.is_empty();
        needs
    }
}

/// Where generations are built.
pub(super) struct Place<'a> {
    pub(super) scratch: &'a Path,
    pub(super) pins: &'a Arc<Pins>,
    pub(super) remotes: &'a Remotes,
    /// Of hashes.
    pub(super) key: &'a str,
}
