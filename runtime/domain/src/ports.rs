//! What the use-cases need from the heavy crates: traits that `warehouse` and `broker` implement and
//! `ingest` drives.
//!
//! Everything here blocks: a run has a thread of its own, and asynchronous work is hidden behind the
//! implementation.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::cancel::Cancel;
use crate::capability::Capabilities;
use crate::connector::Version;
use crate::digest::Digest;
use crate::failure::Failure;
use crate::format::{Appended, BodyFormat};
use crate::names::{SlotName, SourceName, TableName};
use crate::registry::{PublishedTable, SyncReport};
use crate::run::{Counts, EgressRow, Level, LogLine, Operation, Progress, Run, RunId};
use crate::secret::Secret;
use crate::series::Point;
use crate::source::Source;
use crate::table::{Attachment, RemoteTable, TableInfo, TableSpec};
use crate::table_rule::TableRules;

/// Cursors by the folded name of their table.
pub type Cursors = BTreeMap<String, Vec<u8>>;

/// The cursor that says up to which delivery the extract of a source holds rows. No table can have this
/// name, so no component can read or set it.
pub const INBOX: &str = "@inbox";

/// What a publish made visible.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// Rows by table.
    pub tables: Vec<(TableName, u64)>,
    /// Bytes of parquet.
    pub bytes: u64,
}

/// Where a run writes until it is published. Dropping it drops what was not published.
pub trait Stage: Send {
    /// Opens a table, or goes on with it when the specification is the same.
    fn open_table(&mut self, spec: &TableSpec) -> Result<(), Failure>;

    /// Decodes a body into an open table. `body` gives the bytes as they were received, after
    /// `Content-Encoding` was undone.
    fn append_body(
        &mut self,
        table: &TableName,
        format: &BodyFormat,
        body: Box<dyn Read + Send>,
    ) -> Result<Appended, Failure>;

    /// Adds JSON records; returns how many.
    fn append_json(&mut self, table: &TableName, records: &[u8]) -> Result<u64, Failure>;

    /// Adds an Arrow IPC stream; returns how many rows.
    fn append_arrow(&mut self, table: &TableName, stream: &[u8]) -> Result<u64, Failure>;

    /// What the manifest says about the tables that are opened from here on. A stage that keeps no rows has
    /// nothing to follow.
    fn follow(&mut self, _rules: &TableRules) {}

    /// Declares a remote database.
    fn attach(&mut self, attachment: &Attachment) -> Result<(), Failure>;

    /// Declares a table of a remote database.
    fn expose(&mut self, table: &RemoteTable) -> Result<(), Failure>;

    /// From here on, an append fails once all tables together have more rows than this; it need not
    /// be noticed on the very row.
    fn limit_rows(&mut self, most: u64);

    /// From here on, an append or a publish fails once all files together have more bytes than this; it is noticed when
    /// they are written.
    fn limit_bytes(&mut self, most: u64);

    /// Rows taken and bytes written so far.
    fn written(&self) -> (u64, u64);

    /// Makes what is written visible, with these cursors. The stage can be written to again.
    fn publish(&mut self, cursors: &Cursors) -> Result<Published, Failure>;
}

/// The extracts of all sources.
pub trait Extracts: Send + Sync {
    /// Opens a stage for a run.
    fn stage(&self, source: &SourceName, run: RunId) -> Result<Box<dyn Stage>, Failure>;

    /// The cursors that the last publish left.
    fn cursors(&self, source: &SourceName) -> Result<Cursors, Failure>;

    /// Brings the master views up to date after a publish of this source; returns the tables that it
    /// has there now. A broken extract is reported in the log, not here.
    fn rebuild(&self, source: &SourceName) -> Result<Vec<PublishedTable>, Failure>;
}

/// Hears what happens in a run. Called often: must not block for long.
pub trait Observer: Send + Sync {
    /// The run has its place and begins; before, it waited.
    fn started(&self);
    /// A line for the run's log.
    fn log(&self, level: Level, message: &str);
    /// The newest progress.
    fn progress(&self, progress: &Progress);
    /// A decision of the egress gate.
    fn egress(&self, row: &EgressRow);
}

/// A verified component, ready to run.
#[derive(Debug, Clone)]
pub struct Component {
    /// The compiled form.
    pub compiled: PathBuf,
    /// The digest that the compiled form must have.
    pub compiled_digest: Digest,
    /// The version of the connector interface that it was built for.
    pub wit: String,
}

/// Everything that a run needs.
pub struct Job {
    /// Names the run.
    pub run: RunId,
    /// What it runs for.
    pub source: SourceName,
    /// What to do.
    pub operation: Operation,
    /// The tables to bring; all when empty.
    pub tables: Vec<TableName>,
    /// The settings, already valid.
    pub settings: Value,
    /// What the component may touch.
    pub capabilities: Capabilities,
    /// The credentials that were entered, by slot.
    pub credentials: BTreeMap<SlotName, Secret>,
    /// Who keeps a credential that the service replaced during the run.
    pub keeper: Arc<dyn Credentials>,
    /// What to run.
    pub component: Component,
    /// Cursors before the run.
    pub cursors: Cursors,
    /// Where rows go; only for `sync` and `receive`.
    pub stage: Option<Box<dyn Stage>>,
    /// Who hears of it.
    pub observer: Arc<dyn Observer>,
    /// Set when it must stop.
    pub cancel: Cancel,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("run", &self.run)
            .field("source", &self.source)
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

/// What a run without failure brought. Rows are published already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Settings and credentials work.
    Checked,
    /// These tables can be had.
    Discovered(Vec<TableInfo>),
    /// Rows were published, by a `sync` or of deliveries.
    Synced(Published),
}

/// Why a run brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It failed.
    Failed(Failure),
    /// Somebody stopped it.
    Cancelled,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Runs components. Implemented by the broker, which starts a runner for each job.
pub trait Executor: Send + Sync {
    /// Runs a job to its end, publishing what `sync` wrote. Blocks. The counts are what was counted
    /// until the end, whichever it was.
    fn execute(&self, job: Job) -> (Counts, Result<Outcome, Ended>);

    /// Waits until what outlives its run is done, such as the storing of a new refresh token. Blocks.
    fn settle(&self) {}
}

/// A delivery of a webhook, whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Names it within its source.
    pub id: String,
    /// Header lines that the component may see, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Runs the component of one source for its deliveries, one batch after the other, and keeps its runner
/// warm in between. Stays on the thread that made it: the runner ends with that.
pub trait Receiver {
    /// Runs a job of operation `receive` for these deliveries, and publishes what they brought. Blocks.
    fn receive(&mut self, job: Job, deliveries: Vec<Delivery>) -> (Counts, Result<Outcome, Ended>);

    /// Ends the runner; the next batch starts one anew.
    fn rest(&mut self);
}

/// Makes receivers. Implemented by the broker.
pub trait Receivers: Send + Sync {
    /// One that has no runner yet.
    fn receiver(&self) -> Box<dyn Receiver + '_>;
}

/// What the use-cases keep.
pub trait Store: Send + Sync {
    /// A source by name.
    fn source(&self, name: &SourceName) -> Result<Option<Source>, Failure>;
    /// A version by digest.
    fn version(&self, digest: &Digest) -> Result<Option<Version>, Failure>;
    /// Writes a run, new or changed.
    fn save_run(&self, run: &Run) -> Result<(), Failure>;
    /// Adds lines to a run's log.
    fn append_log(&self, run: RunId, lines: &[LogLine]) -> Result<(), Failure>;
    /// Keeps how a run went, once it has ended. A store of which nobody asks that has nothing to do.
    fn save_series(&self, _run: RunId, _points: &[Point]) -> Result<(), Failure> {
        Ok(())
    }

    /// Adds rows to the egress audit.
    fn append_egress(&self, run: RunId, rows: &[EgressRow]) -> Result<(), Failure>;
    /// Writes down how a sync ended for the tables of its source.
    fn record_sync(&self, report: &SyncReport) -> Result<(), Failure>;
}

/// Opens what admins entered.
pub trait Credentials: Send + Sync {
    /// The credentials of a source by slot.
    fn credentials(&self, source: &SourceName) -> Result<BTreeMap<SlotName, Secret>, Failure>;

    /// Stores what the service gave in the place of `old`, such as a new refresh token. Does nothing
    /// where somebody entered another value meanwhile.
    fn replace(
        &self,
        source: &SourceName,
        slot: &SlotName,
        old: &Secret,
        new: &Secret,
    ) -> Result<(), Failure>;
}

/// Of runs that have no credentials, such as replays: none are there, and none are kept.
#[derive(Debug, Clone, Copy)]
pub struct NoCredentials;

impl Credentials for NoCredentials {
    fn credentials(&self, _: &SourceName) -> Result<BTreeMap<SlotName, Secret>, Failure> {
        Ok(BTreeMap::new())
    }

    fn replace(&self, _: &SourceName, _: &SlotName, _: &Secret, _: &Secret) -> Result<(), Failure> {
        Ok(())
    }
}

/// Finds the component of a version and proves that it may run: signature, trust and compiled form
/// are checked at every load.
pub trait Components: Send + Sync {
    /// The component, or why it must not run.
    fn load(&self, version: &Version) -> Result<Component, Failure>;
}
