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

use super::contents::{Contents, Entry, TableFile};
use super::gc::Pin;
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

/// Whether a table with these files may have some that are worth putting together.
pub fn has_small_files(files: &[TableFile]) -> bool {
    let small = files.iter().filter(|file| file.size_bytes < SMALL);
    small.count() >= LEAST_FILES
}

/// Files of one table that become one.
#[derive(Debug)]
struct Bundle {
    table: TableName,
    files: Vec<TableFile>,
}

/// Files that are put together and wait to be published. Dropping it drops them.
#[derive(Debug)]
pub struct Compaction {
    extracts: Extracts,
    source: SourceName,
    run: RunId,
    stage: PathBuf,
    bundles: Vec<Bundle>,
    written: Vec<NewFile>,
    /// A publish in between must not remove what is being read.
    _pin: Pin,
}

impl Extracts {
    /// Puts small files of a source's tables together; `None` where there is nothing to do. Files up to
    /// where a mark stands stay apart, since a return to it must find where it was.
    ///
    /// # Errors
    /// `limit` when the extract cannot be read, or nothing written beside it.
    pub fn compact(
        &self,
        source: &SourceName,
        marks: &[Mark],
    ) -> Result<Option<Compaction>, Failure> {
        let folder = self.0.paths.extract(source);
        let before = refresh::read(&folder, source)?;
        let Some(before) = before.filter(|contents| contents.ours) else {
            return Ok(None);
        };
        let bundles = bundles(&folder, &before, marks);
        if bundles.is_empty() {
            return Ok(None);
        }
        let files = bundles.iter().flat_map(|bundle| &bundle.files);
        let pin = self
            .0
            .pins
            .pin(files.map(|file| file.path.clone()).collect());
        let run = RunId::generate();
        let stage = folder.join(format!(".stage-{run}"));
        std::fs::create_dir_all(&stage).map_err(|error| disk_failure(&stage, &error))?;
        let mut compaction = Compaction {
            extracts: self.clone(),
            source: source.clone(),
            run,
            stage,
            bundles,
            written: Vec::new(),
            _pin: pin,
        };
        compaction.written = write(&compaction.stage, run, &compaction.bundles)?;
        Ok(Some(compaction))
    }
}

impl Compaction {
    /// Publishes the new files in the place of the old ones, table by table as far as those are still
    /// there and behind all marks. No run of the source may be under way. Returns by how many files there
    /// are fewer.
    ///
    /// # Errors
    /// `limit` when the extract cannot be read or written; it is then as it was.
    pub fn publish(self, marks: &[Mark]) -> Result<usize, Failure> {
        let shared = &self.extracts.0;
        let lock = shared.lock(&self.source);
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = shared.paths.extract(&self.source);
        let Some(before) = refresh::read(&folder, &self.source)? else {
            return Ok(0);
        };
        let (tables, fewer) = self.exchanged(&folder, &before, marks);
        if fewer == 0 {
            return Ok(0);
        }
        let cursors = Cursors::new();
        let mut publish = Publish {
            tables,
            ..Publish::new(&self.source, self.run, &folder, &cursors)
        };
        publish.place()?;
        let after = publish.same_rows(before.clone());
        publish.commit(&publish.build(&after)?)?;
        let mut keep = gc::named(Some(&after));
        keep.extend(gc::named(Some(&before)));
        gc::sweep(&folder, &keep, &shared.pins);
        drop(guard);
        if let Err(failure) = self.extracts.rebuild(&self.source) {
            tracing::error!(source = %self.source, %failure, "the master views do not follow a compaction");
        }
        Ok(fewer)
    }

    /// The tables with the new files, and by how many files there are fewer.
    fn exchanged(
        &self,
        folder: &Path,
        before: &Contents,
        marks: &[Mark],
    ) -> (Vec<NewTable>, usize) {
        let (mut tables, mut fewer) = (Vec::new(), 0);
        for entry in &before.entries {
            let free = free(folder, entry, marks);
            let mut files: Vec<_> = entry.files.iter().cloned().map(Settled::Kept).collect();
            let own = self.bundles.iter().zip(&self.written);
            let mut changed = false;
            for (bundle, file) in own.filter(|(bundle, _)| bundle.table == entry.name) {
                if bundle.files.iter().all(|file| free.contains(file)) {
                    bundle.replace(&mut files, file.clone());
                    fewer += bundle.files.len() - 1;
                    changed = true;
                }
            }
            if changed {
                tables.push(NewTable {
                    name: entry.name.clone(),
                    description: entry.description.clone(),
                    files,
                });
            }
        }
        (tables, fewer)
    }
}

impl Drop for Compaction {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.stage) {
            tracing::warn!(path = %self.stage.display(), %error, "cannot remove a stage");
        }
    }
}

impl Bundle {
    /// Puts the new file where the first of the old ones stands.
    fn replace(&self, files: &mut Vec<Settled>, new: NewFile) {
        let is_old =
            |file: &Settled| matches!(file, Settled::Kept(file) if self.files.contains(file));
        let first = files.iter().position(is_old).unwrap_or(0);
        files.retain(|file| !is_old(file));
        files.insert(first.min(files.len()), Settled::New(new));
    }
}

/// The files of a table behind all marks.
fn free<'a>(folder: &Path, entry: &'a Entry, marks: &[Mark]) -> &'a [TableFile] {
    let own = marks
        .iter()
        .filter_map(|mark| mark.0.get(&entry.name.folded()));
    let marked: HashSet<&str> = own.filter_map(|mark| mark.last.as_deref()).collect();
    let stands = |file: &TableFile| marked.contains(known_by(folder, file).as_str());
    let first = entry.files.iter().rposition(stands).map_or(0, |at| at + 1);
    entry.files.get(first..).unwrap_or_default()
}

/// What there is to put together: runs of small files of one partition, behind all marks.
fn bundles(folder: &Path, contents: &Contents, marks: &[Mark]) -> Vec<Bundle> {
    let mut bundles = Vec::new();
    for entry in contents
        .entries
        .iter()
        .filter(|entry| entry.query_mode == QueryMode::Local)
    {
        let free = free(folder, entry, marks);
        let mut partitions: Vec<&Option<String>> =
            free.iter().map(|file| &file.partition).collect();
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
        let inputs: Vec<_> = bundle
            .files
            .iter()
            .map(|file| Input::all(&file.path))
            .collect();
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

#[cfg(test)]
mod tests;
