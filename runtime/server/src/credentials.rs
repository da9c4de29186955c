//! What admins entered: sealed by the vault before it reaches the state, opened for a run alone.

mod keys;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use broker::{KeyError, KeyOrigin, Vault, VaultError};
use domain::credential::{Filled, Filling};
use domain::ports::Credentials;
use domain::{Failure, Secret, SlotName, SourceName};
use jiff::Timestamp;
use thiserror::Error;
use uuid::Uuid;
use warehouse::{AuditEntry, State, StateError};

use crate::config;
use crate::error::{ApiError, ApiResult};

pub(crate) use keys::Keys;

/// Why the master key was not changed, or values were not sealed anew.
#[derive(Debug, Error)]
pub(crate) enum ResealError {
    /// The key comes from where the server cannot write.
    #[error(
        "the master key comes from SLUICE_MASTER_KEY: start the server with the new key there and the old one in SLUICE_MASTER_KEY_PREVIOUS, and it seals all credentials anew"
    )]
    Environment,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    State(#[from] StateError),
}

/// Seals, stores and opens credentials.
pub(crate) struct CredentialStore {
    state: Arc<State>,
    keys: Keys,
    variable_prefix: String,
    /// Written to while the key is changed: nobody seals with the old one meanwhile.
    vaults: RwLock<Vaults>,
}

/// The key in use, and the one before while something may still be sealed with it.
struct Vaults {
    current: Vault,
    previous: Option<Vault>,
}

impl Vaults {
    fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, VaultError> {
        let opened = self.current.open(context, sealed);
        match (&opened, &self.previous) {
            (Err(_), Some(previous)) => previous.open(context, sealed).or(opened),
            _ => opened,
        }
    }
}

impl CredentialStore {
    /// Opens the vault, and finishes a change of the master key that was cut off.
    pub(crate) fn open(
        state: Arc<State>,
        keys: Keys,
        variable_prefix: String,
    ) -> Result<(Self, KeyOrigin), ResealError> {
        let (current, origin) = keys.current()?;
        let previous = keys.previous()?;
        let unfinished = previous.is_some();
        let vaults = Vaults {
            current: Vault::new(&current),
            previous: previous.as_ref().map(Vault::new),
        };
        let store = Self {
            state,
            keys,
            variable_prefix,
            vaults: RwLock::new(vaults),
        };
        if unfinished {
            let mut vaults = store.vaults.write().unwrap_or_else(PoisonError::into_inner);
            let count = store.finish(&mut vaults, &AuditEntry::new("master_key.finish"))?;
            tracing::info!(
                count,
                "{count} credentials were sealed with the new master key"
            );
        } else {
            // What was killed while it destroyed the old key left that to us.
            store.keys.forget_previous()?;
        }
        Ok((store, origin))
    }

    /// Stores a value in the place of what filled the slot before.
    pub(crate) fn put(
        &self,
        source: &SourceName,
        slot: &SlotName,
        value: &Secret,
        by: Uuid,
        entry: &AuditEntry,
    ) -> ApiResult<()> {
        let vaults = self.vaults.read().unwrap_or_else(PoisonError::into_inner);
        let sealed = vaults
            .current
            .seal(&context(source, slot), value)
            .map_err(ApiError::internal)?;
        let filled = filled(Filling::Sealed(sealed), by);
        Ok(self.state.put_credential(source, slot, &filled, entry)?)
    }

    /// Fills a slot with what a variable holds whenever a run begins.
    pub(crate) fn bind(
        &self,
        source: &SourceName,
        slot: &SlotName,
        variable: &str,
        by: Uuid,
        entry: &AuditEntry,
    ) -> ApiResult<()> {
        let filled = filled(Filling::Variable(variable.to_owned()), by);
        Ok(self.state.put_credential(source, slot, &filled, entry)?)
    }

    /// The value of a variable that a credential may be taken from.
    pub(crate) fn variable(&self, name: &str) -> Result<Secret, String> {
        config::credential_variable(&self.variable_prefix, name)
    }

    /// What opens a remote database: a slot of the source, or a variable that an admin may name there.
    pub(crate) fn remote(&self, source: &SourceName, name: &str) -> Result<Secret, String> {
        let filled = self
            .state
            .credentials(source)
            .map_err(|error| error.to_string())?;
        let slot = filled.iter().find(|(slot, _)| slot.as_str() == name);
        match slot {
            Some((slot, filled)) => {
                let value = self.value(source, slot, filled);
                value.map_err(|failure| failure.message)
            }
            None if name.starts_with(&self.variable_prefix) => self.variable(name),
            None => Err(format!(
                "its credential is missing: the source has none of the name that the extract gives, and that name does not begin with `{}`",
                self.variable_prefix
            )),
        }
    }

    /// Makes a new master key and seals everything with it. Says how many values that were.
    pub(crate) fn rotate(&self, entry: &AuditEntry) -> Result<u64, ResealError> {
        let mut vaults = self.vaults.write().unwrap_or_else(PoisonError::into_inner);
        let new = self.keys.renew()?;
        let old = std::mem::replace(&mut vaults.current, Vault::new(&new));
        vaults.previous = Some(old);
        self.finish(&mut vaults, entry)
    }

    /// Seals with the key in use what another key opens, in one transaction, and forgets the other.
    fn finish(&self, vaults: &mut Vaults, entry: &AuditEntry) -> Result<u64, ResealError> {
        let mut anew = Vec::new();
        for (source, slot, sealed) in self.state.all_sealed()? {
            let context = context(&source, &slot);
            if vaults.current.open(&context, &sealed).is_ok() {
                continue;
            }
            match vaults.open(&context, &sealed) {
                Ok(value) => anew.push((source, slot, vaults.current.seal(&context, &value)?)),
                // No key opens it: it was lost before.
                Err(error) => tracing::warn!(%error, "a credential stays as it is"),
            }
        }
        self.state.reseal(&anew, entry)?;
        self.keys.forget_previous()?;
        vaults.previous = None;
        Ok(anew.len() as u64)
    }

    fn value(
        &self,
        source: &SourceName,
        slot: &SlotName,
        filled: &Filled,
    ) -> Result<Secret, Failure> {
        let unusable = |reason: String| {
            Failure::config(format!(
                "the credential `{slot}` of source `{source}` cannot be opened: {reason}"
            ))
        };
        match &filled.filling {
            Filling::Sealed(sealed) => {
                let vaults = self.vaults.read().unwrap_or_else(PoisonError::into_inner);
                let opened = vaults.open(&context(source, slot), sealed);
                opened.map_err(|error| unusable(format!("{error}; enter it again")))
            }
            Filling::Variable(name) => self.variable(name).map_err(unusable),
        }
    }
}

fn filled(filling: Filling, by: Uuid) -> Filled {
    Filled {
        filling,
        entered_at: Some(Timestamp::now()),
        entered_by: Some(by),
    }
}

/// Binds a sealed value to its place, so that one that was moved to another place cannot be opened.
fn context(source: &SourceName, slot: &SlotName) -> String {
    format!("{source}/{slot}")
}

impl Credentials for CredentialStore {
    fn credentials(&self, source: &SourceName) -> Result<BTreeMap<SlotName, Secret>, Failure> {
        let filled = self.state.credentials(source)?;
        filled
            .into_iter()
            .map(|(slot, filled)| {
                let value = self.value(source, &slot, &filled)?;
                Ok((slot, value))
            })
            .collect()
    }

    fn replace(
        &self,
        source: &SourceName,
        slot: &SlotName,
        old: &Secret,
        new: &Secret,
    ) -> Result<(), Failure> {
        let vaults = self.vaults.read().unwrap_or_else(PoisonError::into_inner);
        let mut filled = self.state.credentials(source)?;
        let Some(Filling::Sealed(sealed)) = filled.remove(slot).map(|filled| filled.filling) else {
            return Ok(());
        };
        let failed = |error: VaultError| Failure::bug(error.to_string());
        let context = context(source, slot);
        if vaults.open(&context, &sealed).map_err(failed)? == *old {
            let anew = vaults.current.seal(&context, new).map_err(failed)?;
            self.state.replace_sealed(source, slot, &sealed, &anew)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for CredentialStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CredentialStore(…)")
    }
}

#[cfg(test)]
mod tests;
