//! The only place that opens DuckDB files. Opening one file twice in a process loses data, so each
//! path is registered while it is open and a second opener waits or is refused.

use std::collections::HashSet;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::sql_ident::{quote_ident, quote_text};
use duckdb::{AccessMode, Config, Connection};
use thiserror::Error;

/// Long enough for the slowest publish to finish with a file; after that something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a database could not be opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    /// It is open in this process already.
    #[error("`{0}` is open in this process already")]
    Busy(PathBuf),
    /// DuckDB refused it.
    #[error("cannot open `{path}`")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: duckdb::Error,
    },
}

/// What an opener does when somebody else of this process has the file open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Wait,
    Refuse,
}

struct Registry {
    open: Mutex<HashSet<PathBuf>>,
    closed: Condvar,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry {
    open: Mutex::new(HashSet::new()),
    closed: Condvar::new(),
});

/// A registered path; given back when dropped.
#[derive(Debug)]
struct Slot(PathBuf);

impl Slot {
    fn take(path: &Path, patience: Patience) -> Result<Self, OpenError> {
        let path = identity(path);
        let mut open = REGISTRY.open.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + PATIENCE;
        while open.contains(&path) {
            let left = deadline.saturating_duration_since(Instant::now());
            if patience == Patience::Refuse || left.is_zero() {
                return Err(OpenError::Busy(path));
            }
            open = REGISTRY
                .closed
                .wait_timeout(open, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        open.insert(path.clone());
        Ok(Self(path))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = REGISTRY.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.0);
        REGISTRY.closed.notify_all();
    }
}

/// The path by which a file is registered: its folder without links, and its name.
fn identity(path: &Path) -> PathBuf {
    match (
        path.parent().and_then(|p| p.canonicalize().ok()),
        path.file_name(),
    ) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// An open database file. Its connections are closed before its path is given back.
pub(crate) struct Database {
    connection: Connection,
    // After the connection: fields are dropped in this order.
    _slot: Slot,
}

impl Deref for Database {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Database").field(&self._slot.0).finish()
    }
}

impl Database {
    /// Opens a file of the host for writing, creating it where it is missing.
    pub(crate) fn create(path: &Path, patience: Patience) -> Result<Self, OpenError> {
        Self::open(path, AccessMode::ReadWrite, patience)
    }

    /// Opens a file for reading.
    pub(crate) fn read(path: &Path) -> Result<Self, OpenError> {
        Self::open(path, AccessMode::ReadOnly, Patience::Wait)
    }

    fn open(path: &Path, mode: AccessMode, patience: Patience) -> Result<Self, OpenError> {
        let slot = Slot::take(path, patience)?;
        let connection = settings("512MB", 2)
            .and_then(|config| config.access_mode(mode))
            .and_then(|config| Connection::open_with_flags(path, config))
            .map_err(|source| OpenError::Refused {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            connection,
            _slot: slot,
        })
    }
}

/// Reads database files one after the other, without an instance of its own for each.
pub(crate) struct Reader(Connection);

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Reader {
    pub(crate) fn new() -> duckdb::Result<Self> {
        // Readers stand beside each other, so each has a thread.
        in_memory("512MB", 1).map(Self)
    }

    /// Lends a connection in which the names of one file are those that are meant.
    pub(crate) fn read<T, E: From<OpenError> + From<duckdb::Error>>(
        &self,
        path: &Path,
        read: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let _slot = Slot::take(path, Patience::Wait)?;
        let file = quote_text(&path.to_string_lossy());
        self.0
            .execute_batch(&format!("ATTACH {file} AS extract (READ_ONLY)"))
            .map_err(|source| OpenError::Refused {
                path: path.to_owned(),
                source,
            })?;
        let result = match self.0.execute_batch("USE extract") {
            Ok(()) => read(&self.0),
            Err(error) => Err(error.into()),
        };
        self.0.execute_batch("USE memory; DETACH extract")?;
        result
    }

    /// The columns of a query and their types.
    pub(crate) fn describe(&self, select: &str) -> duckdb::Result<Vec<(String, String)>> {
        describe(&self.0, select)
    }
}

/// The instance that wrote the last new file, for the next one: to start one takes longer than to write a small file.
static SCRIBE: Mutex<Option<Connection>> = Mutex::new(None);

/// Lends a connection that writes a new file. It is closed, and whole, when this returns without an error.
pub(crate) fn write_new<T, E: From<OpenError> + From<duckdb::Error>>(
    path: &Path,
    write: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let _slot = Slot::take(path, Patience::Wait)?;
    let refused = |source| OpenError::Refused {
        path: path.to_owned(),
        source,
    };
    let idle = SCRIBE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let connection = match idle {
        Some(connection) => connection,
        None => in_memory("512MB", 2).map_err(refused)?,
    };
    let file = quote_text(&path.to_string_lossy());
    let attached = connection.execute_batch(&format!("ATTACH {file} AS extract; USE extract"));
    attached.map_err(refused)?;
    let written = write(&connection)?;
    connection.execute_batch("CHECKPOINT; USE memory; DETACH extract")?;
    // One that failed may hold on to its file, and ends with it.
    *SCRIBE.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    Ok(written)
}

/// The columns of a query and their types.
pub(crate) fn describe(
    connection: &Connection,
    select: &str,
) -> duckdb::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(&format!("DESCRIBE {select}"))?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Leaves an instance these files and what lies in these folders, for good.
pub(crate) fn lock(
    connection: &Connection,
    files: &[PathBuf],
    folders: &[PathBuf],
) -> duckdb::Result<()> {
    let list = |paths: &[PathBuf]| {
        let quoted = paths.iter().map(|path| quote_text(&path.to_string_lossy()));
        quoted.collect::<Vec<_>>().join(", ")
    };
    connection.execute_batch(&format!(
        "SET allowed_paths = [{}]; SET allowed_directories = [{}]; SET enable_external_access = false; SET lock_configuration = true",
        list(files),
        list(folders)
    ))
}

/// Copies a file that nobody of this process has open meanwhile.
pub(crate) fn copy_closed(from: &Path, to: &Path) -> std::io::Result<()> {
    let _slot = Slot::take(from, Patience::Wait).map_err(std::io::Error::other)?;
    std::fs::copy(from, to).map(drop)
}

/// Copies all of a database into a new file, as one transaction sees it: neither readers nor the
/// writer wait. `also` reads in that same transaction.
///
/// Never by copying the file: closing a second descriptor of it would give up DuckDB's lock on it.
pub(crate) fn copy_into<T, E: From<duckdb::Error>>(
    connection: &Connection,
    to: &Path,
    also: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    // A name of its own for each of several copies at once.
    let alias = format!("copy_{}", uuid::Uuid::now_v7().simple());
    let target = quote_text(&to.to_string_lossy());
    connection.execute_batch(&format!("ATTACH {target} AS {alias}"))?;
    let copied = copy_attached(connection, &alias, also);
    let closed = connection.execute_batch(&format!("DETACH {alias}"));
    let read = copied?;
    closed?;
    Ok(read)
}

fn copy_attached<T, E: From<duckdb::Error>>(
    connection: &Connection,
    alias: &str,
    also: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let snapshot = connection.unchecked_transaction()?;
    let name: String = snapshot.query_row("SELECT current_database()", [], |row| row.get(0))?;
    let read = also(&snapshot)?;
    let name = quote_ident(&name);
    snapshot.execute_batch(&format!("COPY FROM DATABASE {name} TO {alias}"))?;
    snapshot.commit()?;
    Ok(read)
}

/// A database in memory that holds nothing yet.
pub(crate) fn in_memory(memory_limit: &str, threads: usize) -> duckdb::Result<Connection> {
    Connection::open_in_memory_with_flags(settings(memory_limit, threads)?)
}

/// What every instance is opened with: nothing is fetched, loaded or remembered by itself.
fn settings(memory_limit: &str, threads: usize) -> duckdb::Result<Config> {
    Config::default()
        .enable_autoload_extension(false)?
        .with("allow_community_extensions", "false")?
        .with("allow_persistent_secrets", "false")?
        .with("default_secret_storage", "memory")?
        .max_memory(memory_limit)?
        .threads(i64::try_from(threads).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_never_open_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.duckdb");
        let first = Database::create(&path, Patience::Refuse).unwrap();
        let twisted = folder.path().join(".").join("a.duckdb");
        assert!(matches!(
            Database::create(&twisted, Patience::Refuse),
            Err(OpenError::Busy(_))
        ));
        drop(first);
        Database::create(&twisted, Patience::Refuse).unwrap();
    }

    #[test]
    fn whoever_waits_gets_the_file_once_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.duckdb");
        let first = Database::create(&path, Patience::Refuse).unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || Database::read(&path).map(drop)
        });
        drop(first);
        waiting.join().unwrap().unwrap();
    }
}
