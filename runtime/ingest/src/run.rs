//! A run from its preparation to its last word.
//!
//! The steps: what the source is and may do → proof that the component may run → credentials →
//! stage and cursors → the component in its runner → publish → master views. A step that fails ends
//! the run; what was published before stays.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use domain::ports::{Ended, Job, Observer, Outcome};
use domain::run::{Counts, Level};
use domain::{Capabilities, Failure, RunState, Source, SourceName, Version};
use jiff::Timestamp;

use crate::error::IngestError;
use crate::live::Live;
use crate::plan::plan;
use crate::record::About;
use crate::registry::goes_on;
use crate::{Ingest, Ports};

/// A source that may run now, as far as can be known without running it.
pub(crate) struct Prepared {
    pub(crate) source: Source,
    pub(crate) version: Version,
    pub(crate) capabilities: Capabilities,
}

pub(crate) fn prepare(ports: &Ports, name: &SourceName) -> Result<Prepared, IngestError> {
    let source = ports
        .store
        .source(name)?
        .ok_or_else(|| IngestError::UnknownSource(name.clone()))?;
    if !source.enabled {
        return Err(IngestError::Disabled(name.clone()));
    }
    let version = ports
        .store
        .version(&source.version)?
        .ok_or(IngestError::UnknownVersion(source.version))?;
    if !version.trusted {
        return Err(IngestError::NotTrusted {
            connector: version.manifest.name.to_string(),
            digest: version.digest,
        });
    }
    let requested = plan(&version.manifest, &source.settings)?;
    let missing = requested.beyond(&source.granted);
    if !missing.is_empty() {
        return Err(IngestError::NotGranted {
            source_name: source.name,
            missing,
        });
    }
    let capabilities = requested.effective(&source.granted);
    Ok(Prepared {
        source,
        version,
        capabilities,
    })
}

/// Runs to the end and writes down how it ended. Never panics.
pub(crate) fn execute(ingest: &Ingest, live: &Arc<Live>) {
    let (counts, result) = catch_unwind(AssertUnwindSafe(|| begin(&ingest.ports, live)))
        .unwrap_or_else(|_| {
            let stumbled = "the host stumbled over this run; the server's log says where";
            (live.run().counts, Err(Failure::bug(stumbled).into()))
        });
    if result == Err(Ended::Cancelled) && goes_on(live) {
        live.log(
            Level::Info,
            "the server stops; this run waits for the next one",
        );
        return live.flush();
    }
    // Before the end is seen: whoever dies in between is found running, and so is tried again.
    ingest.settle(live, counts.rows, &result);
    finish(live, counts, result);
}

/// Writes down how a run ended.
pub(crate) fn finish(live: &Live, counts: Counts, result: Result<(), Ended>) {
    let (state, failure) = match result {
        Ok(()) => (RunState::Succeeded, None),
        Err(Ended::Cancelled) => (RunState::Cancelled, None),
        Err(Ended::Failed(failure)) => (RunState::Failed, Some(failure)),
    };
    match &failure {
        Some(failure) => live.log(
            Level::Error,
            &format!("failed ({}): {failure}", failure.kind),
        ),
        None => live.log(
            Level::Info,
            &format!("{}: {} rows", state.as_str(), counts.rows),
        ),
    }
    let run = live.run();
    tracing::info!(run = %run.id, source = %run.source, state = state.as_str(), rows = counts.rows, bytes_in = counts.bytes_in,
        failure = failure.as_ref().map(|f| f.kind.as_str()), "run {} of `{}` {}", run.id, run.source, state.as_str());
    live.update(|run| {
        run.state = state;
        run.failure = failure;
        run.counts = counts;
        run.finished_at = Some(Timestamp::now());
    });
}

/// What was known when the run was accepted may have changed while it waited; from here on the source stays as
/// it is.
fn begin(ports: &Ports, live: &Arc<Live>) -> (Counts, Result<(), Ended>) {
    let refused = |failure: Failure| (Counts::default(), Err(failure.into()));
    match prepare(ports, &live.run().source) {
        Ok(prepared) => {
            live.set_version(prepared.version.digest);
            attempt(ports, live, prepared)
        }
        Err(IngestError::Failure(failure)) => refused(failure),
        Err(error) => refused(Failure::config(error.to_string())),
    }
}

fn attempt(ports: &Ports, live: &Arc<Live>, prepared: Prepared) -> (Counts, Result<(), Ended>) {
    let about = About::of(&prepared, &live.order.tables);
    let job = match job(ports, live, prepared) {
        Ok(job) => job,
        Err(failure) => {
            let ended = failure.into();
            about.record(ports, live, Some(&ended));
            return (Counts::default(), Err(ended));
        }
    };
    let (counts, result) = ports.executor.execute(job);
    let result = match result {
        // Also after a failure: a checkpoint may have published something.
        Err(ended) => {
            about.record(ports, live, Some(&ended));
            Err(ended)
        }
        Ok(Outcome::Synced(published)) => {
            for (table, rows) in &published.tables {
                live.log(Level::Info, &format!("published `{table}`: {rows} rows"));
            }
            about.record(ports, live, None);
            Ok(())
        }
        Ok(Outcome::Discovered(tables)) => {
            live.set_discovered(tables);
            Ok(())
        }
        Ok(Outcome::Checked) => Ok(()),
    };
    (counts, result)
}

pub(crate) fn job(ports: &Ports, live: &Arc<Live>, prepared: Prepared) -> Result<Job, Failure> {
    let Prepared {
        source,
        version,
        capabilities,
    } = prepared;
    let run = live.run();
    let component = ports.components.load(&version)?;
    let credentials = ports.credentials.credentials(&source.name)?;
    for slot in version
        .manifest
        .credentials
        .iter()
        .filter(|slot| slot.required)
    {
        if !credentials.contains_key(&slot.name) {
            return Err(Failure::config(format!(
                "the credential `{0}` ({1}) is missing; enter it with `sluice source credential {2} {0}`",
                slot.name, slot.title, source.name
            )));
        }
    }
    let stage = match run.operation.writes() {
        true => {
            let mut stage = ports.extracts.stage(&source.name, run.id)?;
            stage.follow(&version.manifest.tables);
            Some(stage)
        }
        false => None,
    };
    Ok(Job {
        run: run.id,
        cursors: ports.extracts.cursors(&source.name)?,
        source: source.name,
        operation: run.operation,
        tables: live.order.tables.clone(),
        settings: source.settings,
        capabilities,
        credentials,
        keeper: ports.credentials.clone(),
        component,
        stage,
        observer: live.clone(),
        cancel: live.cancel.clone(),
    })
}
