//! Deliveries that the connector could not handle: a file each, until an admin tries them again or
//! drops them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};

use super::record::{Head, Record};
use super::sync_folder;

/// The most of a source. Beyond that the source waits for an admin: something is wrong with more than a
/// delivery.
pub(super) const MOST: usize = 1_000;

/// The dead letters of a source.
#[derive(Debug)]
pub(super) struct Dead {
    folder: PathBuf,
    heads: BTreeMap<u64, Head>,
}

impl Dead {
    pub(super) fn open(inbox: &Path) -> io::Result<Self> {
        let folder = inbox.join("dead");
        fs::create_dir_all(&folder)?;
        let mut heads = BTreeMap::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path
                .extension()
                .is_none_or(|extension| extension != "letter")
            {
                fs::remove_file(&path)?;
                continue;
            }
            match read(&path) {
                Ok(record) => drop(heads.insert(record.head.sequence, record.head)),
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "a dead letter cannot be read");
                }
            }
        }
        Ok(Self { folder, heads })
    }

    pub(super) fn heads(&self) -> impl Iterator<Item = &Head> {
        self.heads.values()
    }

    pub(super) fn is_full(&self) -> bool {
        self.heads.len() >= MOST
    }

    pub(super) fn has(&self, sequence: u64) -> bool {
        self.heads.contains_key(&sequence)
    }

    /// Keeps one; durable when this returns.
    pub(super) fn put(&mut self, record: &Record) -> io::Result<()> {
        let (path, draft) = (self.path(record.head.sequence), self.folder.join("draft"));
        let mut file = File::create(&draft)?;
        file.write_all(&record.encode()?)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        sync_folder(&self.folder)?;
        self.heads.insert(record.head.sequence, record.head.clone());
        Ok(())
    }

    pub(super) fn read(&self, sequence: u64) -> io::Result<Record> {
        read(&self.path(sequence))
    }

    /// Removes one, where it is there.
    pub(super) fn remove(&mut self, sequence: u64) -> io::Result<()> {
        if self.heads.contains_key(&sequence) {
            fs::remove_file(self.path(sequence))?;
            sync_folder(&self.folder)?;
            self.heads.remove(&sequence);
        }
        Ok(())
    }

    fn path(&self, sequence: u64) -> PathBuf {
        self.folder.join(format!("{sequence:020}.letter"))
    }
}

fn read(path: &Path) -> io::Result<Record> {
    let record = Record::read(&mut BufReader::new(File::open(path)?))?;
    record.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
