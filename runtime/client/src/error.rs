//! What can go wrong, and the exit code that scripts tell it by.

use std::path::Path;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server answered with an error.
    #[error("{what}: {detail} (HTTP {status}){}", hint(*status))]
    Api {
        status: u16,
        what: String,
        detail: String,
    },
    #[error(
        "cannot reach {server}: {reason}. Check the address (DA_SERVER, or `da setup init --server URL`) and the network."
    )]
    Unreachable { server: String, reason: String },
    #[error("{what}: {source}")]
    Io {
        what: String,
        source: std::io::Error,
    },
    #[error("Query error: {0}")]
    Database(#[from] duckdb::Error),
    #[error("{0}")]
    Said(String),
    /// The same with an exit code of its own.
    #[error("{message}")]
    Exit { code: u8, message: String },
}

impl Error {
    /// What the process exits with.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Exit { code, .. } => *code,
            _ => 1,
        }
    }

    /// The same error with another exit code, by the server's status.
    pub(crate) fn exit(self, code: impl Fn(u16) -> u8) -> Self {
        let code = match &self {
            Self::Api { status, .. } => code(*status),
            Self::Unreachable { .. } => code(503),
            _ => return self,
        };
        Self::Exit {
            code,
            message: self.to_string(),
        }
    }
}

/// A step that helps after this status.
fn hint(status: u16) -> &'static str {
    match status {
        401 => ". Log in with `da login`.",
        403 => ". Ask an admin for a grant; `da catalog` lists what you may see.",
        _ => "",
    }
}

/// Something is wrong with this file.
pub(crate) fn io(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let what = format!("{what} {}", path.display());
    move |source| Error::Io { what, source }
}
