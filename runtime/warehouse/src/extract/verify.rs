//! Compares published files with their receipts, also beside a server that publishes meanwhile.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use domain::{Digest, Failure, SourceName};
use sha2::{Digest as _, Sha256};

use super::contents::{Contents, TableFile};
use super::damaged_extract;
use crate::paths::Paths;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files that were compared.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// One line for each file that is not what was written, or has no receipt.
    pub problems: Vec<String>,
    /// The files, as the extract names them.
    pub paths: Vec<PathBuf>,
}

/// Looks that often at an extract that changes while its files are read.
const ATTEMPTS: usize = 5;

/// Compares the files of a source with their receipts without holding the data folder: a server may serve it, and
/// publish meanwhile.
///
/// # Errors
/// `config` when the source has published nothing, `limit` when its extract cannot be read.
pub fn verify_beside(paths: &Paths, source: &SourceName) -> Result<Verified, Failure> {
    let folder = paths.extract(source);
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let verified = verify(&folder, source)?;
        // A file that is missing may only have been replaced since the extract was read.
        if verified.problems.is_empty() || last.as_ref() == Some(&verified) {
            return Ok(verified);
        }
        last = Some(verified);
    }
    Ok(last.unwrap_or_default())
}

/// The sources that have a folder among the extracts, sorted.
///
/// # Errors
/// When the folder of the extracts cannot be read.
pub fn published_sources(paths: &Paths) -> io::Result<Vec<SourceName>> {
    let names = std::fs::read_dir(paths.extracts())?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<io::Result<Vec<_>>>()?;
    let mut sources: Vec<_> = names
        .iter()
        .filter_map(|name| SourceName::parse(name.to_str()?).ok())
        .collect();
    sources.sort();
    Ok(sources)
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
            verified.paths.push(file.path.clone());
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
