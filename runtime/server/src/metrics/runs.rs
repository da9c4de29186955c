//! Counts how runs end, where their last word is written.

use std::sync::Arc;

use domain::ports::Store;
use domain::run::{EgressRow, LogLine};
use domain::series::Point;
use domain::{Digest, Failure, Run, RunId, Source, SourceName, SyncReport, Version};

use super::Metrics;

/// A store that counts the runs that end in it.
pub(crate) struct CountedStore {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl CountedStore {
    pub(crate) fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }
}

impl Store for CountedStore {
    fn source(&self, name: &SourceName) -> Result<Option<Source>, Failure> {
        self.store.source(name)
    }

    fn version(&self, digest: &Digest) -> Result<Option<Version>, Failure> {
        self.store.version(digest)
    }

    fn save_run(&self, run: &Run) -> Result<(), Failure> {
        self.store.save_run(run)?;
        if run.state.is_final() {
            self.metrics.run(run.state.as_str());
        }
        Ok(())
    }

    fn append_log(&self, run: RunId, lines: &[LogLine]) -> Result<(), Failure> {
        self.store.append_log(run, lines)
    }

    fn save_series(&self, run: RunId, points: &[Point]) -> Result<(), Failure> {
        self.store.save_series(run, points)
    }

    fn append_egress(&self, run: RunId, rows: &[EgressRow]) -> Result<(), Failure> {
        self.store.append_egress(run, rows)
    }

    fn record_sync(&self, report: &SyncReport) -> Result<(), Failure> {
        self.store.record_sync(report)
    }
}
