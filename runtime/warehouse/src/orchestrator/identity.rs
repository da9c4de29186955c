//! Whether files are still those that were read: no extract is opened twice for the same words.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::stamp::Stamp;

/// Files and folders as they were at one moment; some of them not there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Identity(Vec<(PathBuf, Option<Stamp>)>);

impl Identity {
    /// Notes what is there now. Before it is read: what changes later is then seen to have changed.
    pub(super) fn note(&mut self, path: PathBuf) {
        let stamp = Stamp::of(&path);
        self.0.push((path, stamp));
    }

    /// Whether all of it is as it was.
    pub(super) fn holds(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(path, stamp)| Stamp::of(path) == *stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_exchanged_changed_or_removed_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let mut identity = Identity::default();
        identity.note(path.clone());
        assert!(identity.holds());
        let other = folder.path().join("b");
        std::fs::write(&other, "two").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(!identity.holds());
        let mut identity = Identity::default();
        identity.note(path.clone());
        std::fs::remove_file(&path).unwrap();
        assert!(!identity.holds());
    }
}
