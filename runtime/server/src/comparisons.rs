//! Compares versions over the recorded runs of a source, and moves the sources whose admins leave that to the host.
//!
//! One thread does it, one comparison after the other. A replay runs in runners like any run: it takes a place among
//! them, has no network and no credential, and its rows go into a folder that is thrown away.

mod work;

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use broker::Broker;
use domain::{Cancel, Comparison, SourceName};
use warehouse::AuditEntry;

use crate::app::{App, AppState};
use crate::error::{ApiError, ApiResult};
use crate::recordings;

/// The most comparisons that wait at once.
const MOST_WAITING: u64 = 20;

/// What the thread is given to do.
#[derive(Debug)]
enum Task {
    /// Make this comparison.
    Compare(Box<Comparison>),
    /// See whether this source is to be moved.
    Consider(SourceName),
    /// There is nothing more to come.
    End,
}

/// Where comparisons are asked for.
#[derive(Debug)]
pub(crate) struct Comparisons {
    broker: Arc<Broker>,
    tasks: Sender<Task>,
    /// Until the thread takes it.
    queue: Mutex<Option<Receiver<Task>>>,
    cancel: Cancel,
}

impl Comparisons {
    /// Replays will run on this broker; nothing does until `start`.
    pub(crate) fn new(broker: Arc<Broker>) -> Self {
        let (tasks, queue) = channel();
        Self {
            broker,
            tasks,
            queue: Mutex::new(Some(queue)),
            cancel: Cancel::new(),
        }
    }

    /// Begins a comparison that somebody asked for.
    pub(crate) fn ask(
        &self,
        app: &App,
        comparison: Comparison,
        entry: &AuditEntry,
    ) -> ApiResult<Comparison> {
        if app.state().comparisons_under_way()? >= MOST_WAITING {
            return Err(ApiError::conflict(
                "comparisons-busy",
                format!("{MOST_WAITING} comparisons wait already; ask again once some are done"),
            ));
        }
        app.state().insert_comparison(&comparison, entry)?;
        let task = Task::Compare(Box::new(comparison.clone()));
        self.tasks.send(task).map_err(ApiError::internal)?;
        Ok(comparison)
    }

    /// A version of a connector may run from now on: its sources may be to be moved.
    pub(crate) fn newly_trusted(&self, app: &App, connector: &str) -> ApiResult<()> {
        for (name, _) in app.state().moved_by_host()? {
            let source = app.state().source(&name)?;
            if source.is_some_and(|source| source.connector.as_str() == connector) {
                self.consider(name)?;
            }
        }
        Ok(())
    }

    /// Something has changed that may let a source move.
    pub(crate) fn consider(&self, source: SourceName) -> ApiResult<()> {
        self.tasks
            .send(Task::Consider(source))
            .map_err(ApiError::internal)
    }

    /// Ends what is under way, and takes no more.
    pub(crate) fn close(&self) {
        self.cancel.cancel();
        // Where nobody listens, it has ended.
        let _ = self.tasks.send(Task::End);
    }
}

/// Starts the thread; it looks first at what the last server left.
pub(crate) fn start(app: &AppState) -> io::Result<Option<JoinHandle<()>>> {
    let comparisons = &app.comparisons;
    let queue = &comparisons.queue;
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(queue) = queue else {
        return Ok(None);
    };
    recordings::clear_trials(app.warehouse.paths.root())?;
    let app = app.clone();
    let work = move || {
        work::take_up(&app);
        work::work(&app, &queue);
    };
    std::thread::Builder::new()
        .name("comparisons".into())
        .spawn(work)
        .map(Some)
}
