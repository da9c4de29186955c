//! What the operator allows: an extension that is not named here attaches nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::HostRule;

/// The extensions that may attach, each with its own rule for what they are told.
#[derive(Debug, Clone)]
pub struct RemotePolicy {
    /// PostgreSQL servers.
    pub postgres: Option<Servers>,
    /// The folders of SQLite files.
    pub sqlite: Option<Vec<PathBuf>>,
    /// The folders of DuckDB files.
    pub duckdb: Option<Vec<PathBuf>>,
    /// The folders of DuckLake's catalogs and data.
    pub ducklake: Option<Vec<PathBuf>>,
    /// The projects of BigQuery.
    pub bigquery: Option<Vec<String>>,
    /// The stacks of Keboola.
    pub keboola: Option<Servers>,
    /// The longest time that a connection may take to open.
    pub connect_timeout: Duration,
    /// The longest time that a remote server works on one statement.
    pub statement_timeout: Duration,
}

impl Default for RemotePolicy {
    fn default() -> Self {
        Self {
            postgres: None,
            sqlite: None,
            duckdb: None,
            ducklake: None,
            bigquery: None,
            keboola: None,
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(60),
        }
    }
}

/// Servers that may be spoken to.
#[derive(Debug, Clone, Default)]
pub struct Servers {
    /// Hosts with their ports.
    pub hosts: Vec<HostRule>,
    /// Exceptions for addresses that are not globally routable, exact to the port.
    pub private_addresses: Vec<SocketAddr>,
    /// How the connection is protected.
    pub sslmode: SslMode,
}

/// How a connection to PostgreSQL is protected, in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// Not at all: for this very machine.
    Disable,
    /// Encrypted.
    #[default]
    Require,
    /// Encrypted, and the server proves who it is.
    VerifyFull,
}

impl SslMode {
    /// PostgreSQL's word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Require => "require",
            Self::VerifyFull => "verify-full",
        }
    }
}
