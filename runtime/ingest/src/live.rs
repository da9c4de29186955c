//! One run from its acceptance to its end, and who watches it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use domain::ports::{Observer, Store};
use domain::run::{Counts, EgressRow, Level, LogLine, Progress, RunEvent};
use domain::series::{Point, Series};
use domain::{Cancel, Digest, Order, Run, RunState, TableInfo};
use jiff::Timestamp;
use tokio::sync::broadcast;

/// Events that a slow watcher may fall behind before it misses some.
const EVENTS_KEPT: usize = 256;
/// Log lines and egress rows are stored in batches: at this many, or after `FLUSH_AFTER`.
const FLUSH_AT: usize = 64;
const FLUSH_AFTER: Duration = Duration::from_secs(1);

/// A view of a run that waits or is under way.
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

/// One run that waits or is under way.
pub(crate) struct Live {
    pub(crate) cancel: Cancel,
    pub(crate) order: Order,
    stopped: AtomicBool,
    store: Arc<dyn Store>,
    run: Mutex<Run>,
    progress: Mutex<Progress>,
    began: OnceLock<Instant>,
    series: Mutex<Series>,
    pending: Mutex<Pending>,
    events: broadcast::Sender<RunEvent>,
    discovered: Mutex<Option<Vec<TableInfo>>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub(crate) fn new(run: Run, order: Order, store: Arc<dyn Store>) -> Self {
        Self {
            cancel: Cancel::new(),
            order,
            stopped: AtomicBool::new(false),
            store,
            run: Mutex::new(run),
            progress: Mutex::default(),
            began: OnceLock::new(),
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

    /// The server is about to end, and with it the run.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Whether it ends because the server does, and not because somebody said so.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// The version that it runs in the end, where the source moved while it waited.
    pub(crate) fn set_version(&self, version: Digest) {
        lock(&self.run).version = version;
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

    /// What it listed; nobody has it afterwards.
    pub(crate) fn take_discovered(&self) -> Option<Vec<TableInfo>> {
        lock(&self.discovered).take()
    }

    pub(crate) fn listed(&self) -> Option<Vec<TableInfo>> {
        lock(&self.discovered).clone()
    }

    pub(crate) fn set_discovered(&self, tables: Vec<TableInfo>) {
        *lock(&self.discovered) = Some(tables);
    }

    /// How it went so far.
    pub(crate) fn series(&self) -> Vec<Point> {
        lock(&self.series).points()
    }

    fn note(&self, counts: Counts) {
        let since = self.began.get().map_or(Duration::ZERO, Instant::elapsed);
        let milliseconds = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
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
        // A second start does not happen; the first would stand.
        let _ = self.began.set(Instant::now());
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
