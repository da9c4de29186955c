//! Each table as the one file that people download. A table of several files is put together once for each set of
//! files, in a folder that holds so many bytes and no more.

mod copy;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use domain::{Digest, Failure};
use uuid::Uuid;

use super::contents::TableFile;
use super::gc::Pins;
use super::{disk_failure, sync_folder};
use crate::catalog::{Catalog, CatalogTable};
use crate::paths::Paths;

/// A file that is a whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Where it lies.
    pub path: PathBuf,
    /// How large it is.
    pub size_bytes: u64,
    /// The md5 of its bytes; missing where another program wrote the file.
    pub md5: Option<String>,
}

/// One that was put together.
#[derive(Debug, Clone)]
struct Kept {
    whole: Whole,
    /// The turn in which it was last asked for.
    used: u64,
}

#[derive(Debug, Default)]
struct Inner {
    turn: u64,
    kept: HashMap<String, Kept>,
    /// What is being put together: whoever wants the same waits.
    making: HashMap<String, Arc<Mutex<()>>>,
}

/// Tables as one file each.
#[derive(Debug)]
pub struct Wholes {
    folder: PathBuf,
    pins: Arc<Pins>,
    inner: Mutex<Inner>,
}

impl Wholes {
    /// Takes over what an earlier server put together, and removes what it left half done.
    pub(crate) fn open(paths: &Paths, pins: Arc<Pins>) -> io::Result<Self> {
        let folder = paths.wholes();
        std::fs::create_dir_all(&folder)?;
        let mut inner = Inner::default();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            match taken_over(&path) {
                Some((key, whole)) => drop(inner.kept.insert(key, Kept { whole, used: 0 })),
                None => remove(&path),
            }
        }
        Ok(Self {
            folder,
            pins,
            inner: Mutex::new(inner),
        })
    }

    /// The file of a table, as far as it is there.
    pub fn known(&self, table: &CatalogTable) -> Option<Whole> {
        if let [file] = table.files.as_slice() {
            return Some(of_file(file));
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.turn += 1;
        let turn = inner.turn;
        let kept = inner.kept.get_mut(&key(&table.files))?;
        kept.used = turn;
        Some(kept.whole.clone())
    }

    /// The file of a table, put together now where it is not there. Others that stand in the way of `most_bytes` are
    /// removed, those first that nobody has wanted for the longest time. Blocks.
    ///
    /// # Errors
    /// `limit` when a file of the table cannot be read, or nothing written.
    pub fn make(&self, table: &CatalogTable, most_bytes: u64) -> Result<Whole, Failure> {
        if table.files.is_empty() {
            let name = &table.name;
            return Err(Failure::limit(format!("the table `{name}` has no file")));
        }
        if let Some(known) = self.at_hand(table) {
            return Ok(known);
        }
        let key = key(&table.files);
        let cell = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(inner.making.entry(key.clone()).or_default())
        };
        let _alone = cell.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever held the cell before may have made it.
        if let Some(known) = self.at_hand(table) {
            return Ok(known);
        }
        let made = self.put_together(&key, &table.files);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.making.remove(&key);
        let whole = made?;
        let used = inner.turn;
        inner.kept.insert(
            key.clone(),
            Kept {
                whole: whole.clone(),
                used,
            },
        );
        inner.evict(&key, most_bytes);
        Ok(whole)
    }

    /// The file of a table, unless it would have to be put together.
    fn at_hand(&self, table: &CatalogTable) -> Option<Whole> {
        let is_there = |whole: &Whole| table.files.len() == 1 || whole.path.exists();
        self.known(table).filter(is_there)
    }

    /// Removes what no table is any more.
    pub fn tidy(&self, catalog: &Catalog) {
        let current: HashSet<String> = catalog
            .tables
            .iter()
            .map(|table| key(&table.files))
            .collect();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.kept.retain(|key, kept| {
            let stays = current.contains(key);
            if !stays {
                remove(&kept.whole.path);
            }
            stays
        });
    }

    fn put_together(&self, key: &str, files: &[TableFile]) -> Result<Whole, Failure> {
        // A publish meanwhile must not remove what is being read.
        let _pin = self
            .pins
            .pin(files.iter().map(|file| file.path.clone()).collect());
        let half = self.folder.join(format!(".{}", Uuid::now_v7()));
        let place = || -> Result<Whole, Failure> {
            let written = copy::merge(files, &half)?;
            let path = self.folder.join(format!("{key}-{}.parquet", written.md5));
            let failed = |error| disk_failure(&path, &error);
            std::fs::rename(&half, &path).map_err(failed)?;
            sync_folder(&self.folder).map_err(failed)?;
            Ok(Whole {
                path,
                size_bytes: written.size_bytes,
                md5: Some(written.md5),
            })
        };
        place().inspect_err(|_| remove(&half))
    }
}

impl Inner {
    /// Whoever reads a file that is removed here reads on: it is open.
    fn evict(&mut self, newest: &str, most_bytes: u64) {
        let mut bytes: u64 = self.kept.values().map(|kept| kept.whole.size_bytes).sum();
        while bytes > most_bytes {
            let others = self.kept.iter().filter(|(key, _)| *key != newest);
            let oldest = others.min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            if let Some(gone) = self.kept.remove(&oldest) {
                bytes -= gone.whole.size_bytes;
                remove(&gone.whole.path);
            }
        }
    }
}

/// Of which files something was put together.
fn key(files: &[TableFile]) -> String {
    let mut text = String::from("1\n");
    for file in files {
        let path = file.path.to_string_lossy();
        text.push_str(&format!("{path}\t{}\t", file.size_bytes));
        match file.sha256 {
            Some(digest) => text.push_str(&digest.to_string()),
            None => text.push_str(&changed_at(&file.path)),
        }
        text.push('\n');
    }
    Digest::of(text.as_bytes()).to_string()
}

/// Another program may write its files anew under the same name.
fn changed_at(path: &Path) -> String {
    let time = path.metadata().and_then(|about| about.modified()).ok();
    let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since
        .map(|since| since.as_nanos().to_string())
        .unwrap_or_default()
}

fn of_file(file: &TableFile) -> Whole {
    Whole {
        path: file.path.clone(),
        size_bytes: file.size_bytes,
        md5: file.md5.clone(),
    }
}

/// What a file name says: `{key}-{md5}.parquet`.
fn taken_over(path: &Path) -> Option<(String, Whole)> {
    let (key, md5) = path.file_stem()?.to_str()?.rsplit_once('-')?;
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let is_ours = is_hex(key, 64) && is_hex(md5, 32) && path.extension()? == "parquet";
    let whole = Whole {
        path: path.to_owned(),
        size_bytes: path.metadata().ok()?.len(),
        md5: Some(md5.to_owned()),
    };
    is_ours.then(|| (key.to_owned(), whole))
}

fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove a file that nothing needs");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
