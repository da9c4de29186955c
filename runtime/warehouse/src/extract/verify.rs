//! Compares published files with their receipts.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use domain::{Digest, Failure, SourceName};
use sha2::{Digest as _, Sha256};

use super::contents::{Contents, TableFile};
use super::damaged_extract;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files that were compared.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// One line for each file that is not what was written, or has no receipt.
    pub problems: Vec<String>,
}

pub(super) fn verify(folder: &Path, source: &SourceName) -> Result<Verified, Failure> {
    let contents = Contents::read(folder).map_err(|error| damaged_extract(source, &error))?;
    let Some(contents) = contents else {
        return Err(Failure::config(format!(
            "the source `{source}` has published nothing yet"
        )));
    };
    let mut verified = Verified::default();
    for entry in &contents.entries {
        for file in &entry.files {
            verified.files += 1;
            verified.bytes += file.size_bytes;
            if let Some(problem) = compare(file) {
                verified.problems.push(format!(
                    "table `{}`: `{}` {problem}",
                    entry.name,
                    file.path.display()
                ));
            }
        }
    }
    Ok(verified)
}

fn compare(file: &TableFile) -> Option<String> {
    let Some(expected) = file.sha256 else {
        return Some("has no receipt: another program wrote it".to_owned());
    };
    match sha256(&file.path) {
        Ok(found) if found == expected => None,
        Ok(_) => Some("is not what was written; run the source again".to_owned()),
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}

fn sha256(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::from_bytes(hash.finalize().into())),
            count => hash.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}
