//! Writes the master views beside everything else: whoever rebuilds waits for no file.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::RebuildError;
use super::master::{Master, Snapshot};

/// Several sources that publish at once are written once.
const PAUSE: Duration = Duration::from_millis(50);
/// Until a disk that refused is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The thread that writes, and what it is to write.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wanted {
    /// What is not written yet.
    snapshot: Option<Snapshot>,
    /// What the file is known to say when the thread begins.
    written: Option<Snapshot>,
    busy: bool,
    hurry: bool,
    ended: bool,
    failed: Option<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, wanted: MutexGuard<'a, Wanted>) -> MutexGuard<'a, Wanted> {
        self.changed
            .wait(wanted)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn pause<'a>(&self, wanted: MutexGuard<'a, Wanted>, time: Duration) -> MutexGuard<'a, Wanted> {
        let woken = |wanted: &mut Wanted| !wanted.hurry && !wanted.ended;
        self.changed
            .wait_timeout_while(wanted, time, woken)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// The next thing to write; `None` at the end.
    fn next(&self) -> Option<Snapshot> {
        let mut wanted = self.lock();
        while wanted.snapshot.is_none() && !wanted.ended {
            wanted = self.wait(wanted);
        }
        wanted = self.pause(wanted, PAUSE);
        let next = wanted.snapshot.take();
        wanted.busy = next.is_some();
        next
    }

    /// Notes what came of it; what failed is wanted on, unless something newer is.
    fn done(&self, snapshot: Snapshot, failed: Option<String>) {
        let mut wanted = self.lock();
        wanted.busy = false;
        wanted.failed = failed;
        if wanted.failed.is_some() && !wanted.ended {
            wanted.snapshot.get_or_insert(snapshot);
            wanted.hurry = false;
            self.changed.notify_all();
            drop(self.pause(wanted, RETRY));
            return;
        }
        wanted.hurry &= wanted.snapshot.is_some();
        self.changed.notify_all();
    }

    fn work(&self) {
        let mut master = Master::new(self.path.clone());
        master.written = self.lock().written.take();
        while let Some(snapshot) = self.next() {
            let failed = master.write(&snapshot).err().map(|error| error.to_string());
            if let Some(reason) = &failed {
                tracing::error!(
                    reason,
                    "the master views cannot be written; they are as they were"
                );
            }
            self.done(snapshot, failed);
        }
    }
}

impl Writer {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            shared: Arc::new(Shared {
                path,
                wanted: Mutex::default(),
                changed: Condvar::new(),
            }),
            thread: Mutex::default(),
        }
    }

    /// The file says this already.
    pub(super) fn is_written(&self, snapshot: Snapshot) {
        self.shared.lock().written = Some(snapshot);
    }

    /// Has this written soon, in the place of what is not written yet.
    pub(super) fn write(&self, snapshot: Snapshot) -> Result<(), RebuildError> {
        self.shared.lock().snapshot = Some(snapshot);
        self.shared.changed.notify_all();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let spawned = std::thread::Builder::new()
                .name("master-views".into())
                .spawn(move || shared.work());
            *thread = Some(spawned.map_err(|error| self.failure(error.to_string()))?);
        }
        Ok(())
    }

    /// Waits until all is written, or has failed to be.
    pub(super) fn flush(&self) -> Result<(), RebuildError> {
        let mut wanted = self.shared.lock();
        wanted.failed = None;
        wanted.hurry = wanted.snapshot.is_some();
        self.shared.changed.notify_all();
        while (wanted.snapshot.is_some() || wanted.busy) && wanted.failed.is_none() {
            wanted = self.shared.wait(wanted);
        }
        match wanted.failed.clone() {
            Some(reason) => Err(self.failure(reason)),
            None => Ok(()),
        }
    }

    fn failure(&self, reason: String) -> RebuildError {
        let path = self.shared.path.clone();
        RebuildError::Master { path, reason }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes the master views died");
        }
    }
}
