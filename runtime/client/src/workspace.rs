//! The analyst's folder: what the server's tables, the local database and the rules are kept in.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, io};

/// The folder that DA_LOCAL_DIR names, else the current one.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
}

impl Workspace {
    pub(crate) fn open() -> Result<Self, Error> {
        let root = std::env::var_os("DA_LOCAL_DIR").filter(|root| !root.is_empty());
        Self::at(&root.map_or_else(|| PathBuf::from("."), PathBuf::from))
    }

    /// This folder where one is named, else the usual one.
    pub(crate) fn named(folder: Option<&Path>) -> Result<Self, Error> {
        folder.map_or_else(Self::open, Self::at)
    }

    fn at(root: &Path) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(io("cannot create", root))?;
        // Views name their files in full, so that queries work from everywhere.
        let root = root.canonicalize().map_err(io("cannot open", root))?;
        Ok(Self { root })
    }

    pub(crate) fn parquet(&self) -> PathBuf {
        self.root.join("server/parquet")
    }

    pub(crate) fn partial(&self) -> PathBuf {
        self.root.join("server/partial")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("server/sync_state.json")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("user/duckdb/analytics.duckdb")
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.root.join("user/snapshots")
    }

    pub(crate) fn rules(&self) -> PathBuf {
        self.root.join(".claude/rules")
    }

    /// What the analyst's agents recorded of their work.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.root.join("user/sessions")
    }

    pub(crate) fn local_md(&self) -> PathBuf {
        self.root.join(".claude/CLAUDE.local.md")
    }

    /// What was sent to the server.
    pub(crate) fn sent(&self) -> PathBuf {
        self.root.join("server/uploads.json")
    }

    /// Held until it is dropped; another `da` that changes this folder is told to wait.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let path = self.root.join("server/.lock");
        make_parent(&path)?;
        let file = File::create(&path).map_err(io("cannot create", &path))?;
        file.try_lock().map_err(|_| {
            Error::Said(format!(
                "another `da` is changing {}. Try again when it is done.",
                self.root.display()
            ))
        })?;
        Ok(file)
    }
}

/// Makes the folder that a file goes to.
pub(crate) fn make_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(folder) => fs::create_dir_all(folder).map_err(io("cannot create", folder)),
        None => Ok(()),
    }
}

/// Whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    make_parent(path)?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    fs::write(&fresh, bytes).map_err(io("cannot write", &fresh))?;
    fs::rename(&fresh, path).map_err(io("cannot write", path))
}

/// Whether a name that a server gave may become a file's name: it begins with neither a dot nor a dash.
pub(crate) fn is_safe(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    name.len() <= 128
        && name.chars().all(allowed)
        && !name.starts_with(['.', '-'])
        && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_a_server_cannot_leave_the_folder() {
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "a\\b",
            "-x",
            "a\0b",
            "a'b",
            &"x".repeat(129),
        ] {
            assert!(!is_safe(name), "{name:?}");
        }
        assert!(is_safe("orders") && is_safe("in.c-main_1"));
    }
}
