//! A file that is hashed while it is written. Two hashes of a row group take as long as writing it, so a file of any size
//! has them on a thread of its own, also while the disk takes the file.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use domain::Digest;
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::priority::stand_back;

/// What is handed over at once; a file that is smaller is hashed here.
const CHUNK: usize = 256 << 10;
/// Chunks that may wait.
const WAITING: usize = 4;

/// A finished file, with what proves later that it is unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) rows: u64,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: Digest,
    pub(crate) md5: String,
}

#[derive(Default)]
struct Hashes {
    sha256: Sha256,
    md5: Md5,
}

impl Hashes {
    fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.md5.update(bytes);
    }
}

/// Where the bytes are hashed.
enum Hasher {
    Here(Hashes),
    Beside {
        sender: SyncSender<Vec<u8>>,
        thread: JoinHandle<Hashes>,
    },
}

impl Hasher {
    /// Takes bytes, the first of them along to a thread.
    fn take(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        if let Self::Here(hashes) = self {
            *self = Self::beside(std::mem::take(hashes))?;
        }
        match self {
            Self::Here(hashes) => hashes.update(&bytes),
            Self::Beside { sender, .. } => sender.send(bytes).map_err(|_| lost())?,
        }
        Ok(())
    }

    fn beside(mut hashes: Hashes) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Vec<u8>>(WAITING);
        let thread = std::thread::Builder::new().name("hash".to_owned());
        let thread = thread.spawn(move || {
            stand_back();
            for bytes in receiver {
                hashes.update(&bytes);
            }
            hashes
        })?;
        Ok(Self::Beside { sender, thread })
    }

    fn finish(self) -> io::Result<Hashes> {
        match self {
            Self::Here(hashes) => Ok(hashes),
            Self::Beside { sender, thread } => {
                drop(sender);
                thread.join().map_err(|_| lost())
            }
        }
    }
}

fn lost() -> io::Error {
    io::Error::other("the thread that hashes the file panicked")
}

/// A file that is being written.
pub(super) struct Hashing {
    file: File,
    hasher: Hasher,
    held: Vec<u8>,
    size: u64,
    written: Arc<AtomicU64>,
}

impl Hashing {
    /// Begins a new file; `written` counts its bytes.
    pub(super) fn create(path: &Path, written: &Arc<AtomicU64>) -> io::Result<Self> {
        Ok(Self {
            file: File::create_new(path)?,
            hasher: Hasher::Here(Hashes::default()),
            held: Vec::new(),
            size: 0,
            written: Arc::clone(written),
        })
    }

    /// Makes it durable; says what it became. Nothing can be written to it any more.
    pub(super) fn finish(&mut self, path: PathBuf, rows: i64) -> io::Result<Written> {
        let held = std::mem::take(&mut self.held);
        let mut hasher = std::mem::replace(&mut self.hasher, Hasher::Here(Hashes::default()));
        match &mut hasher {
            Hasher::Here(hashes) => hashes.update(&held),
            Hasher::Beside { .. } => hasher.take(held)?,
        }
        self.file.sync_all()?;
        let Hashes { sha256, md5 } = hasher.finish()?;
        Ok(Written {
            path,
            rows: u64::try_from(rows).unwrap_or(0),
            size_bytes: self.size,
            sha256: Digest::from_bytes(sha256.finalize().into()),
            md5: hex::encode(md5.finalize()),
        })
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.held
            .extend_from_slice(bytes.get(..count).unwrap_or_default());
        self.size += count as u64;
        self.written.fetch_add(count as u64, Ordering::Relaxed);
        if self.held.len() >= CHUNK {
            let next = Vec::with_capacity(CHUNK);
            self.hasher.take(std::mem::replace(&mut self.held, next))?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_size_are_those_of_the_file_however_large_it_is() {
        let folder = tempfile::tempdir().unwrap();
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 77] {
            let path = folder.path().join(size.to_string());
            let count = Arc::default();
            let mut file = Hashing::create(&path, &count).unwrap();
            let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            for part in bytes.chunks(100_003) {
                file.write_all(part).unwrap();
            }
            let written = file.finish(path.clone(), 7).unwrap();
            let found = std::fs::read(&path).unwrap();
            assert_eq!(found, bytes);
            assert_eq!(written.sha256, Digest::of(&found));
            assert_eq!(written.md5, hex::encode(Md5::digest(&found)));
            assert_eq!((written.size_bytes, written.rows), (size as u64, 7));
            assert_eq!(count.load(Ordering::Relaxed), size as u64);
        }
    }
}
