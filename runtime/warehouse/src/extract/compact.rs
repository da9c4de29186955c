//! Puts small files of a table together, while readers and runs go on.
//!
//! The new files are written beside the old ones without a lock. Then, in one publish, they take their
//! place, unless a run has changed those meanwhile: then they are dropped. The rows stay the same, in
//! the same order.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use domain::ports::{Cursors, Extracts as _};
use domain::{Failure, Mark, QueryMode, RunId, SourceName, TableName};

use super::contents::{Contents, TableFile};
use super::input::Input;
use super::known::{self, FileColumns};
use super::mark::known_by;
use super::publish::{NewTable, Publish};
use super::settle::Settled;
use super::split::{NewFile, Splitter};
use super::{Extracts, disk_failure, gc, refresh};

/// Fewer small files are not worth a rewrite.
const LEAST_FILES: usize = if cfg!(test) { 2 } else { 8 };
/// What counts as small.
const SMALL: u64 = 16 << 20;
/// How large a file becomes at most, and how much is read in one go.
const LARGE: u64 = 128 << 20;

/// Files of one table that become one.
#[derive(Debug)]
struct Bundle {
    table: TableName,
    files: Vec<TableFile>,
}

impl Extracts {
    /// Puts small files of a source's tables together. Files up to where a mark stands stay apart, since a
    /// return to it must find where it was. Returns how many files became fewer.
    ///
    /// # Errors
    /// `limit` when the extract cannot be read or written; it is then as it was.
    pub fn compact(&self, source: &SourceName, marks: &[Mark]) -> Result<usize, Failure> {
        let folder = self.0.paths.extract(source);
        let before = refresh::read(&folder, source)?;
        let Some(before) = before.filter(|contents| contents.ours) else {
            return Ok(0);
        };
        let bundles = bundles(&folder, &before, marks);
        if bundles.is_empty() {
            return Ok(0);
        }
        // A publish in between must not remove what is being read.
        let read = bundles.iter().flat_map(|bundle| bundle.files.iter().map(|file| file.path.clone()));
        let _pin = self.0.pins.pin(read.collect());
        let run = RunId::generate();
        let stage = folder.join(format!(".stage-{run}"));
        std::fs::create_dir_all(&stage).map_err(|error| disk_failure(&stage, &error))?;
        let done = write(&stage, run, &bundles)
            .and_then(|written| self.exchange(source, run, &bundles, written));
        if let Err(error) = std::fs::remove_dir_all(&stage) {
            tracing::warn!(path = %stage.display(), %error, "cannot remove a stage");
        }
        let fewer = done?;
        if fewer > 0
            && let Err(failure) = self.rebuild(source)
        {
            tracing::error!(%source, %failure, "the master views do not follow a compaction");
        }
        Ok(fewer)
    }

    /// Publishes the new files in the place of the old ones, table by table as far as those are still there.
    fn exchange(
        &self,
        source: &SourceName,
        run: RunId,
        bundles: &[Bundle],
        written: Vec<NewFile>,
    ) -> Result<usize, Failure> {
        let lock = self.0.lock(source);
        let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.0.paths.extract(source);
        let Some(before) = refresh::read(&folder, source)? else {
            return Ok(0);
        };
        let mut tables: Vec<NewTable> = Vec::new();
        let mut fewer = 0;
        for (bundle, file) in bundles.iter().zip(written) {
            let key = bundle.table.folded();
            let at = tables.iter().position(|table| table.name.folded() == key);
            let mut table = match at.map(|at| tables.swap_remove(at)) {
                Some(table) => table,
                None => match before.entries.iter().find(|entry| entry.name.folded() == key) {
                    Some(entry) => NewTable {
                        name: entry.name.clone(),
                        description: entry.description.clone(),
                        files: entry.files.iter().cloned().map(Settled::Kept).collect(),
                    },
                    None => continue,
                },
            };
            if bundle.replace(&mut table.files, file) {
                fewer += bundle.files.len() - 1;
            }
            tables.push(table);
        }
        if fewer == 0 {
            return Ok(0);
        }
        let mut publish = Publish {
            source,
            run,
            folder: &folder,
            tables,
            remote: Vec::new(),
            attachments: None,
            cursors: &Cursors::new(),
            begun_anew: Vec::new(),
        };
        publish.place()?;
        let after = publish.same_rows(before.clone());
        publish.commit(&publish.build(&after)?)?;
        let mut keep = gc::named(Some(&after));
        keep.extend(gc::named(Some(&before)));
        gc::sweep(&folder, &keep, &self.0.pins);
        Ok(fewer)
    }
}

impl Bundle {
    /// Puts the new file where the first of the old ones stands; nothing where one of them is gone.
    fn replace(&self, files: &mut Vec<Settled>, new: NewFile) -> bool {
        let old: HashSet<&Path> = self.files.iter().map(|file| file.path.as_path()).collect();
        let is_old = |file: &Settled| matches!(file, Settled::Kept(file) if old.contains(file.path.as_path()));
        if files.iter().filter(|file| is_old(file)).count() != old.len() {
            return false;
        }
        let Some(first) = files.iter().position(is_old) else {
            return false;
        };
        files.retain(|file| !is_old(file));
        files.insert(first.min(files.len()), Settled::New(new));
        true
    }
}

/// What there is to put together: runs of small files of one partition, behind all marks.
fn bundles(folder: &Path, contents: &Contents, marks: &[Mark]) -> Vec<Bundle> {
    let mut bundles = Vec::new();
    for entry in contents.entries.iter().filter(|entry| entry.query_mode == QueryMode::Local) {
        let marked: HashSet<&str> = marks
            .iter()
            .filter_map(|mark| mark.0.get(&entry.name.folded())?.last.as_deref())
            .collect();
        let stands = |file: &TableFile| marked.contains(known_by(folder, file).as_str());
        let free = entry.files.iter().rposition(stands).map_or(0, |at| at + 1);
        let free = entry.files.get(free..).unwrap_or_default();
        let mut partitions: Vec<&Option<String>> = free.iter().map(|file| &file.partition).collect();
        partitions.sort();
        partitions.dedup();
        for partition in partitions {
            let mut files = Vec::new();
            let mut size = 0;
            let small = |file: &&TableFile| file.partition == *partition && file.size_bytes < SMALL;
            for file in free.iter().filter(small) {
                if size + file.size_bytes > LARGE {
                    break;
                }
                size += file.size_bytes;
                files.push(file.clone());
            }
            if files.len() >= LEAST_FILES {
                bundles.push(Bundle {
                    table: entry.name.clone(),
                    files,
                });
            }
        }
    }
    bundles
}

/// Writes each bundle as one file of the stage.
fn write(stage: &Path, run: RunId, bundles: &[Bundle]) -> Result<Vec<NewFile>, Failure> {
    let mut number = 0;
    let mut next_path = || -> PathBuf {
        number += 1;
        stage.join(format!("{run}-{number}.parquet"))
    };
    let mut written = Vec::new();
    for bundle in bundles {
        let columns = bundle.files.iter().map(|file| FileColumns::of(&file.path));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let schema = known::storable_schema(&known::unify(columns.iter().map(|file| &file.needed)));
        let inputs: Vec<_> = bundle.files.iter().map(|file| Input::all(&file.path)).collect();
        let splitter = Splitter {
            table: &bundle.table,
            by: None,
            schema: Arc::clone(&schema),
            next_path: &mut next_path,
            written: &Arc::default(),
        };
        let file = match splitter.write(&inputs)?.pop() {
            Some(file) => file,
            None => NewFile::whole(super::encoder::empty(&next_path(), &schema)?),
        };
        let partition = bundle.files.first().and_then(|file| file.partition.clone());
        written.push(NewFile { partition, ..file });
    }
    Ok(written)
}
