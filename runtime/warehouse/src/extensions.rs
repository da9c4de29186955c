//! The folder of DuckDB's extensions, which the operator fills: nothing is loaded that is not in its list
//! with the very bytes that were put there. DuckDB checks its own signature besides.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use domain::Digest;
use duckdb::Connection;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::open;

/// The version of DuckDB whose extensions fit.
pub const DUCKDB_VERSION: &str = "1.5.5";
/// Larger than any extension.
const MOST_BYTES: u64 = 256 << 20;

/// Why an extension cannot be used.
#[derive(Debug, Error)]
pub enum ExtensionError {
    /// It is not in the folder.
    #[error(
        "the extension `{0}` is not installed; an operator adds it with `sluice extensions install {0}`"
    )]
    Missing(String),
    /// Its bytes are not those that were installed.
    #[error(
        "the extension `{0}` is not the file that was installed; look who changed it, then install it again with `sluice extensions install {0}`"
    )]
    Altered(String),
    /// It is no name of an extension.
    #[error("`{0}` is no name of an extension: use lower-case letters, digits and underscores")]
    Name(String),
    /// DuckDB does not take it.
    #[error("DuckDB does not load the extension `{name}`: {reason}")]
    Refused {
        /// The extension.
        name: String,
        /// What it said.
        reason: String,
    },
    /// The folder cannot be used.
    #[error("cannot use the folder of the extensions, `{path}`")]
    Io {
        /// The folder or the file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What is known of an installed extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The sha256 of its file.
    pub sha256: Digest,
    /// Where it came from.
    pub from: String,
    /// When.
    pub installed_at: Timestamp,
}

/// The folder, by DuckDB's own layout: a folder a version, in it one a platform.
#[derive(Debug, Clone)]
pub struct ExtensionFolder(PathBuf);

impl ExtensionFolder {
    /// The folder of a data folder.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Where DuckDB looks for extensions.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// All that are installed, by the name of their file.
    ///
    /// # Errors
    /// [`ExtensionError::Io`] where the list is there and cannot be read.
    pub fn list(&self) -> Result<BTreeMap<String, Installed>, ExtensionError> {
        let path = self.list_file();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(source) => return Err(ExtensionError::Io { path, source }),
        };
        serde_json::from_str(&text).map_err(|error| ExtensionError::Io {
            path,
            source: io::Error::other(error),
        })
    }

    /// Puts a file into the folder, tries it, and writes down what it is.
    ///
    /// # Errors
    /// [`ExtensionError`]; nothing is changed then.
    pub fn install(
        &self,
        name: &str,
        bytes: &[u8],
        from: &str,
    ) -> Result<Installed, ExtensionError> {
        let file = file_of(name)?;
        let path = self.place(file);
        let failed = |source| ExtensionError::Io {
            path: path.clone(),
            source,
        };
        let trial = tempfile::tempdir().map_err(failed)?;
        let trial = Self(trial.path().to_owned());
        trial.put(file, bytes).map_err(failed)?;
        trial.load(name)?;
        let _ = std::fs::remove_dir_all(trial.path());
        let installed = Installed {
            sha256: Digest::of(bytes),
            from: from.to_owned(),
            installed_at: Timestamp::now(),
        };
        let mut list = self.list()?;
        self.put(file, bytes).map_err(failed)?;
        list.insert(file.to_owned(), installed.clone());
        let text = serde_json::to_string_pretty(&list).map_err(|e| failed(io::Error::other(e)))?;
        exchange(&self.list_file(), text.as_bytes()).map_err(failed)?;
        Ok(installed)
    }

    /// Whether an extension is there with the bytes that were installed.
    ///
    /// # Errors
    /// [`ExtensionError::Missing`], [`ExtensionError::Altered`].
    pub fn verify(&self, name: &str) -> Result<(), ExtensionError> {
        let file = file_of(name)?;
        let list = self.list()?;
        let path = self.place(file);
        let (Some(installed), Ok(found)) = (list.get(file), path.metadata()) else {
            return Err(ExtensionError::Missing(name.to_owned()));
        };
        let bytes = match found.len() <= MOST_BYTES {
            true => std::fs::read(&path).map_err(|source| ExtensionError::Io { path, source })?,
            false => Vec::new(),
        };
        match Digest::of(&bytes) == installed.sha256 {
            true => Ok(()),
            false => Err(ExtensionError::Altered(name.to_owned())),
        }
    }

    /// Whether DuckDB takes it, in an instance that is thrown away.
    ///
    /// # Errors
    /// [`ExtensionError::Refused`].
    pub fn load(&self, name: &str) -> Result<(), ExtensionError> {
        let refused = |error: duckdb::Error| ExtensionError::Refused {
            name: name.to_owned(),
            reason: error
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        };
        file_of(name)?;
        let connection = open::in_memory("256MB", 1).map_err(refused)?;
        self.use_in(&connection).map_err(refused)?;
        connection
            .execute_batch(&format!("LOAD {name}"))
            .map_err(refused)
    }

    /// Has an instance look here for extensions, and nowhere else.
    pub(crate) fn use_in(&self, connection: &Connection) -> duckdb::Result<()> {
        let folder = domain::sql_ident::quote_text(&self.0.to_string_lossy());
        connection.execute_batch(&format!("SET extension_directory = {folder}"))
    }

    fn put(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.place(file);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        exchange(&path, bytes)
    }

    fn place(&self, file: &str) -> PathBuf {
        let folder = self.0.join(format!("v{DUCKDB_VERSION}")).join(platform());
        folder.join(format!("{file}.duckdb_extension"))
    }

    fn list_file(&self) -> PathBuf {
        self.0.join("installed.json")
    }
}

/// The name of an extension's file, without its ending: some have a shorter name in SQL.
///
/// # Errors
/// [`ExtensionError::Name`].
pub fn file_of(name: &str) -> Result<&str, ExtensionError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match name {
        "postgres" => Ok("postgres_scanner"),
        "sqlite" => Ok("sqlite_scanner"),
        "mysql" => Ok("mysql_scanner"),
        name if !name.is_empty() && name.len() <= 64 && name.chars().all(plain) => Ok(name),
        _ => Err(ExtensionError::Name(name.chars().take(64).collect())),
    }
}

/// What DuckDB calls this machine.
pub fn platform() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "linux_arm64",
        _ => "linux_amd64",
    }
}

fn exchange(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = path.with_extension("next");
    std::fs::write(&next, bytes)?;
    crate::paths::sync(&next)?;
    std::fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_extension_is_not_installed() {
        let folder = tempfile::tempdir().unwrap();
        let extensions = ExtensionFolder::new(folder.path().join("extensions"));
        let error = extensions
            .install("postgres", b"garbage", "a test")
            .unwrap_err();
        assert!(matches!(error, ExtensionError::Refused { .. }), "{error}");
        assert!(extensions.list().unwrap().is_empty());
        let error = extensions.verify("postgres").unwrap_err().to_string();
        assert!(
            error.contains("sluice extensions install postgres"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_was_changed_since_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let extensions = ExtensionFolder::new(folder.path().to_owned());
        extensions.put("fts", b"as installed").unwrap();
        let list = serde_json::json!({"fts": {
            "sha256": Digest::of(b"as installed"), "from": "a test", "installed_at": Timestamp::now(),
        }});
        std::fs::write(extensions.list_file(), list.to_string()).unwrap();
        extensions.verify("fts").unwrap();
        extensions.put("fts", b"another").unwrap();
        let error = extensions.verify("fts").unwrap_err();
        assert!(matches!(error, ExtensionError::Altered(_)), "{error}");
    }

    #[test]
    fn a_name_is_no_path() {
        for name in ["", "../x", "a b", "A", "a;b", "a/b"] {
            assert!(file_of(name).is_err(), "{name}");
        }
        assert_eq!(file_of("postgres").unwrap(), "postgres_scanner");
    }
}
