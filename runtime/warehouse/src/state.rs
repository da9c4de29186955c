//! What the server remembers: publishers, versions, sources, sealed credentials, runs, users, groups,
//! grants, tokens, what people ask for, choose and say about tables, and the audit of what was done.
//!
//! One writer connection stands behind a mutex and checks uniqueness inside its transaction; readers
//! get clones. Everything blocks: asynchronous callers move it to a blocking thread.

mod access_requests;
mod agendas;
mod alerts;
mod audit;
mod backup;
mod bootstrap;
mod check;
mod credentials;
mod descriptions;
mod error;
mod grants;
mod groups;
mod knowledge;
mod links;
mod many;
mod marketplaces;
mod metrics;
mod migrate;
mod notify;
mod pins;
mod preferences;
mod provider_groups;
mod publishers;
mod registry;
mod row;
mod runs;
mod series;
mod sources;
mod tokens;
mod upkeep;
mod users;
mod versions;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use domain::connector::Version;
use domain::ports::Store;
use domain::run::{EgressRow, LogLine};
use domain::series::Point;
use domain::{Digest, Failure, Run, RunId, Source, SourceName, SyncReport};
use duckdb::Connection;

use crate::open::{Database, OpenError, Patience};
use crate::paths::Paths;

pub use audit::{AuditBreak, AuditEntry, AuditFault, AuditFilter, AuditRecord, AuditReport};
pub use backup::{BackupError, Manifest, Restored, restore};
pub use check::CheckReport;
pub use credentials::SealedAt;
pub use error::StateError;
pub use knowledge::{Reviewed, Tally};
pub use links::Link;
pub use pins::Upgrade;
pub use runs::Interrupted;
pub use users::UserChange;

/// Why the file was not opened: DuckDB says so in words only.
fn refused(error: OpenError) -> StateError {
    match error {
        OpenError::Busy(path) => StateError::Busy(path),
        OpenError::Refused { path, source } => match source.to_string() {
            text if text.contains("Could not set lock") => StateError::Busy(path),
            text if text.contains("Permission denied") => StateError::Storage(source),
            _ => StateError::Corrupt { path, source },
        },
    }
}

fn storage(source: duckdb::Error) -> StateError {
    StateError::Storage(source)
}

/// The system database. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct State {
    // Before the database, so that the file is closed before its path is given back.
    readers: Mutex<Connection>,
    writer: Mutex<Database>,
    access_changes: AtomicU64,
    token_changes: AtomicU64,
}

impl State {
    /// Opens the system database, creating it or bringing its schema up to date.
    ///
    /// # Errors
    /// [`StateError::Corrupt`], [`StateError::Newer`], [`StateError::Busy`], or what went wrong on
    /// the way.
    pub fn open(paths: &Paths) -> Result<Self, StateError> {
        let path = paths.system_db();
        let marker = paths.restore_marker();
        if marker.exists() {
            return Err(StateError::HalfRestored(marker));
        }
        let database = Database::create(&path, Patience::Refuse).map_err(refused)?;
        migrate::migrate(&database, &path, migrate::MIGRATIONS)?;
        let readers = database.try_clone()?;
        Ok(Self {
            readers: Mutex::new(readers),
            writer: Mutex::new(database),
            access_changes: AtomicU64::new(0),
            token_changes: AtomicU64::new(0),
        })
    }

    /// The newest schema that this build knows, and so that of every state it has opened.
    pub const SCHEMA: u32 = migrate::NEWEST;

    /// The schema of the file, and the newest that this server knows.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn schema_version(&self) -> Result<(u32, u32), StateError> {
        Ok((self.read(migrate::version)?, Self::SCHEMA))
    }

    /// Grows with every change of who may do what, after the change can be read. Whoever keeps some of
    /// that in memory compares this with what it was, and so cannot serve what has been taken back.
    pub fn access_changes(&self) -> u64 {
        self.access_changes.load(Ordering::SeqCst)
    }

    /// The same for tokens that were revoked: that happens with every sign-out, and must not make
    /// anybody read all users and grants anew.
    pub fn token_changes(&self) -> u64 {
        self.token_changes.load(Ordering::SeqCst)
    }

    /// Moves what was written from the log into the file; for an orderly end.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn checkpoint(&self) -> Result<(), StateError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(writer.execute_batch("CHECKPOINT")?)
    }

    /// Reads on a connection of its own, so that readers wait neither for each other nor for the
    /// writer.
    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let connection = self
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_clone()?;
        work(&connection)
    }

    /// Writes in a transaction that ends with the work: committed if it succeeds, else undone.
    fn write<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.unchecked_transaction()?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Writes what decides which tokens are good.
    fn write_tokens<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let result = self.write(work)?;
        self.token_changes.fetch_add(1, Ordering::SeqCst);
        Ok(result)
    }

    /// Writes what decides who may do what, and with it which tokens are good.
    fn write_access<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let result = self.write_tokens(work)?;
        self.access_changes.fetch_add(1, Ordering::SeqCst);
        Ok(result)
    }
}

impl Store for State {
    fn source(&self, name: &SourceName) -> Result<Option<Source>, Failure> {
        Ok(Self::source(self, name)?)
    }

    fn version(&self, digest: &Digest) -> Result<Option<Version>, Failure> {
        Ok(Self::version(self, digest)?)
    }

    fn save_run(&self, run: &Run) -> Result<(), Failure> {
        Ok(Self::save_run(self, run)?)
    }

    fn append_log(&self, run: RunId, lines: &[LogLine]) -> Result<(), Failure> {
        Ok(Self::append_log(self, run, lines)?)
    }

    fn save_series(&self, run: RunId, points: &[Point]) -> Result<(), Failure> {
        Ok(Self::save_series(self, run, points)?)
    }

    fn append_egress(&self, run: RunId, rows: &[EgressRow]) -> Result<(), Failure> {
        Ok(Self::append_egress(self, run, rows)?)
    }

    fn record_sync(&self, report: &SyncReport) -> Result<(), Failure> {
        Ok(Self::record_sync(self, report)?)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::access::Scopes;
    use domain::people::ADMINS;
    use domain::{Group, Membership, Origin, Token, TokenKind, User};
    use jiff::{Timestamp, ToSpan as _};
    use uuid::Uuid;

    pub(crate) fn state() -> (tempfile::TempDir, State) {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        paths.create().unwrap();
        let state = State::open(&paths).unwrap();
        (folder, state)
    }

    /// An entry that says little.
    pub(crate) fn entry() -> AuditEntry {
        AuditEntry::new("test")
    }

    /// A token of a user, whose text is this.
    pub(crate) fn token(user: &User, text: &[u8]) -> Token {
        let now = Timestamp::now();
        Token {
            id: Uuid::now_v7(),
            user: user.id,
            kind: TokenKind::Personal,
            name: "a token".into(),
            hash: Digest::of(text),
            scopes: Scopes::All,
            created_at: now,
            expires_at: now + 24.hours(),
            last_used_at: None,
            last_used_from: None,
            revoked_at: None,
        }
    }

    /// A new admin.
    pub(crate) fn admin(state: &State) -> User {
        let user = User::new(&format!("{}@example.com", Uuid::now_v7()), "");
        state.insert_user(&user, &entry()).unwrap();
        let membership = Membership {
            user: user.id,
            group: ADMINS,
            origin: Origin::Seed,
            added_at: user.created_at,
            added_by: None,
        };
        state.insert_member(&membership, &entry()).unwrap();
        user
    }

    /// A new group.
    pub(crate) fn group(state: &State, name: &str) -> Group {
        let group = Group {
            id: Uuid::now_v7(),
            name: name.into(),
            description: String::new(),
            origin: Origin::Manual,
            created_at: Timestamp::now(),
            created_by: None,
        };
        state.insert_group(&group, &entry()).unwrap();
        group
    }

    #[test]
    fn a_damaged_file_is_named_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        paths.create().unwrap();
        std::fs::write(paths.system_db(), "garbage".repeat(1000)).unwrap();
        let error = State::open(&paths).unwrap_err();
        assert!(matches!(error, StateError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("system.duckdb"), "{error}");
        assert!(error.to_string().contains("backup"), "{error}");
    }

    #[test]
    fn the_state_cannot_be_opened_twice() {
        let (folder, _state) = state();
        let error = State::open(&Paths::new(folder.path()).unwrap()).unwrap_err();
        assert!(matches!(error, StateError::Busy(_)), "{error:?}");
    }

    #[test]
    fn readers_wait_for_no_writer_and_see_only_what_is_committed() {
        let (_folder, state) = state();
        let code = Digest::of(b"code");
        let seen = state.write(|connection| {
            let insert = "INSERT INTO bootstrap VALUES (?)";
            connection.execute(insert, duckdb::params![code.to_string()])?;
            // Would never return if it waited for this transaction.
            std::thread::scope(|scope| scope.spawn(|| state.bootstrap_code()).join().unwrap())
        });
        assert_eq!(seen.unwrap(), None);
        assert_eq!(state.bootstrap_code().unwrap(), Some(code));
    }

    #[test]
    fn a_checkpoint_waits_for_no_reader_and_leaves_nothing_to_replay() {
        let (folder, state) = state();
        let log = folder.path().join("state/system.duckdb.wal");
        state.set_bootstrap_code(&Digest::of(b"old")).unwrap();
        assert!(log.metadata().unwrap().len() > 0);
        let read = |connection: &Connection| -> Result<String, StateError> {
            let sql = "SELECT hash FROM bootstrap";
            Ok(connection.query_row(sql, [], |row| row.get(0))?)
        };
        let both = state.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let before = read(&snapshot)?;
            state.set_bootstrap_code(&Digest::of(b"new"))?;
            state.checkpoint()?;
            Ok((before, read(&snapshot)?))
        });
        let (before, after) = both.unwrap();
        assert_eq!(before, after, "a transaction sees one moment");
        state.checkpoint().unwrap();
        assert!(!log.exists());
    }

    #[test]
    fn what_was_written_is_there_after_reopening_without_a_checkpoint() {
        let (folder, state) = state();
        state.set_bootstrap_code(&Digest::of(b"code")).unwrap();
        let (current, newest) = state.schema_version().unwrap();
        assert_eq!(current, newest);
        drop(state);
        let state = State::open(&Paths::new(folder.path()).unwrap()).unwrap();
        assert_eq!(state.bootstrap_code().unwrap(), Some(Digest::of(b"code")));
        state.checkpoint().unwrap();
    }
}
