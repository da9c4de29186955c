//! What the tests of this crate share: an observer that remembers, and a small web server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use domain::ports::Observer;
use domain::run::{EgressRow, Level, Progress};

pub(crate) mod server;
pub(crate) mod stage;
pub(crate) mod tls;

/// Remembers everything it was told.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    lines: Mutex<Vec<String>>,
    progress: Mutex<Vec<Progress>>,
    egress: Mutex<Vec<EgressRow>>,
    starts: AtomicUsize,
}

impl Heard {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// How often it was told that the run begins.
    pub(crate) fn starts(&self) -> usize {
        self.starts.load(Ordering::Relaxed)
    }

    pub(crate) fn progress(&self) -> Vec<Progress> {
        self.progress.lock().unwrap().clone()
    }

    pub(crate) fn egress(&self) -> Vec<EgressRow> {
        self.egress.lock().unwrap().clone()
    }

    /// Everything as one text, to be searched for what must not be there.
    pub(crate) fn everything(&self) -> String {
        format!(
            "{:?} {:?} {:?}",
            self.lines(),
            self.progress(),
            self.egress()
        )
    }
}

impl Observer for Heard {
    fn started(&self) {
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    fn log(&self, _: Level, message: &str) {
        self.lines.lock().unwrap().push(message.to_owned());
    }

    fn progress(&self, progress: &Progress) {
        self.progress.lock().unwrap().push(progress.clone());
    }

    fn egress(&self, row: &EgressRow) {
        self.egress.lock().unwrap().push(row.clone());
    }
}

/// Shared, as a run has it.
pub(crate) fn heard() -> Arc<Heard> {
    Arc::new(Heard::default())
}
