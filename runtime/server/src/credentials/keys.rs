//! Where the master key of this server comes from, and its predecessor while one is needed.

use std::path::{Path, PathBuf};

use broker::vault::rotate;
use broker::{KeyError, KeyOrigin, MasterKey};
use domain::Secret;

use super::ResealError;
use crate::config;

/// The environment's keys, and the file of those that the server makes.
#[derive(Debug)]
pub(crate) struct Keys {
    file: PathBuf,
    given: Option<Secret>,
    given_previous: Option<Secret>,
}

impl Keys {
    /// Those of this process, where the environment gives none in this file.
    pub(crate) fn of(file: PathBuf) -> Self {
        Self {
            file,
            given: config::master_key(),
            given_previous: config::previous_master_key(),
        }
    }

    /// Those of a file alone.
    #[cfg(test)]
    pub(super) fn in_file(file: PathBuf) -> Self {
        Self {
            file,
            given: None,
            given_previous: None,
        }
    }

    /// The file of the key.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn current(&self) -> Result<(MasterKey, KeyOrigin), KeyError> {
        MasterKey::from_env_or_file(text(self.given.as_ref()), &self.file)
    }

    /// What may have sealed values before the key in use.
    pub(super) fn previous(&self) -> Result<Option<MasterKey>, KeyError> {
        match (&self.given, text(self.given_previous.as_ref())) {
            (Some(_), Some(previous)) => MasterKey::parse(previous)
                .map(Some)
                .ok_or(KeyError::Environment),
            (Some(_), None) => Ok(None),
            (None, _) => rotate::previous(&self.file),
        }
    }

    pub(super) fn renew(&self) -> Result<MasterKey, ResealError> {
        match self.given {
            Some(_) => Err(ResealError::Environment),
            None => Ok(rotate::renew(&self.file)?),
        }
    }

    pub(super) fn forget_previous(&self) -> Result<(), KeyError> {
        match self.given {
            // The operator takes it out of the environment.
            Some(_) => Ok(()),
            None => rotate::forget_previous(&self.file),
        }
    }
}

fn text(secret: Option<&Secret>) -> Option<&str> {
    // What is not UTF-8 is no key, which the empty text is neither.
    secret.map(|secret| std::str::from_utf8(secret.expose()).unwrap_or_default())
}
