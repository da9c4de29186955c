//! The analyst's client `da`, as this server offers it: one binary, for the platform that the server runs on.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

/// The binary's name.
pub(crate) const NAME: &str = "da";
/// What the binary is good for, as the installer compares it.
pub(crate) const PLATFORM: (&str, &str) = (std::env::consts::OS, std::env::consts::ARCH);

/// Where the client lies.
#[derive(Debug)]
pub(crate) struct Clients {
    path: Option<PathBuf>,
    /// The last that was digested: it is large, and everybody may ask.
    known: Mutex<Option<(Stamp, String)>>,
}

/// What changes with a file.
type Stamp = (u64, u64, i64, i64);

/// A client that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

impl Clients {
    /// The configured file, or the one beside this process's own.
    pub(crate) fn new(configured: Option<&Path>) -> Self {
        let beside = || Some(std::env::current_exe().ok()?.with_file_name(NAME));
        Self {
            path: configured.map(Path::to_owned).or_else(beside),
            known: Mutex::default(),
        }
    }

    /// The client, where there is one. Blocks.
    pub(crate) fn offered(&self) -> io::Result<Option<Offered>> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let about = match fs::metadata(path) {
            Ok(about) if about.is_file() => about,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return Ok(None),
        };
        let stamp = (about.ino(), about.len(), about.mtime(), about.mtime_nsec());
        // Whoever comes meanwhile waits for the one digest instead of making another.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let sha256 = match &*known {
            Some((of, sha256)) if *of == stamp => sha256.clone(),
            _ => digest(path)?,
        };
        *known = Some((stamp, sha256.clone()));
        Ok(Some(Offered {
            path: path.clone(),
            size: about.len(),
            sha256,
        }))
    }
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        match buffer.get(..read) {
            Some(bytes) if read > 0 => sum.update(bytes),
            _ => return Ok(hex::encode(sum.finalize())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_offered_as_it_is_now_and_none_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("da");
        let clients = Clients::new(Some(&path));
        assert_eq!(clients.offered().unwrap(), None);
        fs::write(&path, "one").unwrap();
        let first = clients.offered().unwrap().unwrap();
        assert_eq!((first.size, &first.sha256[..8]), (3, "7692c3ad"));
        fs::write(&path, "other").unwrap();
        assert_ne!(clients.offered().unwrap().unwrap().sha256, first.sha256);
    }

    #[test]
    fn a_client_is_looked_for_beside_the_server() {
        let beside = Clients::new(None).path.unwrap();
        assert_eq!(beside.file_name().unwrap(), NAME);
        assert_eq!(beside.parent(), std::env::current_exe().unwrap().parent());
    }
}
