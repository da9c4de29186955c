//! Backups of the state: taken while the server serves, and put back while none does.
//!
//! A backup is a folder that appears whole or not at all, with a manifest that names the hash of each
//! file and the head of the audit log at that moment.

mod manifest;
mod restore;

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use domain::Digest;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::audit::Chain;
use super::{State, StateError, migrate};
use crate::open::copy_into;
use crate::paths::{DirError, Paths, sync};

pub use manifest::Manifest;
use manifest::{DATABASE, FileEntry, MASTER_KEY, TOKEN_KEYS};
pub use restore::{Restored, restore};

/// Why a backup was not taken or not put back.
#[derive(Debug, Error)]
pub enum BackupError {
    /// Something is there already.
    #[error("`{0}` exists already; name a new folder, a backup never overwrites anything")]
    Exists(PathBuf),
    /// The name says nothing.
    #[error("`{0}` is no name for a new folder; name one, such as /backups/monday")]
    Name(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot read or write `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// There is no master key to take along.
    #[error(
        "there is no master key at `{0}`; where it comes from the environment or another file, keep that, and leave --with-master-key out"
    )]
    NoMasterKey(PathBuf),
    /// The folder is no backup.
    #[error(
        "`{path}` is no backup of this kind: {reason}; name the folder that `sluice admin backup` made"
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is not the one that was backed up.
    #[error("`{0}` is damaged: it is not what the manifest says; use another backup")]
    Damaged(PathBuf),
    /// There is a state already.
    #[error(
        "there is a state in `{0}` already; pass --force to put the backup in its place, the old one is kept beside it"
    )]
    Occupied(PathBuf),
    /// The data folder is in use, or cannot be written.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
}

impl BackupError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

impl State {
    /// Takes a backup into a new folder, while others read and write. The master key goes along only
    /// where its file is given: with it, whoever holds the backup can open every credential.
    ///
    /// # Errors
    /// [`BackupError`]; nothing is left behind then.
    pub fn backup(
        &self,
        paths: &Paths,
        to: &Path,
        master_key: Option<&Path>,
    ) -> Result<Manifest, BackupError> {
        let (folder, name) = new_folder(to)?;
        let stage = tempfile::Builder::new()
            .prefix(&format!(".{name}.partial-"))
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&folder)
            .map_err(BackupError::io(&folder))?;
        copy_keys(paths, stage.path(), master_key)?;
        let copy = stage.path().join(DATABASE);
        let chain = self.read(|connection| copy_into(connection, &copy, Chain::read))?;
        let manifest = Manifest {
            format: manifest::FORMAT,
            server: env!("CARGO_PKG_VERSION").to_owned(),
            schema: migrate::NEWEST,
            taken_at: Timestamp::now(),
            audit_seq: chain.head_seq,
            audit_head: chain.head_hash,
            files: seal(stage.path())?,
        };
        manifest.write(stage.path())?;
        let stage = stage.keep();
        sync(&stage)
            .and_then(|()| std::fs::rename(&stage, to))
            .and_then(|()| sync(&folder))
            .map_err(BackupError::io(to))?;
        Ok(manifest)
    }
}

/// The folder in which a new one may be made, and its name there.
fn new_folder(to: &Path) -> Result<(PathBuf, String), BackupError> {
    let to = std::path::absolute(to).map_err(BackupError::io(to))?;
    match to.symlink_metadata() {
        Ok(_) => return Err(BackupError::Exists(to)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(BackupError::io(&to)(error)),
    }
    // DuckDB takes the path as text.
    match (to.parent(), to.file_name(), to.to_str()) {
        (Some(folder), Some(name), Some(_)) => {
            Ok((folder.to_owned(), name.to_string_lossy().into_owned()))
        }
        _ => Err(BackupError::Name(to)),
    }
}

fn copy_keys(paths: &Paths, stage: &Path, master_key: Option<&Path>) -> Result<(), BackupError> {
    for name in TOKEN_KEYS {
        let key = paths.state_dir().join(name);
        // A server that never started has none yet.
        if key.exists() {
            std::fs::copy(&key, stage.join(name)).map_err(BackupError::io(&key))?;
        }
    }
    let Some(key) = master_key else {
        return Ok(());
    };
    if !key.exists() {
        return Err(BackupError::NoMasterKey(key.to_owned()));
    }
    std::fs::copy(key, stage.join(MASTER_KEY)).map_err(BackupError::io(key))?;
    Ok(())
}

/// Makes every file the owner's alone, puts it on the disk, and notes what it is.
fn seal(stage: &Path) -> Result<BTreeMap<String, FileEntry>, BackupError> {
    let mut files = BTreeMap::new();
    for entry in stage.read_dir().map_err(BackupError::io(stage))? {
        let path = entry.map_err(BackupError::io(stage))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))
            .and_then(|()| sync(&path))
            .map_err(BackupError::io(&path))?;
        files.insert(name.into_owned(), hashed(&path)?);
    }
    Ok(files)
}

/// The size and the sha256 of a file, read piece by piece.
fn hashed(path: &Path) -> Result<FileEntry, BackupError> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path).map_err(BackupError::io(path))?;
    let mut piece = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut piece).map_err(BackupError::io(path))?;
        match piece.get(..read) {
            Some([]) | None => break,
            Some(piece) => hasher.update(piece),
        }
        bytes += read as u64;
    }
    let sha256 = Digest::from_bytes(hasher.finalize().into());
    Ok(FileEntry { bytes, sha256 })
}

#[cfg(test)]
mod tests;
