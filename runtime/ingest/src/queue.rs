//! The queue of runs: what is accepted is written down before it is answered for, waits for its source, and
//! is carried by a thread of its own.
//!
//! The order of acceptance holds within a source. Between sources the executor is fair: it gives its places in
//! turn to those that wait.

use std::sync::Arc;

use domain::agenda::Standing;
use domain::ports::{Ended, Observer as _};
use domain::run::{Counts, Level};
use domain::{Failure, Operation, Order, Run, RunId, SourceName, TableName};

use crate::error::IngestError;
use crate::live::{Live, lock};
use crate::{Ingest, run};

impl Ingest {
    /// Accepts a run and returns it as queued; it outlives a restart of the server from here on. It begins once
    /// the source is neither run nor changed. One that waits already and does the same is returned instead.
    ///
    /// What can be known to be wrong beforehand is an error here: an unknown or disabled source, an
    /// untrusted version, settings that are not valid, a grant that does not cover what the version
    /// asks for, too many runs that wait.
    pub fn start(
        self: &Arc<Self>,
        source: &SourceName,
        operation: Operation,
        tables: Vec<TableName>,
    ) -> Result<Run, IngestError> {
        self.accept(source, Order::of_person(operation, tables), None)
    }

    /// The same for a source of which no run works or waits; an error for others.
    pub fn start_idle(
        self: &Arc<Self>,
        source: &SourceName,
        operation: Operation,
        tables: Vec<TableName>,
    ) -> Result<Run, IngestError> {
        self.runs.is_idle(source)?;
        self.start(source, operation, tables)
    }

    /// Accepts a run; with `standing`, which is written in the same transaction, for a schedule.
    pub(crate) fn accept(
        self: &Arc<Self>,
        source: &SourceName,
        order: Order,
        standing: Option<&Standing>,
    ) -> Result<Run, IngestError> {
        let prepared = run::prepare(&self.ports, source)?;
        let run = Run::queued(
            // As it was added: a name that differs in case is the same source.
            prepared.source.name,
            prepared.version.digest,
            order.operation,
            self.ports.clock.now(),
        );
        let accepted = self.write_down_order(run, order, standing)?;
        self.dispatch();
        Ok(accepted)
    }

    /// The run that does what the order wants: this one, which waits from now on, or one that waits already.
    fn write_down_order(
        &self,
        run: Run,
        order: Order,
        standing: Option<&Standing>,
    ) -> Result<Run, IngestError> {
        let _one_by_one = lock(&self.accepting);
        if let Some(waiting) = self.runs.covering(&run.source, &order) {
            if let Some(standing) = standing {
                self.ports.agendas.save_standing(&run.source, standing)?;
            }
            return Ok(waiting.run());
        }
        self.runs.has_room(&run.source, self.rules.room)?;
        self.ports.agendas.accept(&run, &order, standing)?;
        self.wait(run.clone(), order);
        Ok(run)
    }

    fn wait(&self, run: Run, order: Order) {
        let live = Arc::new(Live::new(run, order, self.ports.store.clone()));
        if let Some(before) = self.runs.push(live.clone()) {
            let text = format!("waiting for the end of run {before} of the same source");
            live.log(Level::Info, &text);
        }
    }

    /// Takes up the runs that the last server had accepted and not begun.
    pub fn resume(self: &Arc<Self>) -> Result<usize, IngestError> {
        let waiting = self.ports.agendas.waiting()?;
        let count = waiting.len();
        for (run, order) in waiting {
            self.wait(run, order);
        }
        self.dispatch();
        Ok(count)
    }

    /// Starts every run whose source is free.
    pub(crate) fn dispatch(self: &Arc<Self>) {
        while let Some(live) = self.runs.next_ready() {
            let (ingest, carried) = (self.clone(), live.clone());
            let started = std::thread::Builder::new()
                .name(format!("run {}", live.run().source))
                .spawn(move || {
                    run::execute(&ingest, &carried);
                    ingest.runs.finished(&carried);
                    ingest.dispatch();
                });
            if let Err(error) = started {
                let text = format!("no thread could be started for the run: {error}");
                let ended = Ended::Failed(Failure::limit(text));
                run::finish(&live, Counts::default(), Err(ended));
                self.runs.finished(&live);
            }
        }
    }

    /// Asks a run to stop. It has stopped when its state says so; one that only waited has, at once.
    pub fn cancel(&self, id: RunId) -> Result<(), IngestError> {
        if let Some(waiting) = self.runs.withdraw(id) {
            run::finish(&waiting, Counts::default(), Err(Ended::Cancelled));
            self.runs.finished(&waiting);
            return Ok(());
        }
        self.runs
            .get(id)
            .ok_or(IngestError::UnknownRun(id))
            .map(|live| live.cancel.cancel())
    }

    /// Cancels the runs of a source that wait.
    pub fn cancel_waiting(&self, source: &SourceName) {
        for id in self.runs.waiting(source) {
            // It may have begun or ended in this moment.
            let _ = self.cancel(id);
        }
    }
}
