//! Puts a backup in the place of a state, so that a kill at any moment leaves either of them, or a
//! mark that says to do it again.

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::manifest::{DATABASE, MASTER_KEY, Manifest};
use super::{BackupError, hashed};
use crate::paths::{Paths, lock_data_dir, sync};
use crate::state::{CheckReport, State, StateError};

/// DuckDB's log of what is not in the file yet. Left beside another file it would be replayed there.
const LOG: &str = "system.duckdb.wal";

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What was put back.
    pub manifest: Manifest,
    /// What a check of it found.
    pub check: CheckReport,
    /// Where the earlier state lies now.
    pub replaced: Option<PathBuf>,
    /// Whether `state/master.key` is there, from the backup or from before.
    pub has_master_key: bool,
}

/// Puts a backup into a data folder that no server uses; the state that was there is kept beside.
///
/// # Errors
/// [`BackupError::Dir`] while a server runs, [`BackupError::Occupied`] where there is a state and
/// `force` is not given, or what is wrong with the backup.
pub fn restore(paths: &Paths, from: &Path, force: bool) -> Result<Restored, BackupError> {
    let _lock = lock_data_dir(paths)?;
    let manifest = Manifest::read(from)?;
    let state = paths.state_dir();
    if !force && (paths.system_db().exists() || paths.restore_marker().exists()) {
        return Err(BackupError::Occupied(state));
    }
    let stage = tempfile::Builder::new()
        .prefix("restoring-")
        .tempdir_in(&state)
        .map_err(BackupError::io(&state))?;
    copy_verified(from, stage.path(), &manifest)?;
    let check = State::check_file(&stage.path().join(DATABASE))?;
    if check.schema > check.newest {
        return Err(BackupError::State(StateError::Newer {
            path: from.join(DATABASE),
            found: check.schema,
            known: check.newest,
        }));
    }
    let replaced = exchange(paths, stage.path(), &manifest)?;
    Ok(Restored {
        check,
        replaced,
        has_master_key: state.join(MASTER_KEY).exists(),
        manifest,
    })
}

/// Copies first and hashes the copy: what is put in place is what was checked.
fn copy_verified(from: &Path, stage: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let folder = stage.parent().unwrap_or(stage);
    let owner = folder.metadata().map_err(BackupError::io(folder))?;
    for (name, entry) in &manifest.files {
        let (source, copy) = (from.join(name), stage.join(name));
        std::fs::copy(&source, &copy).map_err(BackupError::io(&source))?;
        std::fs::set_permissions(&copy, Permissions::from_mode(0o600))
            // Root may restore what a server with a user of its own shall read.
            .and_then(|()| chown(&copy, Some(owner.uid()), Some(owner.gid())))
            .and_then(|()| sync(&copy))
            .map_err(BackupError::io(&copy))?;
        if hashed(&copy)? != *entry {
            return Err(BackupError::Damaged(source));
        }
    }
    Ok(())
}

/// Moves the old files aside and the new ones in, under a mark that keeps servers from opening
/// what is half of each.
fn exchange(
    paths: &Paths,
    stage: &Path,
    manifest: &Manifest,
) -> Result<Option<PathBuf>, BackupError> {
    let (state, marker) = (paths.state_dir(), paths.restore_marker());
    File::create(&marker)
        .and_then(|file| file.sync_all())
        .and_then(|()| sync(&state))
        .map_err(BackupError::io(&marker))?;
    let aside = set_aside(&state, manifest)?;
    for name in manifest.files.keys() {
        let target = state.join(name);
        std::fs::rename(stage.join(name), &target).map_err(BackupError::io(&target))?;
    }
    sync(&state)
        .and_then(|()| std::fs::remove_file(&marker))
        .and_then(|()| sync(&state))
        .map_err(BackupError::io(&marker))?;
    Ok(aside)
}

fn set_aside(state: &Path, manifest: &Manifest) -> Result<Option<PathBuf>, BackupError> {
    let names = manifest.files.keys().map(String::as_str).chain([LOG]);
    let old: Vec<_> = names.filter(|name| state.join(name).exists()).collect();
    if old.is_empty() {
        return Ok(None);
    }
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ");
    let aside = state.join(format!("replaced-{stamp}"));
    std::fs::create_dir(&aside).map_err(BackupError::io(&aside))?;
    for name in old {
        let target = aside.join(name);
        std::fs::rename(state.join(name), &target).map_err(BackupError::io(&target))?;
    }
    sync(&aside).map_err(BackupError::io(&aside))?;
    Ok(Some(aside))
}
