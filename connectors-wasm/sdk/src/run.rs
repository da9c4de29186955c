//! The run that the connector is part of: progress, checkpoints, settings.

use std::time::Duration;

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

/// Waits, for a service that works in the background. A connector does not wait before it sends a failed request again:
/// the host retries what may be sent twice. In a native test no time passes, and the fake host notes it.
pub fn wait(time: Duration) {
    host::wait(time);
}

pub(crate) fn parse_settings<T: DeserializeOwned>(json: &str) -> Result<T, Failure> {
    serde_json::from_str(json)
        .map_err(|error| Failure::config(format!("the settings are wrong: {error}")))
}
