//! The ids of deliveries that came already, also of those that are long published: a sender that got no
//! answer sends again.
//!
//! While a delivery is in a segment, its id is found there. When the segment goes, its ids come into a
//! file of digests, so that what is remembered says nothing of what was sent.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// How many are remembered: a day of one a second, and some.
const MOST: usize = 100_000;

/// A digest's bytes.
const WIDTH: usize = 32;

type Mark = [u8; WIDTH];

/// The ids that came.
#[derive(Debug)]
pub(super) struct Seen {
    path: PathBuf,
    order: VecDeque<Mark>,
    known: HashSet<Mark>,
    /// How many the file holds.
    written: usize,
}

fn mark(id: &str) -> Mark {
    Sha256::digest(id.as_bytes()).into()
}

impl Seen {
    /// Reads what is remembered. A last one that was not written whole is forgotten.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let whole = bytes.len() - bytes.len() % WIDTH;
        if whole < bytes.len() {
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(whole as u64)?;
        }
        let mut seen = Self {
            path,
            order: VecDeque::new(),
            known: HashSet::new(),
            written: whole / WIDTH,
        };
        for mark in bytes.chunks_exact(WIDTH) {
            seen.remember(mark.try_into().unwrap_or_default());
        }
        Ok(seen)
    }

    pub(super) fn knows(&self, id: &str) -> bool {
        self.known.contains(&mark(id))
    }

    /// Remembers an id for as long as this value lives.
    pub(super) fn add(&mut self, id: &str) {
        self.remember(mark(id));
    }

    fn remember(&mut self, mark: Mark) {
        if self.known.insert(mark) {
            self.order.push_back(mark);
        }
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Writes down ids whose segment is about to go. Durable when this returns.
    pub(super) fn keep(&mut self, ids: &[String]) -> io::Result<()> {
        if self.written + ids.len() > 2 * MOST {
            return self.rewrite();
        }
        let bytes: Vec<u8> = ids.iter().flat_map(|id| mark(id)).collect();
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        self.written += ids.len();
        Ok(())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let draft = self.path.with_extension("new");
        let mut file = File::create(&draft)?;
        let bytes: Vec<u8> = self.order.iter().flatten().copied().collect();
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        super::sync_folder(self.path.parent().unwrap_or(Path::new("/")))?;
        self.written = self.order.len();
        Ok(())
    }
}
