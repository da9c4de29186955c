//! Removes parquet files that nothing names any more, once nobody can hold them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::contents::Contents;
use crate::paths::Paths;

/// The files that query generations read.
#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<HashMap<PathBuf, usize>>);

/// Keeps files from being removed until it is dropped.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Arc<Pins>,
    files: Vec<PathBuf>,
}

impl Pins {
    /// Pins files.
    pub(crate) fn pin(self: &Arc<Self>, files: Vec<PathBuf>) -> Pin {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for file in &files {
            *held.entry(file.clone()).or_default() += 1;
        }
        Pin {
            pins: Arc::clone(self),
            files,
        }
    }

    fn holds(&self, file: &Path) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(file)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut held = self.pins.0.lock().unwrap_or_else(PoisonError::into_inner);
        for file in &self.files {
            if let Some(count) = held.get_mut(file) {
                *count -= 1;
                if *count == 0 {
                    held.remove(file);
                }
            }
        }
    }
}

/// Removes the host's files below `data/` that are neither kept nor pinned. Files of other programs
/// have other names and are left alone.
pub(super) fn sweep(folder: &Path, keep: &HashSet<PathBuf>, pins: &Pins) {
    for table in children(&folder.join("data")) {
        for file in children(&table) {
            if is_ours(&file) && !keep.contains(&file) && !pins.holds(&file) {
                remove(&file);
            }
        }
    }
}

/// Removes what dead runs have left in all extracts.
pub(super) fn clean_up(paths: &Paths) -> io::Result<()> {
    std::fs::create_dir_all(paths.extracts())?;
    for folder in children(&paths.extracts()) {
        for child in children(&folder) {
            let name = child.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(".stage-") {
                if let Err(error) = std::fs::remove_dir_all(&child) {
                    tracing::warn!(path = %child.display(), %error, "cannot remove a stage that was left behind");
                }
            } else if name.starts_with(".extract-") {
                remove(&child);
            }
        }
        match Contents::read(&folder) {
            Ok(found) => sweep(&folder, &named(found.as_ref()), &Pins::default()),
            // Which files are needed is not known: all stay.
            Err(error) => tracing::warn!(path = %folder.display(), %error, "an extract is broken"),
        }
    }
    Ok(())
}

/// The files that an extract names.
pub(super) fn named(contents: Option<&Contents>) -> HashSet<PathBuf> {
    let entries = contents.into_iter().flat_map(|contents| &contents.entries);
    entries
        .flat_map(|entry| entry.files.iter().map(|file| file.path.clone()))
        .collect()
}

/// `{run}-{number}.parquet`.
fn is_ours(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    let stem = name.and_then(|name| name.strip_suffix(".parquet"));
    stem.and_then(|stem| stem.rsplit_once('-'))
        .is_some_and(|(run, number)| {
            Uuid::try_parse(run).is_ok() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten();
    found
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect()
}

fn remove(file: &Path) {
    if let Err(error) = std::fs::remove_file(file) {
        tracing::warn!(path = %file.display(), %error, "cannot remove a file that nothing needs");
    }
}
