//! The runs that are under way, and who watches them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::ports::{Observer, Store};
use domain::run::{Counts, EgressRow, Level, LogLine, Progress, RunEvent};
use domain::series::{Point, Series};
use domain::{Cancel, Run, RunId, RunState, SourceName, TableInfo};
use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::error::IngestError;

/// Events that a slow watcher may fall behind before it misses some.
const EVENTS_KEPT: usize = 256;
/// Log lines and egress rows are stored in batches: at this many, or after `FLUSH_AFTER`.
const FLUSH_AT: usize = 64;
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// Results of `discover` that are kept for whoever asked.
const DISCOVERED_KEPT: usize = 32;

/// A view of a run that is under way.
#[derive(Debug)]
pub struct Watch {
    /// The run as it is now.
    pub run: Run,
    /// How far it is.
    pub progress: Progress,
    /// What happens from now on; closed after the final state.
    pub events: broadcast::Receiver<RunEvent>,
}

struct Pending {
    lines: Vec<LogLine>,
    egress: Vec<EgressRow>,
    flushed: Instant,
}

/// One run that is under way.
pub(crate) struct Live {
    pub(crate) cancel: Cancel,
    store: Arc<dyn Store>,
    run: Mutex<Run>,
    progress: Mutex<Progress>,
    began: Instant,
    series: Mutex<Series>,
    pending: Mutex<Pending>,
    events: broadcast::Sender<RunEvent>,
    discovered: Mutex<Option<Vec<TableInfo>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub(crate) fn new(run: Run, store: Arc<dyn Store>) -> Self {
        Self {
            cancel: Cancel::new(),
            store,
            run: Mutex::new(run),
            progress: Mutex::default(),
            began: Instant::now(),
            series: Mutex::default(),
            pending: Mutex::new(Pending {
                lines: Vec::new(),
                egress: Vec::new(),
                flushed: Instant::now(),
            }),
            events: broadcast::channel(EVENTS_KEPT).0,
            discovered: Mutex::default(),
        }
    }

    pub(crate) fn run(&self) -> Run {
        lock(&self.run).clone()
    }

    pub(crate) fn watch(&self) -> Watch {
        // Subscribed before the state is read, so that nothing falls between the two.
        let events = self.events.subscribe();
        Watch {
            run: self.run(),
            progress: lock(&self.progress).clone(),
            events,
        }
    }

    pub(crate) fn set_discovered(&self, tables: Vec<TableInfo>) {
        *lock(&self.discovered) = Some(tables);
    }

    /// How it went so far.
    pub(crate) fn series(&self) -> Vec<Point> {
        lock(&self.series).points()
    }

    fn note(&self, counts: Counts) {
        let milliseconds = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        lock(&self.series).add(Point {
            milliseconds,
            counts,
        });
    }

    /// Changes the run, stores it, and tells who watches. Stored first: whoever sees here that a run
    /// has ended finds it ended everywhere.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Run)) {
        let mut run = self.run();
        change(&mut run);
        self.flush();
        let mut stored = Ok(());
        if run.state.is_final() {
            self.note(run.counts);
            stored = self.store.save_series(run.id, &self.series());
        }
        if let Err(failure) = stored.and_then(|()| self.store.save_run(&run)) {
            tracing::error!(run = %run.id, %failure, "the state of run {} could not be stored", run.id);
        }
        lock(&self.run).clone_from(&run);
        let _ = self.events.send(RunEvent::State { run });
    }

    /// Stores the lines that were written since the last time.
    pub(crate) fn flush(&self) {
        let id = lock(&self.run).id;
        let (lines, egress) = {
            let mut pending = lock(&self.pending);
            pending.flushed = Instant::now();
            (
                std::mem::take(&mut pending.lines),
                std::mem::take(&mut pending.egress),
            )
        };
        let stored = if lines.is_empty() {
            Ok(())
        } else {
            self.store.append_log(id, &lines)
        };
        let stored = stored.and_then(|()| {
            if egress.is_empty() {
                Ok(())
            } else {
                self.store.append_egress(id, &egress)
            }
        });
        if let Err(failure) = stored {
            tracing::error!(run = %id, %failure, "the log of run {id} could not be stored");
        }
    }

    fn push(&self, add: impl FnOnce(&mut Pending)) {
        // What comes after the end, such as a token's exchange, finds nobody who would flush later.
        let has_ended = lock(&self.run).state.is_final();
        let due = {
            let mut pending = lock(&self.pending);
            add(&mut pending);
            pending.lines.len() + pending.egress.len() >= FLUSH_AT
                || pending.flushed.elapsed() >= FLUSH_AFTER
                || has_ended
        };
        if due {
            self.flush();
        }
    }
}

impl Observer for Live {
    fn started(&self) {
        self.update(|run| {
            run.state = RunState::Running;
            run.started_at = Some(Timestamp::now());
        });
    }

    fn log(&self, level: Level, message: &str) {
        let line = LogLine {
            at: Timestamp::now(),
            level,
            message: message.to_owned(),
        };
        let _ = self.events.send(RunEvent::Log { line: line.clone() });
        self.push(|pending| pending.lines.push(line));
    }

    fn progress(&self, progress: &Progress) {
        lock(&self.progress).clone_from(progress);
        lock(&self.run).counts = progress.counts;
        self.note(progress.counts);
        let _ = self.events.send(RunEvent::Progress {
            progress: progress.clone(),
        });
    }

    fn egress(&self, row: &EgressRow) {
        self.push(|pending| pending.egress.push(row.clone()));
    }
}

#[derive(Default)]
struct Registry {
    closed: bool,
    live: BTreeMap<RunId, Arc<Live>>,
    /// Sources that are being changed and start no run meanwhile.
    held: BTreeSet<SourceName>,
    discovered: VecDeque<(RunId, Vec<TableInfo>)>,
}

impl Registry {
    /// Whether a source is neither run nor changed at the moment.
    fn is_free(&self, source: &SourceName) -> Result<(), IngestError> {
        if self.held.contains(source) {
            return Err(IngestError::Moving(source.clone()));
        }
        // One that has ended stays here for a moment, and is in nobody's way.
        let mut runs = self.live.values().map(|live| live.run());
        match runs.find(|run| run.source == *source && !run.state.is_final()) {
            None => Ok(()),
            Some(run) => Err(IngestError::AlreadyRunning {
                source_name: run.source,
                run: run.id,
            }),
        }
    }
}

/// All runs that are under way; at most one a source.
#[derive(Default)]
pub(crate) struct LiveRuns {
    registry: Mutex<Registry>,
    ended: Condvar,
}

impl LiveRuns {
    pub(crate) fn register(&self, live: Live) -> Result<Arc<Live>, IngestError> {
        let run = live.run();
        let mut registry = lock(&self.registry);
        if registry.closed {
            return Err(IngestError::Stopping);
        }
        registry.is_free(&run.source)?;
        let live = Arc::new(live);
        registry.live.insert(run.id, live.clone());
        Ok(live)
    }

    /// Keeps runs of a source from starting until it is released.
    pub(crate) fn hold(&self, source: &SourceName) -> Result<(), IngestError> {
        let mut registry = lock(&self.registry);
        registry.is_free(source)?;
        registry.held.insert(source.clone());
        Ok(())
    }

    pub(crate) fn release(&self, source: &SourceName) {
        lock(&self.registry).held.remove(source);
    }

    pub(crate) fn get(&self, id: RunId) -> Option<Arc<Live>> {
        lock(&self.registry).live.get(&id).cloned()
    }

    pub(crate) fn discovered(&self, id: RunId) -> Option<Vec<TableInfo>> {
        let registry = lock(&self.registry);
        if let Some(live) = registry.live.get(&id) {
            return lock(&live.discovered).clone();
        }
        registry
            .discovered
            .iter()
            .find(|(run, _)| *run == id)
            .map(|(_, tables)| tables.clone())
    }

    pub(crate) fn finished(&self, live: &Live) {
        let id = live.run().id;
        let mut registry = lock(&self.registry);
        if let Some(tables) = lock(&live.discovered).take() {
            registry.discovered.push_back((id, tables));
            if registry.discovered.len() > DISCOVERED_KEPT {
                registry.discovered.pop_front();
            }
        }
        registry.live.remove(&id);
        self.ended.notify_all();
    }

    pub(crate) fn forget(&self, id: RunId) {
        lock(&self.registry).live.remove(&id);
        self.ended.notify_all();
    }

    /// Cancels every run, refuses new ones, and waits for the end of the last.
    pub(crate) fn close(&self) {
        let running: Vec<_> = {
            let mut registry = lock(&self.registry);
            registry.closed = true;
            registry.live.values().cloned().collect()
        };
        // Outside of the lock: what a cancel sets off may end a run, which takes the lock.
        running.iter().for_each(|live| live.cancel.cancel());
        let mut registry = lock(&self.registry);
        while !registry.live.is_empty() {
            registry = self
                .ended
                .wait(registry)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl std::fmt::Debug for LiveRuns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(lock(&self.registry).live.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::connector::Version;
    use domain::{Digest, Failure, Operation, Source, SourceName};
    use std::sync::OnceLock;

    /// Notes what watchers could see at the moment in which a state was stored.
    #[derive(Default)]
    struct Witness {
        live: OnceLock<Arc<Live>>,
        seen: Mutex<Vec<(RunState, RunState)>>,
    }

    impl Store for Witness {
        fn source(&self, _: &SourceName) -> Result<Option<Source>, Failure> {
            Ok(None)
        }
        fn version(&self, _: &Digest) -> Result<Option<Version>, Failure> {
            Ok(None)
        }
        fn save_run(&self, run: &Run) -> Result<(), Failure> {
            let shown = self.live.get().unwrap().run().state;
            lock(&self.seen).push((run.state, shown));
            Ok(())
        }
        fn append_log(&self, _: RunId, _: &[LogLine]) -> Result<(), Failure> {
            Ok(())
        }
        fn append_egress(&self, _: RunId, _: &[EgressRow]) -> Result<(), Failure> {
            Ok(())
        }
        fn record_sync(&self, _: &domain::SyncReport) -> Result<(), Failure> {
            Ok(())
        }
    }

    fn queued() -> Run {
        Run {
            id: RunId::generate(),
            source: SourceName::parse("shop").unwrap(),
            version: Digest::of(b""),
            operation: Operation::Discover,
            state: RunState::Queued,
            queued_at: Timestamp::now(),
            started_at: None,
            finished_at: None,
            counts: Default::default(),
            failure: None,
        }
    }

    #[test]
    fn whoever_sees_the_end_of_a_run_finds_it_ended_everywhere() {
        let witness = Arc::new(Witness::default());
        let runs = LiveRuns::default();
        let live = runs.register(Live::new(queued(), witness.clone())).unwrap();
        assert!(witness.live.set(live.clone()).is_ok());
        let again = runs.register(Live::new(queued(), witness.clone()));
        assert!(matches!(again, Err(IngestError::AlreadyRunning { .. })));

        live.set_discovered(Vec::new());
        live.update(|run| run.state = RunState::Succeeded);
        let stored_first = (RunState::Succeeded, RunState::Queued);
        assert_eq!(*lock(&witness.seen), [stored_first]);
        let id = live.run().id;
        assert_eq!(runs.discovered(id), Some(Vec::new()));
        runs.register(Live::new(queued(), witness)).unwrap();
        runs.finished(&live);
        assert_eq!(runs.discovered(id), Some(Vec::new()));
    }
}
