//! Turns a source into a finished run: the use-cases, over the ports of `domain`.
//!
//! Names no heavy crate: what runs components, stores rows or keeps state comes in from outside, so
//! the rules here are tested with plain fakes.

mod error;
mod live;
mod plan;
mod record;
mod run;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use domain::ports::{Components, Credentials, Executor, Extracts, Store};
use domain::series::Point;
use domain::{Capabilities, Operation, Run, RunId, RunState, SourceName, TableInfo, TableName};
use jiff::Timestamp;

pub use error::{IngestError, SettingsError};
pub use live::Watch;
pub use plan::{check_grant, check_schema, plan};

use live::{Live, LiveRuns};

/// What the use-cases work with.
#[derive(Clone)]
pub struct Ports {
    /// Sources, versions, runs.
    pub store: Arc<dyn Store>,
    /// Where rows go.
    pub extracts: Arc<dyn Extracts>,
    /// What runs a component.
    pub executor: Arc<dyn Executor>,
    /// What proves that a component may run.
    pub components: Arc<dyn Components>,
    /// What admins entered.
    pub credentials: Arc<dyn Credentials>,
}

/// Starts runs, and knows those that are under way.
pub struct Ingest {
    ports: Ports,
    runs: LiveRuns,
}

impl Ingest {
    /// Over these ports.
    pub fn new(ports: Ports) -> Arc<Self> {
        Arc::new(Self {
            ports,
            runs: LiveRuns::default(),
        })
    }

    /// Starts a run in a thread of its own and returns it as queued.
    ///
    /// What can be known to be wrong beforehand is an error here: an unknown or disabled source, an
    /// untrusted version, settings that are not valid, a grant that does not cover what the version
    /// asks for, a run of the same source that is still under way.
    pub fn start(
        self: &Arc<Self>,
        source: &SourceName,
        operation: Operation,
        tables: Vec<TableName>,
    ) -> Result<Run, IngestError> {
        let prepared = run::prepare(&self.ports, source)?;
        let queued = Run {
            id: RunId::generate(),
            // As it was added: a name that differs in case is the same source.
            source: prepared.source.name.clone(),
            version: prepared.version.digest,
            operation,
            state: RunState::Queued,
            queued_at: Timestamp::now(),
            started_at: None,
            finished_at: None,
            counts: Default::default(),
            failure: None,
        };
        let live = self
            .runs
            .register(Live::new(queued.clone(), self.ports.store.clone()))?;
        // Again: until it was registered, somebody may have moved the source; from here on nobody can.
        let prepared = run::prepare(&self.ports, source)
            .and_then(|again| match again.version.digest == queued.version {
                true => Ok(again),
                false => Err(IngestError::Moving(source.clone())),
            })
            .inspect_err(|_| self.runs.forget(queued.id))?;
        if let Err(failure) = self.ports.store.save_run(&queued) {
            self.runs.forget(queued.id);
            return Err(failure.into());
        }
        let ingest = self.clone();
        let started = std::thread::Builder::new()
            .name(format!("run {source}"))
            .spawn(move || {
                run::execute(&ingest.ports, &live, prepared, tables);
                ingest.runs.finished(&live);
            });
        if let Err(error) = started {
            self.runs.forget(queued.id);
            return Err(IngestError::Thread(error));
        }
        Ok(queued)
    }

    /// Keeps runs of a source from starting as long as the answer lives, so that it can be changed; an
    /// error where one is under way.
    pub fn hold(&self, source: &SourceName) -> Result<Hold<'_>, IngestError> {
        self.runs.hold(source)?;
        Ok(Hold {
            runs: &self.runs,
            source: source.clone(),
        })
    }

    /// Asks a run to stop. It has stopped when its state says so.
    pub fn cancel(&self, id: RunId) -> Result<(), IngestError> {
        self.runs
            .get(id)
            .ok_or(IngestError::UnknownRun(id))
            .map(|live| live.cancel.cancel())
    }

    /// What a run does from now on; `None` when it is not under way.
    pub fn watch(&self, id: RunId) -> Option<Watch> {
        self.runs.get(id).map(|live| live.watch())
    }

    /// How a run that is under way went so far; `None` when it is not.
    pub fn series(&self, id: RunId) -> Option<Vec<Point>> {
        self.runs.get(id).map(|live| live.series())
    }

    /// Stores what a run that is under way has said so far, for whoever reads its log now.
    pub fn write_down(&self, id: RunId) {
        if let Some(live) = self.runs.get(id) {
            live.flush();
        }
    }

    /// What a `discover` run listed, for a while after its end.
    pub fn discovered(&self, id: RunId) -> Option<Vec<TableInfo>> {
        self.runs.discovered(id)
    }

    /// What a source may touch when it runs now: asked for by its version and granted.
    pub fn effective(&self, source: &SourceName) -> Result<Capabilities, IngestError> {
        Ok(run::prepare(&self.ports, source)?.capabilities)
    }

    /// Stops every run and waits until the last has ended. New ones are refused from here on.
    pub fn shutdown(&self) {
        self.runs.close();
        self.ports.executor.settle();
    }
}

/// Keeps a source's runs from starting until it is dropped.
#[derive(Debug)]
pub struct Hold<'a> {
    runs: &'a LiveRuns,
    source: SourceName,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.runs.release(&self.source);
    }
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest")
            .field("runs", &self.runs)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}
