//! What a backup says about itself, and what may be in one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use domain::Digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::BackupError;
use crate::paths::sync;

/// The layout of a backup; a later one gets another number.
pub(super) const FORMAT: u32 = 1;
pub(super) const NAME: &str = "manifest.json";
pub(super) const DATABASE: &str = "system.duckdb";
pub(super) const MASTER_KEY: &str = "master.key";
/// Without them every session and token ends.
pub(super) const TOKEN_KEYS: &[&str] = &[".jwt_secret", ".jwt_secret.previous"];

/// More than a manifest of this format can have.
const MAX_BYTES: u64 = 64 << 10;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout of the backup.
    pub format: u32,
    /// The version of the server that took it.
    pub server: String,
    /// The schema of the database.
    pub schema: u32,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// The number of the newest audit entry in it.
    pub audit_seq: u64,
    /// Its hash, for `sluice admin audit verify --head`.
    pub audit_head: String,
    /// Its files by name.
    pub files: BTreeMap<String, FileEntry>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its size.
    pub bytes: u64,
    /// Its content.
    pub sha256: Digest,
}

impl Manifest {
    pub(super) fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let path = folder.join(NAME);
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::other);
        text.and_then(|text| File::create(&path)?.write_all(&text))
            .and_then(|()| sync(&path))
            .map_err(BackupError::io(&path))
    }

    /// Reads a manifest and believes nothing that it says about names: they become paths.
    pub(super) fn read(folder: &Path) -> Result<Self, BackupError> {
        let path = folder.join(NAME);
        let mut text = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text))
            .map_err(BackupError::io(&path))?;
        let foreign = |reason: String| BackupError::Foreign {
            path: folder.to_owned(),
            reason,
        };
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|error| foreign(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(foreign(format!("its format is {}", manifest.format)));
        }
        if !manifest.files.contains_key(DATABASE) {
            return Err(foreign(format!("it has no `{DATABASE}`")));
        }
        let known =
            |name: &str| [DATABASE, MASTER_KEY].contains(&name) || TOKEN_KEYS.contains(&name);
        match manifest.files.keys().find(|name| !known(name)) {
            Some(name) => Err(foreign(format!("it names a file `{name}`"))),
            None => Ok(manifest),
        }
    }
}
