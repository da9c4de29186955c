//! What the tests of this crate share: an observer that remembers, and a small web server.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use domain::ports::{Credentials, Observer};
use domain::run::{EgressRow, Level, Progress};
use domain::{Failure, Secret, SlotName, SourceName};

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

/// Remembers what took the place of which credential.
#[derive(Debug, Default)]
pub(crate) struct Kept(pub(crate) Mutex<Vec<(Secret, Secret)>>);

impl Credentials for Kept {
    fn credentials(&self, _: &SourceName) -> Result<BTreeMap<SlotName, Secret>, Failure> {
        Ok(BTreeMap::new())
    }

    fn replace(
        &self,
        _: &SourceName,
        _: &SlotName,
        old: &Secret,
        new: &Secret,
    ) -> Result<(), Failure> {
        self.0.lock().unwrap().push((old.clone(), new.clone()));
        Ok(())
    }
}

/// Shared, as a run has it.
pub(crate) fn heard() -> Arc<Heard> {
    Arc::new(Heard::default())
}
