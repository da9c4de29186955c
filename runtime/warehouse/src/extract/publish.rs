//! The atomic act: files under new names, made durable, then one rename. Each step leaves the last
//! extract readable, wherever the machine stops.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use domain::ports::Cursors;
use domain::{Failure, QueryMode, RunId, SourceName, TableName};
use jiff::Timestamp;

use super::contents::{AttachRow, Contents, Entry, ExtractError, TableFile};
use super::gc::{self, Pins};
use super::settle::Settled;
use super::split::NewFile;
use super::{damaged_extract, disk_failure, extract_failure};

/// A table as a run leaves it.
#[derive(Debug, Clone)]
pub(super) struct NewTable {
    pub(super) name: TableName,
    pub(super) description: String,
    /// All files that it has from now on.
    pub(super) files: Vec<Settled>,
}

/// What a run publishes.
#[derive(Debug)]
pub(super) struct Publish<'a> {
    pub(super) source: &'a SourceName,
    pub(super) run: RunId,
    /// The extract's folder.
    pub(super) folder: &'a Path,
    pub(super) tables: Vec<NewTable>,
    pub(super) remote: Vec<Entry>,
    /// `None` where the run has declared no remote database: those that are there stay.
    pub(super) attachments: Option<Vec<AttachRow>>,
    pub(super) cursors: &'a Cursors,
    /// Tables that were to be brought anew, and now are.
    pub(super) begun_anew: Vec<String>,
}

impl<'a> Publish<'a> {
    /// One that brings no rows: whoever makes it adds what it brings.
    pub(super) fn new(
        source: &'a SourceName,
        run: RunId,
        folder: &'a Path,
        cursors: &'a Cursors,
    ) -> Self {
        Self {
            source,
            run,
            folder,
            tables: Vec::new(),
            remote: Vec::new(),
            attachments: None,
            cursors,
            begun_anew: Vec::new(),
        }
    }

    /// All steps, in the order that makes a crash harmless: data, commit, removal of the old.
    pub(super) fn run(mut self, pins: &Pins) -> Result<(), Failure> {
        self.place()?;
        let before = self.before()?;
        let after = self.merge(before.clone().unwrap_or_default());
        let built = self.build(&after)?;
        self.commit(&built)?;
        // Other programs may still read by the previous master views: their files stay until the
        // next publish.
        let mut keep = gc::named(Some(&after));
        keep.extend(gc::named(before.as_ref()));
        gc::sweep(self.folder, &keep, pins);
        Ok(())
    }

    /// Moves the files to where they will stay. Nothing names them yet.
    pub(super) fn place(&mut self) -> Result<(), Failure> {
        let data = self.folder.join("data");
        for table in &mut self.tables {
            let folder = data.join(table.name.as_str());
            let mut place = || {
                std::fs::create_dir_all(&folder)?;
                for file in &mut table.files {
                    if let Settled::New(NewFile { written, .. }) = file {
                        let path = folder.join(written.path.file_name().unwrap_or_default());
                        std::fs::rename(&written.path, &path)?;
                        written.path = path;
                    }
                }
                sync_folder(&folder)
            };
            place().map_err(|error: io::Error| disk_failure(&folder, &error))?;
        }
        let made_durable = if data.exists() {
            sync_folder(&data)
        } else {
            Ok(())
        };
        made_durable.map_err(|error| disk_failure(&data, &error))
    }

    fn before(&self) -> Result<Option<Contents>, Failure> {
        Contents::read(self.folder).map_err(|error| damaged_extract(self.source, &error))
    }

    /// What the extract says afterwards: tables that this run did not touch stay.
    pub(super) fn merge(&self, mut contents: Contents) -> Contents {
        let now = Timestamp::now();
        for table in &self.tables {
            let entry = table.entry(now);
            let known = contents
                .entries
                .iter()
                .position(|e| e.name.folded() == table.name.folded());
            match known.and_then(|at| contents.entries.get_mut(at)) {
                Some(known) => *known = entry,
                None => contents.entries.push(entry),
            }
        }
        if let Some(attachments) = &self.attachments {
            contents.attachments.clone_from(attachments);
            contents
                .entries
                .retain(|entry| entry.query_mode == QueryMode::Local);
        }
        for remote in &self.remote {
            contents
                .entries
                .retain(|entry| entry.name.folded() != remote.name.folded());
            contents.entries.push(remote.clone());
        }
        for table in &self.begun_anew {
            contents.anew.remove(table);
            contents.cursors.remove(table);
        }
        // A cursor without a table, such as one for all of them, has no rows that could come anew.
        let tables: HashSet<_> = contents
            .entries
            .iter()
            .map(|entry| entry.name.folded())
            .collect();
        let renewed = |table: &String| self.cursors.contains_key(table) && !tables.contains(table);
        contents.anew.retain(|table| !renewed(table));
        contents.cursors.extend(
            self.cursors
                .iter()
                .map(|(table, cursor)| (table.clone(), cursor.clone())),
        );
        contents.ours = true;
        contents
    }

    /// What the extract says where only the files differ: when its rows were extracted stays.
    pub(super) fn same_rows(&self, contents: Contents) -> Contents {
        let times: HashMap<_, _> = contents
            .entries
            .iter()
            .map(|e| (e.name.folded(), e.extracted_at))
            .collect();
        let mut after = self.merge(contents);
        for entry in &mut after.entries {
            if let Some(at) = times.get(&entry.name.folded()) {
                entry.extracted_at = *at;
            }
        }
        after
    }

    /// Builds the complete new extract beside the old one.
    pub(super) fn build(&self, contents: &Contents) -> Result<PathBuf, Failure> {
        let path = self.folder.join(format!(".extract-{}.duckdb", self.run));
        remove_database(&path).map_err(|error| disk_failure(&path, &error))?;
        let written = contents.write(self.folder, &path);
        let written = written.map_err(|error| self.unwritten(&path, &error));
        let durable = written.and_then(|()| {
            let synced = File::open(&path).and_then(|file| file.sync_all());
            synced.map_err(|error| disk_failure(&path, &error))
        });
        if durable.is_err() {
            // A half one takes space where there may be none. What cannot go now goes at the next start.
            drop(remove_database(&path));
        }
        durable.map(|()| path)
    }

    /// DuckDB has no kinds of errors, only words, which for a full disk are those of the C library.
    fn unwritten(&self, path: &Path, error: &ExtractError) -> Failure {
        if error.to_string().contains("No space left on device") {
            return disk_failure(path, &io::ErrorKind::StorageFull.into());
        }
        extract_failure(self.source, error)
    }

    /// The commit.
    pub(super) fn commit(&self, built: &Path) -> Result<(), Failure> {
        let path = self.folder.join("extract.duckdb");
        let commit = || {
            // A log that a dead writer left beside the old file would be replayed into the new one.
            remove_if_there(&path.with_extension("duckdb.wal"))?;
            std::fs::rename(built, &path)?;
            sync_folder(self.folder)
        };
        commit().map_err(|error| disk_failure(&path, &error))
    }
}

impl NewTable {
    /// Bytes of the files that are written for it.
    pub(super) fn new_bytes(&self) -> u64 {
        let size = |file: &Settled| match file {
            Settled::Kept(_) => 0,
            Settled::New(new) => new.written.size_bytes,
        };
        self.files.iter().map(size).sum()
    }

    fn entry(&self, now: Timestamp) -> Entry {
        let files: Vec<_> = self.files.iter().map(receipt).collect();
        Entry {
            name: self.name.clone(),
            description: self.description.clone(),
            rows: files.iter().map(|file| file.rows).sum(),
            size_bytes: files.iter().map(|file| file.size_bytes).sum(),
            extracted_at: now,
            query_mode: QueryMode::Local,
            files,
            remote: None,
        }
    }
}

/// A file as the extract names it.
pub(super) fn receipt(file: &Settled) -> TableFile {
    match file {
        Settled::Kept(file) => file.clone(),
        Settled::New(NewFile {
            written,
            partition,
            origin,
        }) => TableFile {
            path: written.path.clone(),
            rows: written.rows,
            size_bytes: written.size_bytes,
            sha256: Some(written.sha256),
            md5: Some(written.md5.clone()),
            partition: partition.clone(),
            origin: origin.clone(),
        },
    }
}

/// Removes a database and its log.
pub(crate) fn remove_database(path: &Path) -> io::Result<()> {
    remove_if_there(path)?;
    remove_if_there(&path.with_extension("duckdb.wal"))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
