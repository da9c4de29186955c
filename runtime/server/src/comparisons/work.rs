//! The thread that compares, and then moves.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use domain::{ComparedRun, Comparison, ComparisonState, Digest, Source, SourceName, Version};
use serde_json::json;
use warehouse::{AuditEntry, StateError};

use super::Task;
use crate::api::sources::on;
use crate::app::App;
use crate::author::{Workshop, compare, read_recording};
use crate::cli::output::{CliError, CliResult};
use crate::error::{ApiResult, chain};
use crate::lifecycle::{self, Mover};
use crate::recordings;

/// How long until a source that was running is looked at again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long where none waits; a task ends it at once.
const IDLE: Duration = Duration::from_secs(3_600);

/// Forgets what the last server began, and looks at each source that is the host's to move: a version may have been
/// trusted in the last moment.
pub(super) fn take_up(app: &App) {
    let looked = || -> Result<(), StateError> {
        app.state().forget_unfinished_comparisons()?;
        for (source, _) in app.state().moved_by_host()? {
            // The one who would take it is this thread.
            let _ = app.comparisons.tasks.send(Task::Consider(source));
        }
        Ok(())
    };
    if let Err(error) = looked() {
        tracing::error!(
            error = chain(&error),
            "it cannot be read which sources the host may move"
        );
    }
}

/// Takes tasks until there are no more.
pub(super) fn work(app: &App, tasks: &Receiver<Task>) {
    let mut due = BTreeSet::new();
    loop {
        let patience = if due.is_empty() { IDLE } else { AGAIN };
        match tasks.recv_timeout(patience) {
            Ok(Task::Compare(comparison)) => {
                let comparison = carry_out(app, *comparison);
                // One that failed says nothing that could move its source, and would be made anew at once.
                if comparison.state != ComparisonState::Failed {
                    due.insert(comparison.source);
                }
            }
            Ok(Task::Consider(source)) => {
                due.insert(source);
            }
            Ok(Task::End) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        due.retain(|source| match consider(app, source) {
            Ok(Next::Again) => true,
            Ok(Next::Done) => false,
            Err(error) => {
                let detail = error.detail;
                tracing::warn!(%source, detail, "source {source} is not moved: {detail}");
                false
            }
        });
        if app.comparisons.cancel.is_cancelled() {
            return;
        }
    }
}

/// What follows for a source that was considered.
enum Next {
    /// Nothing until something changes.
    Done,
    /// It is running: look again.
    Again,
}

/// Moves a source to the newest version where all that has to hold does.
fn consider(app: &App, name: &SourceName) -> ApiResult<Next> {
    let mut decided = app.state().moved_by_host()?.into_iter();
    let Some((_, decided_by)) = decided.find(|(source, _)| source == name) else {
        return Ok(Next::Done);
    };
    let Some(source) = app.state().source(name)? else {
        return Ok(Next::Done);
    };
    let Some(newer) = newer(app, &source)? else {
        return Ok(Next::Done);
    };
    let comparison = compared(app, &source, newer.digest)?;
    if comparison.state != ComparisonState::Agree || !comparison.missing.is_empty() {
        let state = comparison.state;
        tracing::info!(source = %name, to = %newer.digest, ?state, "source {name} stays at its version");
        return Ok(Next::Done);
    }
    let mover = Mover::Host {
        decided_by,
        comparison: comparison.id,
    };
    let _kept = app.components.keep();
    match lifecycle::change(app, &mover, &source, &newer, None) {
        Ok(_) => {
            tracing::info!(source = %name, to = %newer.digest, "source {name} was moved: the versions agree");
            Ok(Next::Done)
        }
        Err(error) if ["already-running", "source-moving"].contains(&error.code) => Ok(Next::Again),
        Err(error) => Err(error),
    }
}

/// The newest trusted version of a source's connector, where that was uploaded after its own.
fn newer(app: &App, source: &Source) -> Result<Option<Version>, StateError> {
    // Newest first.
    let versions = app.state().versions()?.into_iter();
    let mut known = versions.filter(|version| version.manifest.name == source.connector);
    let newest = known.find(|version| version.trusted || version.digest == source.version);
    Ok(newest.filter(|version| version.digest != source.version))
}

/// The comparison of a source's version with another, made now where it was not made before.
fn compared(app: &App, source: &Source, new: Digest) -> Result<Comparison, StateError> {
    let known = app.state().comparisons(&source.name)?.into_iter();
    let mut known = known.filter(|one| one.old == source.version && one.new == new);
    let is_known =
        |one: &Comparison| matches!(one.state, ComparisonState::Agree | ComparisonState::Differ);
    if let Some(known) = known.find(is_known) {
        return Ok(known);
    }
    let policy = app.state().policy(&source.name)?;
    let name = source.name.clone();
    let comparison = Comparison::begin(name, source.version, new, policy.compare_runs);
    let entry = AuditEntry {
        resource: Some(on(&source.name)),
        params: json!({"id": comparison.id, "from": comparison.old, "to": comparison.new}),
        result: Some("ok".into()),
        ..AuditEntry::new("source.compare")
    };
    app.state().insert_comparison(&comparison, &entry)?;
    Ok(carry_out(app, comparison))
}

/// Makes a comparison and writes down what it found.
fn carry_out(app: &App, mut comparison: Comparison) -> Comparison {
    comparison.missing = missing(app, &comparison);
    comparison.finish(replay(app, &comparison).map_err(|error| error.message));
    if let Err(error) = app.state().finish_comparison(&comparison) {
        let error = chain(&error);
        tracing::error!(source = %comparison.source, error, "what a comparison found could not be written down");
    }
    comparison
}

/// What the new version asks for beyond the grant. Where that cannot be told, the replay says why.
fn missing(app: &App, comparison: &Comparison) -> Vec<String> {
    let source = app.state().source(&comparison.source).ok().flatten();
    let version = app.state().version(&comparison.new).ok().flatten();
    let asked = source.zip(version).and_then(|(source, version)| {
        let requested = ingest::plan(&version.manifest, &source.settings).ok()?;
        Some(requested.beyond(&source.granted))
    });
    asked.unwrap_or_default()
}

fn replay(app: &App, comparison: &Comparison) -> CliResult<Vec<ComparedRun>> {
    let name = &comparison.source;
    let data = app.warehouse.paths.root();
    let mut files = recordings::of_source(data, name).unwrap_or_default();
    files.truncate(comparison.most_runs as usize);
    if files.is_empty() {
        return Err(CliError::new(format!(
            "there is no recorded run of `{name}`: have its runs recorded with `sluice source policy {name} --recordings 5`"
        )));
    }
    let source = app
        .state()
        .source(name)
        .map_err(|error| CliError::advised(&error))?;
    let Some(source) = source else {
        return Err(CliError::new(format!(
            "there is no source `{name}` any more"
        )));
    };
    let folder = recordings::trials(data).map_err(|error| CliError::advised(&error))?;
    let open = |digest| {
        let loaded = app.components.load_to_compare(digest);
        let (version, component) = loaded.map_err(|failure| CliError::new(failure.to_string()))?;
        let broker = app.comparisons.broker.clone();
        Workshop::within(
            broker,
            version.manifest,
            component,
            source.granted.limits,
            &folder,
        )
    };
    let (old, new) = (open(&comparison.old)?, open(&comparison.new)?);
    let recordings = files.iter().map(|file| {
        let recording = read_recording(file)?;
        Ok((stem(file), recording))
    });
    compare::run(&old, &new, recordings, &app.comparisons.cancel)
}

/// The run that was recorded.
fn stem(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}
