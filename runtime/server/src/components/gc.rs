//! Removes the versions that nothing needs any more, and files that no version names.
//!
//! The state is told first: a death in between leaves files without a name, which the next collection
//! takes, and never a name without its file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use domain::{Digest, Version};
use jiff::Timestamp;
use warehouse::{AuditEntry, StateError};

use super::ComponentStore;

/// What a collection took, or would take.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Versions that are no longer there.
    pub(crate) versions: Vec<Version>,
    /// Bytes of all files that went.
    pub(crate) freed_bytes: u64,
}

impl ComponentStore {
    /// What a collection would take: versions that were uploaded before `before`, and that no source is
    /// at, left with a way back, or waits for. The newest trusted version of each connector stays too: a
    /// new source would get it.
    pub(crate) fn unneeded(&self, before: Timestamp) -> Result<Collected, StateError> {
        let needed = self.state.needed_versions()?;
        let mut offered = BTreeSet::new();
        let mut versions = self.state.versions()?;
        // Newest first.
        versions.retain(|version| {
            let is_offered = version.trusted && offered.insert(version.manifest.name.clone());
            !is_offered && !needed.contains(&version.digest) && version.uploaded_at < before
        });
        let freed_bytes = versions
            .iter()
            .flat_map(|version| self.files_of(version))
            .map(|file| size(&file))
            .sum();
        Ok(Collected {
            versions,
            freed_bytes,
        })
    }

    /// Takes what `unneeded` shows, with an audit entry for each version, and every file that no
    /// version names.
    pub(crate) fn collect(
        &self,
        before: Timestamp,
        entry: impl Fn(&Version) -> AuditEntry,
    ) -> Result<Collected, StateError> {
        let _alone = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self.unneeded(before)?;
        let mut gone = Vec::new();
        for version in std::mem::take(&mut taken.versions) {
            if self
                .state
                .delete_version(&version.digest, &entry(&version))?
            {
                gone.push(version);
            }
        }
        Ok(Collected {
            versions: gone,
            freed_bytes: self.sweep()?,
        })
    }

    /// Removes the files that no version names, and says how large they were.
    fn sweep(&self) -> Result<u64, StateError> {
        let versions = self.state.versions()?;
        let named: BTreeSet<PathBuf> = versions.iter().flat_map(|v| self.files_of(v)).collect();
        let mut freed = 0;
        for file in files(&self.folder).chain(files(&self.folder.join("compiled"))) {
            if named.contains(&file) || !is_ours(&file) {
                continue;
            }
            let size = size(&file);
            match std::fs::remove_file(&file) {
                Ok(()) => freed += size,
                Err(error) => {
                    tracing::warn!(path = %file.display(), %error, "cannot remove a file that nothing needs");
                }
            }
        }
        Ok(freed)
    }

    fn files_of(&self, version: &Version) -> Vec<PathBuf> {
        let compiled = version.compiled.as_ref();
        let compiled = compiled.map(|form| self.compiled_file(&form.digest));
        [self.file(&version.digest)]
            .into_iter()
            .chain(compiled)
            .collect()
    }
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
}

fn size(file: &Path) -> u64 {
    file.metadata().map_or(0, |found| found.len())
}

/// `{digest}.wasm`, `{digest}.cwasm`, and what a write that died left of them. What somebody else put
/// here is not the host's to remove.
fn is_ours(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    let Some((stem, rest)) = name.and_then(|name| name.split_once('.')) else {
        return false;
    };
    Digest::parse(stem).is_ok() && (["wasm", "cwasm"].contains(&rest) || rest.ends_with(".partial"))
}
