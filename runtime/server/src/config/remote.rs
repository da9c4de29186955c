//! Which remote databases may be attached, by which extension and where.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::HostRule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use warehouse::{RemotePolicy, Servers, SslMode};

/// Databases that are attached instead of copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Remote {
    /// The longest time that a connection may take to open.
    #[schemars(range(min = 2, max = 300))]
    pub(crate) connect_timeout_seconds: u64,
    /// The longest time that a remote server works on one statement.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) statement_timeout_seconds: u64,
    /// What each extension may be told; one without an entry attaches nothing.
    pub(crate) extensions: Extensions,
}

/// The extensions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Extensions {
    pub(crate) postgres: Postgres,
    pub(crate) sqlite: Folders,
    pub(crate) duckdb: Folders,
    pub(crate) ducklake: Folders,
    pub(crate) bigquery: BigQuery,
    pub(crate) keboola: Stacks,
}

/// PostgreSQL servers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Postgres {
    /// Hosts with their ports, such as `db.example.com:5432`.
    #[schemars(with = "Vec<String>", length(max = 1_000))]
    pub(crate) hosts: Vec<HostRule>,
    /// Addresses that are not globally routable and may be dialled all the same, exact to the port.
    #[schemars(with = "Vec<String>", length(max = 1_000))]
    pub(crate) private_addresses: Vec<SocketAddr>,
    /// How the connection is protected.
    pub(crate) sslmode: Protection,
}

/// As PostgreSQL names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Protection {
    /// Not at all: for private addresses only.
    Disable,
    /// Encrypted.
    #[default]
    Require,
    /// Encrypted, and the server proves who it is.
    VerifyFull,
}

/// Databases that are files.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Folders {
    /// The folders below which they lie.
    #[schemars(length(max = 1_000))]
    pub(crate) folders: Vec<PathBuf>,
}

/// BigQuery.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BigQuery {
    /// The projects that may be read.
    #[schemars(length(max = 1_000))]
    pub(crate) projects: Vec<String>,
    /// Where the data lies, such as `EU`; BigQuery finds out where none is named. For hybrid queries.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) location: Option<String>,
    /// Where its REST API is, for hybrid queries; Google's own by default.
    #[schemars(with = "Option<String>", extend("format" = "secure-web-address"))]
    pub(crate) base_url: Option<Url>,
    /// Where the key of a service account is exchanged for a token; Google's own by default.
    #[schemars(with = "Option<String>", extend("format" = "secure-web-address"))]
    pub(crate) token_url: Option<Url>,
    /// Addresses of these that are not globally routable and may be dialled all the same, exact to the port.
    #[schemars(with = "Vec<String>", length(max = 1_000))]
    pub(crate) private_addresses: Vec<SocketAddr>,
}

/// Keboola.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Stacks {
    /// The hosts of its stacks, such as `connection.keboola.com`.
    #[schemars(with = "Vec<String>", length(max = 1_000))]
    pub(crate) hosts: Vec<HostRule>,
}

impl Default for Remote {
    fn default() -> Self {
        Self {
            connect_timeout_seconds: 10,
            statement_timeout_seconds: 60,
            extensions: Extensions::default(),
        }
    }
}

impl Remote {
    /// What the warehouse holds attachments to.
    pub(crate) fn policy(&self) -> RemotePolicy {
        let Extensions {
            postgres,
            sqlite,
            duckdb,
            ducklake,
            bigquery,
            keboola,
        } = self.extensions.clone();
        let sslmode = match postgres.sslmode {
            Protection::Disable => SslMode::Disable,
            Protection::Require => SslMode::Require,
            Protection::VerifyFull => SslMode::VerifyFull,
        };
        let servers = |hosts: Vec<HostRule>, private_addresses| {
            (!hosts.is_empty()).then_some(Servers {
                hosts,
                private_addresses,
                sslmode,
            })
        };
        RemotePolicy {
            postgres: servers(postgres.hosts, postgres.private_addresses),
            sqlite: some(sqlite.folders),
            duckdb: some(duckdb.folders),
            ducklake: some(ducklake.folders),
            bigquery: some(bigquery.projects),
            keboola: servers(keboola.hosts, Vec::new()),
            connect_timeout: Duration::from_secs(self.connect_timeout_seconds),
            statement_timeout: Duration::from_secs(self.statement_timeout_seconds),
        }
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_attaches_nothing() {
        let policy = Remote::default().policy();
        assert!(policy.postgres.is_none() && policy.keboola.is_none());
        assert!(policy.sqlite.is_none() && policy.duckdb.is_none());
        assert!(policy.ducklake.is_none() && policy.bigquery.is_none());
    }
}
