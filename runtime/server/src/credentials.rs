//! What admins entered: sealed by the vault before it reaches the state, opened for a run alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::Vault;
use domain::ports::Credentials;
use domain::{Failure, Secret, SlotName, SourceName};
use warehouse::State;

use crate::error::{ApiError, ApiResult};

/// Seals, stores and opens credentials.
pub(crate) struct CredentialStore {
    state: Arc<State>,
    vault: Vault,
}

impl CredentialStore {
    pub(crate) fn new(state: Arc<State>, vault: Vault) -> Self {
        Self { state, vault }
    }

    /// Stores a value in the place of an earlier one.
    pub(crate) fn put(
        &self,
        source: &SourceName,
        slot: &SlotName,
        value: &Secret,
    ) -> ApiResult<()> {
        let sealed = self
            .vault
            .seal(&context(source, slot), value)
            .map_err(ApiError::internal)?;
        Ok(self.state.put_credential(source, slot, &sealed)?)
    }
}

/// Binds a sealed value to its place, so that one that was moved to another place cannot be opened.
fn context(source: &SourceName, slot: &SlotName) -> String {
    format!("{source}/{slot}")
}

impl Credentials for CredentialStore {
    fn credentials(&self, source: &SourceName) -> Result<BTreeMap<SlotName, Secret>, Failure> {
        let sealed = self.state.credentials(source)?;
        sealed
            .into_iter()
            .map(|(slot, sealed)| {
                let value = self.vault.open(&context(source, &slot), &sealed).map_err(|error| {
                    Failure::config(format!("the credential `{slot}` of source `{source}` cannot be opened: {error}; enter it again"))
                })?;
                Ok((slot, value))
            })
            .collect()
    }
}

impl std::fmt::Debug for CredentialStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CredentialStore(…)")
    }
}
