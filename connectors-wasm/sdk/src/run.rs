//! The run that the connector is part of: progress, checkpoints, settings.

use serde::de::DeserializeOwned;

use crate::{Failure, host};

/// Reports how far the run is: what is going on in a few words, parts done in the connector's own unit, and parts in
/// all where that is known. May be called often.
pub fn progress(message: &str, done: u64, total: Option<u64>) {
    host::report(message, done, total);
}

/// Publishes what is written so far, and the cursors with it, so that a later failure does not lose it.
///
/// Fails with [`Failure::Bug`] outside of `sync`. Tables in mode `Replace` are published as they are: call it when
/// they are whole.
pub fn checkpoint() -> Result<(), Failure> {
    host::checkpoint()
}

pub(crate) fn parse_settings<T: DeserializeOwned>(json: &str) -> Result<T, Failure> {
    serde_json::from_str(json)
        .map_err(|error| Failure::config(format!("the settings are wrong: {error}")))
}
