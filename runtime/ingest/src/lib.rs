//! Turns a source into a finished run: the use-cases, over the ports of `domain`.
//!
//! Names no heavy crate: what runs components, stores rows or keeps state comes in from outside, so
//! the rules here are tested with plain fakes.

mod error;
mod inbox;
mod live;
mod plan;
mod queue;
mod receive;
mod record;
mod registry;
mod run;
mod scheduler;
mod settle;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

use domain::agenda::{Agendas, Backoff, Clock, Defaults};
use domain::ports::{Components, Credentials, Executor, Extracts, Store};
use domain::series::Point;
use domain::{Capabilities, RunId, SourceName, TableInfo};
use tokio::sync::Notify;

pub use error::{IngestError, SettingsError};
pub use inbox::{Head, InboxError, InboxLimits, Standing, Taken};
pub use live::Watch;
pub use plan::{check_grant, check_schema, plan};
pub use receive::{ReceiveConfig, ReceiveError, Receiving};
pub use registry::Room;
pub use scheduler::Outlook;

use registry::LiveRuns;

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
    /// What runs by itself, what waits, and what people are told.
    pub agendas: Arc<dyn Agendas>,
    /// Knows what the time is.
    pub clock: Arc<dyn Clock>,
}

/// How many runs may wait, when they are tried again, and whom that concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// What holds for sources about which nobody decided.
    pub defaults: Defaults,
    /// When failures of scheduled runs are tried again.
    pub backoff: Backoff,
    /// How many runs may wait.
    pub room: Room,
    /// Whether somebody takes alerts.
    pub alerts: bool,
}

/// Starts runs, and knows those that are under way.
pub struct Ingest {
    ports: Ports,
    rules: Rules,
    runs: LiveRuns,
    /// Held while a run is accepted, so that two who ask for the same get the same.
    accepting: Mutex<()>,
    /// Held while it is decided what follows from a schedule or from the end of a run.
    planning: Mutex<()>,
    changed: Notify,
    alerted: Notify,
}

impl Ingest {
    /// Over these ports.
    pub fn new(ports: Ports, rules: Rules) -> Arc<Self> {
        Arc::new(Self {
            ports,
            rules,
            runs: LiveRuns::default(),
            accepting: Mutex::default(),
            planning: Mutex::default(),
            changed: Notify::new(),
            alerted: Notify::new(),
        })
    }

    /// Keeps runs of a source from starting as long as the answer lives, so that it can be changed; an
    /// error where one is under way. Runs that are asked for meanwhile wait.
    pub fn hold(self: &Arc<Self>, source: &SourceName) -> Result<Hold<'_>, IngestError> {
        self.runs.hold(source)?;
        Ok(Hold {
            ingest: self,
            source: source.clone(),
        })
    }

    /// What a run does from now on; `None` when it neither waits nor is under way.
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

    /// Stops every run that works and waits until the last has ended; those that wait go on with the next
    /// server. New ones are refused from here on.
    pub fn shutdown(&self) {
        self.runs.close();
        self.ports.executor.settle();
    }
}

/// Keeps a source's runs from starting until it is dropped.
#[derive(Debug)]
pub struct Hold<'a> {
    ingest: &'a Arc<Ingest>,
    source: SourceName,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.ingest.runs.release(&self.source);
        self.ingest.dispatch();
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
