//! What can go wrong with the state, and what to do about it.

use std::path::PathBuf;

use domain::Failure;
use thiserror::Error;

/// Why the state could not be read or written.
#[derive(Debug, Error)]
pub enum StateError {
    /// There is one already.
    #[error("there is already a {what} `{name}`")]
    AlreadyExists {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There is none.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// The name that was asked for.
        name: String,
    },
    /// Nobody could let anybody in any more.
    #[error("this would leave no active admin")]
    LastAdmin,
    /// The file is not a database, or damaged.
    #[error(
        "the state file `{path}` is damaged; stop the server, move the file away, and put back a backup or a copy that a migration left beside it"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What DuckDB said.
        #[source]
        source: duckdb::Error,
    },
    /// A newer server has written it.
    #[error(
        "the state file `{path}` has schema {found}, newer than {known}, which this server knows; use the server that wrote it, or a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema that this server knows.
        known: u32,
    },
    /// It is open already.
    #[error("the state file `{0}` is open already")]
    Busy(PathBuf),
    /// A restore was interrupted: old and new files lie side by side.
    #[error(
        "a restore into this data folder did not end (`{0}` is there); run `sluice admin restore` again with --force"
    )]
    HalfRestored(PathBuf),
    /// A step of the schema failed; the file is as it was.
    #[error("step {number} of the state's schema failed; nothing was changed")]
    Migration {
        /// The step.
        number: u32,
        /// What DuckDB said.
        #[source]
        source: duckdb::Error,
    },
    /// The copy before a migration could not be written.
    #[error("cannot write `{path}`, the copy that is taken before a migration")]
    Copy {
        /// The copy.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A stored value is not what it must be.
    #[error("the state holds a malformed {what}: {reason}")]
    Malformed {
        /// The kind of thing.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// DuckDB failed.
    #[error("the state cannot be read or written: {0}")]
    Storage(#[source] duckdb::Error),
}

impl StateError {
    pub(crate) fn missing(what: &'static str, name: &impl ToString) -> Self {
        let name = name.to_string();
        Self::NotFound { what, name }
    }

    pub(crate) fn exists(what: &'static str, name: &impl ToString) -> Self {
        let name = name.to_string();
        Self::AlreadyExists { what, name }
    }
}

impl From<duckdb::Error> for StateError {
    fn from(source: duckdb::Error) -> Self {
        Self::Storage(source)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match &error {
            StateError::AlreadyExists { .. }
            | StateError::NotFound { .. }
            | StateError::LastAdmin => Self::config(error.to_string()),
            StateError::Storage(_) => Self::limit(error.to_string()),
            _ => Self::bug(error.to_string()),
        }
    }
}
