//! Why a run could not be started.

use domain::manifest::ManifestError;
use domain::{Digest, Failure, RunId, SourceName};
use thiserror::Error;

/// One thing that is wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// An RFC 6901 pointer into the settings; empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl std::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.pointer.is_empty() {
            "/"
        } else {
            &self.pointer
        };
        write!(f, "{place}: {}", self.message)
    }
}

/// Why a run could not be started, or was not found.
#[derive(Debug, Error)]
pub enum IngestError {
    /// There is no such source.
    #[error("there is no source `{0}`; `sluice source list` shows what there is")]
    UnknownSource(SourceName),
    /// The source is pinned to a version that is not here.
    #[error("version {} of the source's connector is not here; upload it again", .0.short())]
    UnknownVersion(Digest),
    /// The version is not trusted, or no longer.
    #[error(
        "version {} of connector `{connector}` is not trusted; an admin must trust it first", .digest.short()
    )]
    NotTrusted {
        /// The connector's name.
        connector: String,
        /// The version.
        digest: Digest,
    },
    /// The source is switched off.
    #[error("source `{0}` is disabled")]
    Disabled(SourceName),
    /// A run of this source is under way.
    #[error("source `{source_name}` is running already, as run {run}")]
    AlreadyRunning {
        /// The source.
        source_name: SourceName,
        /// The run that is under way.
        run: RunId,
    },
    /// No more runs are accepted for the moment.
    #[error(
        "{of_source} runs of source `{source_name}` and {in_all} in all wait already; ask again once some are done, cancel some, or raise `runs.max_waiting` and `runs.max_waiting_of_source`"
    )]
    TooManyWaiting {
        /// The source.
        source_name: SourceName,
        /// How many of its runs wait.
        of_source: usize,
        /// How many wait of all sources.
        in_all: usize,
    },
    /// The source is being moved to another version.
    #[error("source `{0}` is being moved to another version; try again in a moment")]
    Moving(SourceName),
    /// The settings do not fit the manifest's schema.
    #[error("the settings are not valid: {}", list(.0))]
    Settings(Vec<SettingsError>),
    /// The manifest's own schema is broken.
    #[error("the manifest's schema of the settings is broken: {0}")]
    Schema(String),
    /// What the manifest asks for cannot be worked out from these settings.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The version asks for more than was granted.
    #[error("the connector asks for more than was granted: {}", .0.join("; "))]
    BeyondGrant(Vec<String>),
    /// The version that a source is at asks for more than the source was granted.
    #[error(
        "source `{source_name}` waits for a grant: its connector asks for {}; see `sluice source grant {source_name}`", .missing.join("; ")
    )]
    NotGranted {
        /// The source.
        source_name: SourceName,
        /// What was not granted, a line each.
        missing: Vec<String>,
    },
    /// No run with this name is under way.
    #[error("run {0} is not under way")]
    UnknownRun(RunId),
    /// The server is about to stop.
    #[error("the server is stopping; no new runs are started")]
    Stopping,
    /// A port failed.
    #[error(transparent)]
    Failure(#[from] Failure),
}

fn list(errors: &[SettingsError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
