//! The server's configuration: an optional YAML file, below it defaults, above it a few flags and
//! environment variables of `sluice serve`.
//!
//! `config/instance.example.yaml` shows every key with its default; a test keeps the two alike.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::Secret;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The file is not there or not readable.
    #[error("the configuration `{path}` cannot be read: {source}")]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Not YAML, or a key that does not exist, or a value of the wrong type.
    #[error("the configuration `{path}` is not valid: {source}")]
    Malformed {
        path: PathBuf,
        source: serde_yaml_ng::Error,
    },
    /// A value that makes no sense.
    #[error("the configuration's `{key}` is {found}; it must be {rule}")]
    Value {
        key: &'static str,
        found: u64,
        rule: &'static str,
    },
}

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) http: Http,
    pub(crate) storage: Storage,
    pub(crate) runs: Runs,
    pub(crate) queries: Queries,
    pub(crate) credentials: CredentialsKey,
    pub(crate) auth: Auth,
    pub(crate) log: Log,
}

impl Config {
    /// The file of the master key, where the environment does not give it.
    pub(crate) fn master_key_file(&self) -> PathBuf {
        let own = || self.storage.data_dir.join("state/master.key");
        let file = self.credentials.master_key_file.clone();
        file.unwrap_or_else(own)
    }
}

/// Where and how the server answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    /// Address and port; port 0 picks a free one.
    pub(crate) listen: SocketAddr,
    /// How people reach the server, for the links that it prints; by default where it listens.
    pub(crate) public_url: Option<url::Url>,
    /// The largest component that may be uploaded, in MiB.
    pub(crate) max_upload_mib: u64,
    /// Seconds until a request is given up; not for downloads, uploads and event streams.
    pub(crate) request_timeout_seconds: u64,
    /// Seconds that open requests get at a shutdown.
    pub(crate) shutdown_grace_seconds: u64,
}

/// Where things lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Storage {
    /// The data folder.
    pub(crate) data_dir: PathBuf,
}

/// How connectors are run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Runs {
    /// Runs at once; others wait.
    pub(crate) max_at_once: usize,
    /// Whether a kernel that cannot confine runners fully is an error.
    pub(crate) require_confinement: bool,
    /// What connectors' requests say in `User-Agent`; by default `Sluice/` and the version.
    pub(crate) user_agent: Option<String>,
    /// A PEM file of certificates that are trusted beside the public ones.
    pub(crate) extra_ca_file: Option<PathBuf>,
}

/// What a query may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Queries {
    /// Seconds until a query is interrupted.
    pub(crate) timeout_seconds: u64,
    /// The most rows of one answer.
    pub(crate) max_rows: usize,
}

/// Where the master key of the credentials comes from when `SLUICE_MASTER_KEY` is not set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CredentialsKey {
    /// The key file; by default `state/master.key` in the data folder, made at first start.
    pub(crate) master_key_file: Option<PathBuf>,
}

/// Who may come in, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// The longest life of a personal access token, in days.
    pub(crate) token_max_days: u32,
    /// Minutes that the token of a desktop program lives.
    pub(crate) desktop_minutes: u32,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            token_max_days: 365,
            desktop_minutes: 15,
        }
    }
}

impl Auth {
    pub(crate) fn token_max_days(&self) -> i64 {
        i64::from(self.token_max_days)
    }

    pub(crate) fn desktop_minutes(&self) -> i64 {
        i64::from(self.desktop_minutes)
    }
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// How a line looks.
    pub(crate) format: LogFormat,
    /// Levels, such as `info` or `info,ingest=debug`.
    pub(crate) filter: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            public_url: None,
            max_upload_mib: 64,
            request_timeout_seconds: 120,
            shutdown_grace_seconds: 10,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
        }
    }
}

impl Default for Runs {
    fn default() -> Self {
        Self {
            max_at_once: 4,
            require_confinement: true,
            user_agent: None,
            extra_ca_file: None,
        }
    }
}

impl Default for Queries {
    fn default() -> Self {
        Self {
            timeout_seconds: 60,
            max_rows: 100_000,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".into(),
        }
    }
}

impl Config {
    /// Reads a file; without one, the defaults.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let config = Self::parse(&text).map_err(|source| ConfigError::Malformed {
            path: path.to_owned(),
            source,
        })?;
        config.check()?;
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, serde_yaml_ng::Error> {
        // A file of comments only is an empty document.
        Ok(serde_yaml_ng::from_str::<Option<Self>>(text)?.unwrap_or_default())
    }

    fn check(&self) -> Result<(), ConfigError> {
        let at_least_one = [
            ("http.max_upload_mib", self.http.max_upload_mib),
            (
                "http.request_timeout_seconds",
                self.http.request_timeout_seconds,
            ),
            ("runs.max_at_once", self.runs.max_at_once as u64),
            ("queries.timeout_seconds", self.queries.timeout_seconds),
            ("queries.max_rows", self.queries.max_rows as u64),
        ];
        match at_least_one.iter().find(|(_, value)| *value == 0) {
            Some((key, found)) => Err(ConfigError::Value {
                key,
                found: *found,
                rule: "at least 1",
            }),
            None if self.http.max_upload_mib > 1024 => Err(ConfigError::Value {
                key: "http.max_upload_mib",
                found: self.http.max_upload_mib,
                rule: "at most 1024: an upload is held in memory",
            }),
            None => Ok(()),
        }
    }
}

/// The master key of the environment, which wins over the file.
pub(crate) fn master_key() -> Option<Secret> {
    std::env::var("SLUICE_MASTER_KEY").ok().map(Secret::new)
}

impl Http {
    pub(crate) fn max_upload_bytes(&self) -> usize {
        usize::try_from(self.max_upload_mib << 20).unwrap_or(usize::MAX)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds)
    }

    pub(crate) fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_seconds)
    }
}

impl Runs {
    pub(crate) fn user_agent(&self) -> String {
        let own = concat!("Sluice/", env!("CARGO_PKG_VERSION"));
        self.user_agent.clone().unwrap_or_else(|| own.into())
    }
}

impl Queries {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../config/instance.example.yaml");

    #[test]
    fn the_example_shows_every_key_with_its_default() {
        let example: serde_json::Value = serde_yaml_ng::from_str(EXAMPLE).unwrap();
        assert_eq!(example, serde_json::to_value(Config::default()).unwrap());
    }

    #[test]
    fn every_key_of_the_example_has_a_comment() {
        let mut commented = false;
        for line in EXAMPLE.lines().filter(|line| line.starts_with("  ")) {
            if line.trim_start().starts_with('#') {
                commented = true;
            } else {
                assert!(commented, "no comment before `{line}`");
                commented = false;
            }
        }
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = Config::parse("http:\n  lisen: 127.0.0.1:1\n").unwrap_err();
        assert!(error.to_string().contains("lisen"), "{error}");
    }

    #[test]
    fn a_file_of_comments_gives_the_defaults() {
        assert_eq!(Config::parse("# nothing\n").unwrap(), Config::default());
    }

    #[test]
    fn a_value_that_stops_everything_is_refused() {
        let config = Config::parse("runs:\n  max_at_once: 0\n").unwrap();
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("runs.max_at_once"), "{error}");
    }
}
