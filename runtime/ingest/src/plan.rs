//! What a version would be allowed to do with given settings, before anything runs.

use domain::{Capabilities, Manifest};
use serde_json::Value;

use crate::error::{IngestError, SettingsError};

/// The most errors that are told at once.
const MAX_ERRORS: usize = 20;

/// Validates settings against the manifest's JSON Schema, and works out what the connector asks for
/// with them.
pub fn plan(manifest: &Manifest, settings: &Value) -> Result<Capabilities, IngestError> {
    if !settings.is_object() {
        return Err(IngestError::Settings(vec![SettingsError {
            pointer: String::new(),
            message: "settings are a JSON object".into(),
        }]));
    }
    let validator = jsonschema::validator_for(&manifest.settings)
        .map_err(|error| IngestError::Schema(error.to_string()))?;
    let errors: Vec<_> = validator
        .iter_errors(settings)
        .take(MAX_ERRORS)
        .map(|error| SettingsError {
            pointer: error.instance_path().to_string(),
            message: error.to_string(),
        })
        .collect();
    if !errors.is_empty() {
        return Err(IngestError::Settings(errors));
    }
    Ok(Capabilities::requested(manifest, settings)?)
}

/// Refuses a grant that does not cover what is asked for.
pub fn check_grant(requested: &Capabilities, granted: &Capabilities) -> Result<(), IngestError> {
    let beyond = requested.beyond(granted);
    if beyond.is_empty() {
        Ok(())
    } else {
        Err(IngestError::BeyondGrant(beyond))
    }
}
